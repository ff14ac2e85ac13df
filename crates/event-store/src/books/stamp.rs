//! Events before and after the store has stamped them with all that it gives them.

use event_payloads::{Causality, Event, EventId, EventType, TaskId, Timestamp, trace_id};
use serde_json::Value;

use super::chain::{Hash, StoredEvent};
use crate::id::Monotonic;
use crate::prepared::{EventBody, Prepared, PreparedArtifact, PreparedEvent};
use crate::rows::to_sql;
use crate::{Clock, StoreError};

/// The layout of the payloads that are written today.
const SCHEMA_VERSION: u32 = 1;

/// What became of a commit: the stamps of its events.
pub(crate) type Outcome = Result<Vec<Stamp>, StoreError>;

/// What the store gives an event.
#[derive(Clone, Debug)]
pub(crate) struct Stamp {
    pub(crate) event_id: EventId,
    pub(crate) task_seq: u64,
    pub(crate) ts: Timestamp,
    /// The time as the row has it.
    pub(crate) ts_text: String,
    trace_id: String,
    parent: Option<EventId>,
    /// The place in the log of all tasks.
    position: u64,
    /// The link of the task's chain.
    pub(crate) chain: Hash,
}

/// Where an event comes to stand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Next {
    pub(crate) task_seq: u64,
    /// In the log of all tasks.
    pub(crate) position: u64,
    /// The link of its task's chain that it follows.
    pub(crate) before: Hash,
}

impl Stamp {
    /// Stamps an event, now.
    pub(crate) fn new(
        task_id: &TaskId,
        new: &PreparedEvent,
        parent: Option<EventId>,
        next: Next,
        (ids, clock): (&mut Monotonic, &dyn Clock),
    ) -> Self {
        let ts = clock.now();
        let mut stamp = Self {
            event_id: ids.next(ts).into(),
            task_seq: next.task_seq,
            ts,
            ts_text: ts.to_string(),
            trace_id: trace_id(task_id),
            parent,
            position: next.position,
            chain: next.before,
        };
        // The link covers all the rest of the row.
        stamp.chain = stamp.row(task_id, new).link(next.before);
        stamp
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
            event_type: new.body.event_type.as_str(),
            schema_version: SCHEMA_VERSION.into(),
            actor: new.body.actor.as_str(),
            payload: &new.json,
            trace_id: &self.trace_id,
            span_id: &new.body.span_id,
            parent_event_id: self.parent.as_ref().map(EventId::as_str),
            idempotency_key: new.body.idempotency_key.as_deref(),
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
            event_type: &new.body.event_type,
            said: Said::Now(new),
            parent: self.parent.as_ref(),
        }
    }

    /// The event as its readers see it.
    pub(crate) fn event(self, task_id: TaskId, (body, payload): (EventBody, Value)) -> Event {
        Event {
            event_id: self.event_id,
            task_id,
            task_seq: self.task_seq,
            ts: self.ts,
            event_type: body.event_type,
            schema_version: SCHEMA_VERSION,
            actor: body.actor,
            payload,
            trace_id: self.trace_id,
            span_id: body.span_id,
            causality: Causality {
                parent_event_id: self.parent,
                idempotency_key: body.idempotency_key,
            },
        }
    }
}

/// A commit that is on record: what [`EventStore::append`](crate::EventStore::append) gives back.
#[derive(Debug)]
pub struct Recorded {
    pub(crate) commit: Prepared,
    pub(crate) stamps: Vec<Stamp>,
}

impl Recorded {
    /// What its events are called now, in their order.
    pub fn event_ids(&self) -> impl Iterator<Item = &EventId> {
        self.stamps.iter().map(|stamp| &stamp.event_id)
    }

    /// Its events as their readers see them. They are put together here, so that who does not need them does not
    /// wait for it.
    #[must_use]
    pub fn into_events(self) -> Vec<Event> {
        let Prepared {
            task_id, events, ..
        } = self.commit;
        let each = self.stamps.into_iter().zip(events);
        each.map(|(stamp, new)| stamp.event(task_id.clone(), new.into_body()))
            .collect()
    }
}

/// A commit that was not refused, with the stamps of its events.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Accepted<'a> {
    commit: &'a Prepared,
    stamps: &'a [Stamp],
}

/// Those of some commits that were not refused.
pub(crate) fn accepted<'a>(
    commits: impl IntoIterator<Item = &'a Prepared>,
    outcomes: &'a [Outcome],
) -> impl Iterator<Item = Accepted<'a>> {
    let each = commits.into_iter().zip(outcomes);
    each.filter_map(|(commit, outcome)| {
        let stamps = outcome.as_deref().ok()?;
        Some(Accepted { commit, stamps })
    })
}

impl<'a> Accepted<'a> {
    pub(crate) const fn task_id(self) -> &'a TaskId {
        &self.commit.task_id
    }

    /// The rows of its events.
    pub(crate) fn rows(self) -> impl Iterator<Item = StoredEvent<&'a str>> {
        let each = self.stamps.iter().zip(&self.commit.events);
        each.map(move |(stamp, new)| stamp.row(self.task_id(), new))
    }

    /// Its artifacts, each with its task and the event that it came with: the last.
    pub(crate) fn artifacts(
        self,
    ) -> impl Iterator<Item = (&'a TaskId, &'a Stamp, &'a PreparedArtifact)> {
        let last = self.stamps.last().into_iter();
        last.flat_map(move |last| {
            let artifacts = self.commit.artifacts.iter();
            artifacts.map(move |artifact| (self.task_id(), last, artifact))
        })
    }

    /// Its events, for others than who waits for them.
    pub(crate) fn events(self) -> Vec<Event> {
        let each = self.stamps.iter().zip(&self.commit.events);
        each.map(|(stamp, new)| {
            let body = (new.body.clone(), new.value().clone());
            stamp.clone().event(self.task_id().clone(), body)
        })
        .collect()
    }
}

/// An event as the projections see it: recorded, or about to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen<'a> {
    pub(crate) event_id: &'a EventId,
    pub(crate) task_id: &'a TaskId,
    pub(crate) task_seq: u64,
    pub(crate) ts: Timestamp,
    pub(crate) event_type: &'a EventType,
    said: Said<'a>,
    pub(crate) parent: Option<&'a EventId>,
}

/// Where the payload of an event is.
#[derive(Clone, Copy, Debug)]
enum Said<'a> {
    Before(&'a Value),
    Now(&'a PreparedEvent),
}

impl<'a> Seen<'a> {
    /// Its payload as JSON.
    pub(crate) fn payload(self) -> &'a Value {
        match self.said {
            Said::Before(payload) => payload,
            Said::Now(new) => new.value(),
        }
    }

    /// True if its payload has a field that its type always writes.
    pub(crate) fn states(self, field: &str) -> bool {
        match self.said {
            Said::Before(payload) => payload.get(field).is_some(),
            Said::Now(new) => new.states(field),
        }
    }
}

impl<'a> From<&'a Event> for Seen<'a> {
    fn from(event: &'a Event) -> Self {
        Self {
            event_id: &event.event_id,
            task_id: &event.task_id,
            task_seq: event.task_seq,
            ts: event.ts,
            event_type: &event.event_type,
            said: Said::Before(&event.payload),
            parent: event.causality.parent_event_id.as_ref(),
        }
    }
}
