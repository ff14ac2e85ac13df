//! A row of `tasks`, from the events of its task.

use event_payloads::{EventId, Payload, TaskCreated, TaskStatus, Timestamp};

use super::chain::Hash;
use super::stamp::Seen;

/// Where a task stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TaskRow {
    /// `None` if there is no such task, or its log does not say.
    pub(crate) status: Option<TaskStatus>,
    /// What its row says of that; `None` if it has no row, or nobody looked.
    pub(crate) kept_status: Option<TaskStatus>,
    /// The position of its last event.
    pub(crate) last_seq: u64,
    /// The last link of its chain.
    pub(crate) chain: Hash,
    /// Its first event with a time that can be read.
    pub(crate) since: Option<Timestamp>,
    /// Its last event.
    pub(crate) latest: Option<(Timestamp, EventId)>,
    /// True if its row is known to point to an event of its own and to nothing else: then the next one is written
    /// there without a look at what else there is.
    pub(crate) has_no_other_pointer: bool,
    /// What its `TASK_CREATED` event says, if that is among the events seen.
    pub(crate) created: Option<Box<(Timestamp, TaskCreated)>>,
}

impl TaskRow {
    /// The task has one more event.
    pub(crate) fn add(&mut self, event: Seen<'_>, payload: Option<&Payload>, chain: Hash) {
        self.last_seq = event.task_seq;
        self.chain = chain;
        self.since.get_or_insert(event.ts);
        self.latest = Some((event.ts, event.event_id.clone()));
        match payload {
            Some(Payload::TaskCreated(created)) => {
                self.created = Some(Box::new((event.ts, created.clone())));
                self.status = Some(TaskStatus::Created);
            }
            Some(Payload::StateTransition(transition)) => self.status = Some(transition.to_status),
            Some(Payload::TaskPruned(pruned)) => self.status = Some(pruned.status),
            _ => {}
        }
    }

    /// Its row says so now: it is as if it had just been looked up.
    pub(crate) fn record(&mut self) {
        self.kept_status = self.status;
        self.has_no_other_pointer |= self.created.is_some();
        self.since = None;
        self.latest = None;
        self.created = None;
    }
}
