//! An event as a message of the stream, and back.

use async_nats::header::HeaderMap;
use async_nats::jetstream::message::PublishMessage;
use event_payloads::LoggedEvent;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// The header with the event's position in the log.
pub(crate) const CURSOR: &str = "Octo-Cursor";
/// The header with the event's id, which is there also where `Nats-Msg-Id` is not.
pub(crate) const EVENT_ID: &str = "Octo-Event-Id";

/// A dot would part a token of a subject in two; what the server gives a meaning, and what is not
/// printable, must not get in at all. `%` is not in an identifier, so two tasks never share a token.
const IN_TOKEN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b':');

/// `<start>.<type>.<task>`: a reader can ask for one type, or for one task.
pub(crate) fn subject(start: &str, logged: &LoggedEvent) -> String {
    // A type of another version may be anything, even nothing; a token may not be empty.
    let word = match logged.event.event_type.as_str() {
        "" => "_",
        word => word,
    };
    let event_type = utf8_percent_encode(word, IN_TOKEN);
    let task = utf8_percent_encode(logged.event.task_id.as_str(), IN_TOKEN);
    format!("{start}.{event_type}.{task}")
}

/// The message, to be taken by the server only if the stream ends at this sequence.
pub(crate) fn message(
    logged: &LoggedEvent,
    stream: &str,
    sequence: u64,
) -> Result<PublishMessage, serde_json::Error> {
    Ok(PublishMessage::build()
        .payload(serde_json::to_vec(logged)?.into())
        .header(EVENT_ID, logged.event.event_id.as_str())
        .header(CURSOR, logged.cursor.to_string())
        .expected_stream(stream)
        .expected_last_sequence(sequence))
}

/// Which event a message of the stream is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Published {
    pub(crate) cursor: u64,
    pub(crate) event_id: String,
}

impl Published {
    /// `None` if the message is not one of ours.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        Some(Self {
            cursor: headers.get(CURSOR)?.as_str().parse().ok()?,
            event_id: headers.get(EVENT_ID)?.as_str().to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn logged(event_type: &str, task: &str) -> LoggedEvent {
        let event = json!({"event_id": "01E", "task_id": task, "task_seq": 1,
            "ts": "2026-01-01T00:00:00Z", "type": event_type, "actor": "system"});
        serde_json::from_value(json!({"cursor": 7, "event": event})).unwrap()
    }

    #[test]
    fn a_subject_has_its_four_tokens_whatever_the_names() {
        let of = |event_type, task| subject("octo.events", &logged(event_type, task));
        assert_eq!(
            of("STATE_TRANSITION", "01T"),
            "octo.events.STATE_TRANSITION.01T"
        );
        assert_eq!(of("A", "run-42.a:b_c"), "octo.events.A.run-42%2Ea:b_c");
        assert_eq!(of("", "t"), "octo.events._.t");
        assert_eq!(of("é *>.", "t"), "octo.events.%C3%A9%20%2A%3E%2E.t");
    }

    #[test]
    fn a_message_says_which_event_it_is() {
        let message = message(&logged("ERROR", "t"), "S", 3).unwrap();
        let outbound = message.outbound_message("s");
        let headers = outbound.headers.unwrap();
        assert_eq!(
            Published::of(&headers),
            Some(Published {
                cursor: 7,
                event_id: "01E".into()
            })
        );
        assert_eq!(
            headers.get("Nats-Expected-Last-Sequence").unwrap().as_str(),
            "3"
        );
        assert_eq!(headers.get("Nats-Expected-Stream").unwrap().as_str(), "S");
        let back: LoggedEvent = serde_json::from_slice(&outbound.payload).unwrap();
        assert_eq!(back, logged("ERROR", "t"));
        assert_eq!(Published::of(&HeaderMap::new()), None);
    }
}
