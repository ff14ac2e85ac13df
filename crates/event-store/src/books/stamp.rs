//! Events before and after the store has stamped them with all that it gives them.

use event_payloads::{Causality, Event, EventId, EventType, TaskId, Timestamp, trace_id};
use serde_json::Value;

use super::chain::{Hash, StoredEvent};
use crate::prepared::{Prepared, PreparedEvent};
use crate::rows::to_sql;

/// The layout of the payloads that are written today.
const SCHEMA_VERSION: u32 = 1;

/// What the store gives an event.
#[derive(Clone, Debug)]
pub(crate) struct Stamp {
    pub(crate) event_id: EventId,
    pub(crate) task_seq: u64,
    pub(crate) ts: Timestamp,
    /// The time as the row has it.
    pub(crate) ts_text: String,
    pub(crate) trace_id: String,
    pub(crate) parent: Option<EventId>,
    /// The place in the log of all tasks.
    pub(crate) position: u64,
    /// The link of the task's chain.
    pub(crate) chain: Hash,
}

impl Stamp {
    /// All of it but the link of the chain, which covers the rest.
    pub(crate) fn new(
        task_id: &TaskId,
        (event_id, ts): (EventId, Timestamp),
        parent: Option<EventId>,
        task_seq: u64,
        position: u64,
    ) -> Self {
        Self {
            event_id,
            task_seq,
            ts,
            ts_text: ts.to_string(),
            trace_id: trace_id(task_id),
            parent,
            position,
            chain: Hash::default(),
        }
    }

    /// The same, linked to the event before it.
    pub(crate) fn after(mut self, before: Hash, task_id: &TaskId, new: &PreparedEvent) -> Self {
        self.chain = self.row(task_id, new).link(before);
        self
    }

    /// The event as its row.
    pub(crate) fn row<'a>(
        &'a self,
        task_id: &'a TaskId,
        new: &'a PreparedEvent,
    ) -> StoredEvent<&'a str> {
        StoredEvent {
            event_id: self.event_id.as_str(),
            task_id: task_id.as_str(),
            task_seq: to_sql(self.task_seq),
            ts: &self.ts_text,
            event_type: new.event_type.as_str(),
            schema_version: SCHEMA_VERSION.into(),
            actor: new.actor.as_str(),
            payload: &new.json,
            trace_id: &self.trace_id,
            span_id: &new.span_id,
            parent_event_id: self.parent.as_ref().map(EventId::as_str),
            idempotency_key: new.idempotency_key.as_deref(),
            position: Some(to_sql(self.position)),
            hash: Some(self.chain),
        }
    }

    /// The event as the projections see it.
    pub(crate) const fn seen<'a>(
        &'a self,
        task_id: &'a TaskId,
        new: &'a PreparedEvent,
    ) -> Seen<'a> {
        Seen {
            event_id: &self.event_id,
            task_id,
            task_seq: self.task_seq,
            ts: self.ts,
            event_type: &new.event_type,
            payload: &new.value,
            parent: self.parent.as_ref(),
        }
    }

    fn event(self, task_id: TaskId, new: PreparedEvent) -> Event {
        Event {
            event_id: self.event_id,
            task_id,
            task_seq: self.task_seq,
            ts: self.ts,
            event_type: new.event_type,
            schema_version: SCHEMA_VERSION,
            actor: new.actor,
            payload: new.value,
            trace_id: self.trace_id,
            span_id: new.span_id,
            causality: Causality {
                parent_event_id: self.parent,
                idempotency_key: new.idempotency_key,
            },
        }
    }
}

/// A commit that is recorded, with the stamps of its events.
#[derive(Debug)]
pub(crate) struct Stamped {
    pub(crate) commit: Prepared,
    pub(crate) stamps: Vec<Stamp>,
}

impl Stamped {
    /// The rows of its events.
    pub(crate) fn rows(&self) -> impl Iterator<Item = StoredEvent<&str>> {
        rows(&self.commit, &self.stamps)
    }

    /// Its events. Whoever waits for them puts them together, so that a writer does not.
    pub(crate) fn into_events(self) -> Vec<Event> {
        let Prepared {
            task_id, events, ..
        } = self.commit;
        let each = self.stamps.into_iter().zip(events);
        each.map(|(stamp, new)| stamp.event(task_id.clone(), new))
            .collect()
    }
}

/// The rows of a commit's events.
pub(crate) fn rows<'a>(
    commit: &'a Prepared,
    stamps: &'a [Stamp],
) -> impl Iterator<Item = StoredEvent<&'a str>> {
    let each = stamps.iter().zip(&commit.events);
    each.map(|(stamp, new)| stamp.row(&commit.task_id, new))
}

/// The events of a commit, for others than who waits for them.
pub(crate) fn events(commit: &Prepared, stamps: &[Stamp]) -> Vec<Event> {
    let each = stamps.iter().zip(&commit.events);
    each.map(|(stamp, new)| stamp.clone().event(commit.task_id.clone(), new.clone()))
        .collect()
}

/// An event as the projections see it: recorded, or about to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen<'a> {
    pub(crate) event_id: &'a EventId,
    pub(crate) task_id: &'a TaskId,
    pub(crate) task_seq: u64,
    pub(crate) ts: Timestamp,
    pub(crate) event_type: &'a EventType,
    pub(crate) payload: &'a Value,
    pub(crate) parent: Option<&'a EventId>,
}

impl<'a> From<&'a Event> for Seen<'a> {
    fn from(event: &'a Event) -> Self {
        Self {
            event_id: &event.event_id,
            task_id: &event.task_id,
            task_seq: event.task_seq,
            ts: event.ts,
            event_type: &event.event_type,
            payload: &event.payload,
            parent: event.causality.parent_event_id.as_ref(),
        }
    }
}
