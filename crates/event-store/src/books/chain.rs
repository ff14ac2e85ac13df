//! The hash chain of a task: each event's hash covers the event and the hash before it.

use std::fmt;

use ring::digest::{SHA256, digest};

/// What the hash of a task's first event goes on from.
const NOTHING: [u8; 32] = [0; 32];

/// Room for what a link covers beside the payload, as a rule.
const LINK: usize = 512;

/// A link of the chain: SHA-256 over the hash before it (32 zeros at first) and every field of the event as
/// it is stored, in the order of the columns: its length in 8 bytes (little endian), then its bytes; numbers
/// as 8 bytes (little endian); before what may be null, a field of one byte, 1 if it is there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hash(pub(crate) [u8; 32]);

impl Default for Hash {
    fn default() -> Self {
        Self(NOTHING)
    }
}

impl Hash {
    /// A hash as a database keeps it; `None` if it has another length.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    pub(crate) fn from_hex(hex: &str) -> Option<Self> {
        if hex.len() != 64 || !hex.is_ascii() {
            return None;
        }
        let mut bytes = NOTHING;
        for (byte, index) in bytes.iter_mut().zip((0..64).step_by(2)) {
            *byte = u8::from_str_radix(hex.get(index..index + 2)?, 16).ok()?;
        }
        Some(Self(bytes))
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An event as a row has it: text where a row has text, so that nothing is lost that some reader would
/// not understand. Its texts are its own, or borrowed from what is about to be recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredEvent<T = String> {
    pub(crate) event_id: T,
    pub(crate) task_id: T,
    pub(crate) task_seq: i64,
    pub(crate) ts: T,
    pub(crate) event_type: T,
    pub(crate) schema_version: i64,
    pub(crate) actor: T,
    pub(crate) payload: T,
    pub(crate) trace_id: T,
    pub(crate) span_id: T,
    pub(crate) parent_event_id: Option<T>,
    pub(crate) idempotency_key: Option<T>,
    /// Its place in the log; `None` in rows that another program wrote.
    pub(crate) position: Option<i64>,
    /// Its link of the chain; `None` likewise.
    pub(crate) hash: Option<Hash>,
}

impl<T: AsRef<str>> StoredEvent<T> {
    /// The link that follows another.
    pub(crate) fn link(&self, before: Hash) -> Hash {
        // In one piece: each step of a hash has a cost of its own, and there are 29 of them.
        let mut link = Vec::with_capacity(LINK + self.payload.as_ref().len());
        link.extend_from_slice(&before.0);
        let mut field = |bytes: &[u8]| {
            // The length keeps what stands in one field from passing for part of the next.
            link.extend_from_slice(&u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_le_bytes());
            link.extend_from_slice(bytes);
        };
        for text in [&self.event_id, &self.task_id] {
            field(text.as_ref().as_bytes());
        }
        field(&self.task_seq.to_le_bytes());
        field(self.ts.as_ref().as_bytes());
        field(self.event_type.as_ref().as_bytes());
        field(&self.schema_version.to_le_bytes());
        for text in [&self.actor, &self.payload, &self.trace_id, &self.span_id] {
            field(text.as_ref().as_bytes());
        }
        for text in [&self.parent_event_id, &self.idempotency_key] {
            field(&[u8::from(text.is_some())]);
            field(text.as_ref().map_or("", T::as_ref).as_bytes());
        }
        // A digest of this algorithm has this length.
        Hash::from_bytes(digest(&SHA256, &link).as_ref()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stored() -> StoredEvent {
        StoredEvent {
            event_id: "01KJN4W0000000000000000001".to_owned(),
            task_id: "01KJN4VZZZ0000000000000000".to_owned(),
            task_seq: 1,
            ts: "2026-03-01T12:00:00.250000+00:00".to_owned(),
            event_type: "TASK_CREATED".to_owned(),
            schema_version: 1,
            actor: "system".to_owned(),
            payload: r#"{"title":"Hi"}"#.to_owned(),
            trace_id: "trace-01KJN4VZZZ0000000000000000".to_owned(),
            span_id: String::new(),
            parent_event_id: None,
            idempotency_key: Some("msg-1".to_owned()),
            position: Some(1),
            hash: None,
        }
    }

    /// The figure is Python's `hashlib`, over the layout that the docs of [`Hash`] name. Databases hold such
    /// figures: a change of the computation would make every one of them look tampered with.
    #[test]
    fn the_computation_stays_as_it_is() {
        insta::assert_snapshot!(stored().link(Hash::default()), @"159e59bd1b289050a6fb39ee13cbb02caac9babbe3e7822c198a5ff729dafbe1");
    }

    #[test]
    fn every_field_counts_and_so_does_the_link_before() {
        let first = stored().link(Hash::default());
        let change: [fn(&mut StoredEvent); 12] = [
            |e| e.event_id.push('x'),
            |e| e.task_id.push('x'),
            |e| e.task_seq += 1,
            |e| e.ts.push('x'),
            |e| e.event_type.push('x'),
            |e| e.schema_version += 1,
            |e| e.actor.push('x'),
            |e| e.payload.push('x'),
            |e| e.trace_id.push('x'),
            |e| e.span_id.push('x'),
            |e| e.parent_event_id = Some(String::new()),
            |e| e.idempotency_key = None,
        ];
        for change in change {
            let mut event = stored();
            change(&mut event);
            assert_ne!(event.link(Hash::default()), first, "{event:?}");
        }
        assert_ne!(stored().link(first), first);
    }

    proptest! {
        #[test]
        fn a_hash_survives_its_texts(bytes: [u8; 32]) {
            let hash = Hash(bytes);
            prop_assert_eq!(Hash::from_hex(&hash.to_string()), Some(hash));
            prop_assert_eq!(Hash::from_bytes(&bytes), Some(hash));
        }

        #[test]
        fn what_is_no_hash_is_none(text in "\\PC{0,70}") {
            let known = Hash::from_hex(&text).map(|hash| hash.to_string());
            prop_assert!(known.is_none_or(|hex| hex == text.to_lowercase()));
        }
    }
}
