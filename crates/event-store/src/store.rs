//! The one way to the log.

use std::fmt;

use async_trait::async_trait;
use event_payloads::{ArtifactId, Event, EventId, EventPage, ModelCallChunk, TaskId, Timestamp};
use tokio::sync::watch;

use crate::{
    Artifact, Call, Commit, CostQuery, CostRow, LogQuery, OpenCall, Progress, Recorded, Records,
    RecordsQuery, StoreError, Subscription, Task, TaskQuery,
};

/// An append-only log of events with its projections.
///
/// Every method fails with [`StoreError`]: the reads with what can be wrong with the storage,
/// [`append`](Self::append) with a refusal of its rules as well.
#[async_trait]
pub trait EventStore: fmt::Debug + Send + Sync {
    /// A word for what stores: `sqlite`, `postgres`.
    fn kind(&self) -> &'static str;

    /// Records a commit: all of it or nothing, and on stable storage when this returns.
    ///
    /// If the returned future is dropped while it waits, the commit is recorded whole or not at all; nobody can say
    /// which without reading. So it is after [`StoreError::InDoubt`].
    ///
    /// # Errors
    /// A rule forbids it ([`StoreError::is_refusal`]), or the storage failed.
    async fn append(&self, commit: Commit) -> Result<Recorded, StoreError>;

    /// A task.
    async fn task(&self, task_id: &TaskId) -> Result<Option<Task>, StoreError>;

    /// The task whose event has this idempotency key.
    async fn task_by_key(&self, idempotency_key: &str) -> Result<Option<Task>, StoreError>;

    /// Tasks, newest first.
    async fn tasks(&self, query: TaskQuery) -> Result<Vec<Task>, StoreError>;

    /// At most `limit` events of a task, by position, after the given one (0: from the start).
    async fn events(
        &self,
        task_id: &TaskId,
        after_seq: u64,
        limit: usize,
    ) -> Result<Vec<Event>, StoreError>;

    /// Where an event stands, to go on after it.
    async fn position(&self, event_id: &EventId) -> Result<Option<Position>, StoreError>;

    /// The artifacts of a task, oldest first.
    async fn artifacts(&self, task_id: &TaskId) -> Result<Vec<Artifact>, StoreError>;

    /// The content of an artifact, checked against its size and hash.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if it is not what was stored, or its file is gone.
    async fn artifact_content(
        &self,
        artifact_id: &ArtifactId,
    ) -> Result<Option<Vec<u8>>, StoreError>;

    /// The model calls of a task, by their start.
    async fn calls(&self, task_id: &TaskId) -> Result<Vec<Call>, StoreError>;

    /// Calls that have no end, oldest first: in flight, or left behind by a crash.
    async fn open_calls(&self) -> Result<Vec<OpenCall>, StoreError>;

    /// What nobody works on any more: calls without an end and unfinished tasks whose program is gone. Where
    /// one program alone may write, that is all that was there when it opened the store.
    async fn orphans(&self) -> Result<Orphans, StoreError>;

    /// What this program recorded and has no end yet: open calls, and tasks that never came to a call. Some of
    /// it is worked on; the caller knows what.
    async fn unfinished(&self) -> Result<Orphans, StoreError>;

    /// True if other programs may write too: then [`orphans`](Self::orphans) can come at any time.
    fn is_shared(&self) -> bool;

    /// A part of the log of all tasks, in the order of the commits. It looks at some ten thousand events at
    /// most, so a page can be empty although more follow.
    async fn log(&self, query: LogQuery) -> Result<EventPage, StoreError>;

    /// The position of the log's last event, as it grows; ends when the store is closed. See
    /// [`LogFollow`](crate::LogFollow).
    fn head(&self) -> watch::Receiver<u64>;

    /// How far a reader of the log has come, as it said with [`save_cursor`](Self::save_cursor); 0 if it
    /// never did.
    async fn cursor(&self, reader: &str) -> Result<u64, StoreError>;

    /// Keeps how far a reader of the log has come.
    async fn save_cursor(&self, reader: &str, position: u64) -> Result<(), StoreError>;

    /// Adds calls up, one row a group in the order of the group's values. Without groups it is one
    /// row, also if there is no call.
    ///
    /// # Errors
    /// [`StoreError::Overflow`] if a sum does not fit 64 bits, [`StoreError::Pruned`] if it begins or ends within
    /// an hour whose single calls were removed, [`StoreError::Corrupt`] if what is kept counts less than nothing.
    async fn cost_rollup(&self, query: CostQuery) -> Result<Vec<CostRow>, StoreError>;

    /// Follows a task: everything that happens from now on, see [`Subscription`].
    fn subscribe(&self, task_id: &TaskId) -> Subscription;

    /// Follows the events of a task alone: nobody makes pieces of answers because of it.
    fn watch(&self, task_id: &TaskId) -> Subscription;

    /// Tells the followers of a task about a piece of an answer, between the events before and after it.
    /// Nothing is recorded. It is made only if somebody follows.
    fn announce(&self, task_id: &TaskId, chunk: &mut dyn FnMut() -> ModelCallChunk);

    /// What it holds, at a glance: nothing is read but indexes.
    async fn overview(&self) -> Result<Overview, StoreError>;

    /// Succeeds if a commit could be recorded now.
    async fn check(&self) -> Result<(), StoreError>;

    /// Computes tasks and calls anew from the events.
    async fn rebuild(&self) -> Result<Rebuilt, StoreError>;

    /// Checks everything: each task's positions and hash chain, tasks, model calls and sums against a
    /// recount of the events, artifacts against their hashes. What is wrong is in the answer.
    async fn verify(&self, progress: &Progress) -> Result<Verified, StoreError>;

    /// What [`prune`](Self::prune) would remove now.
    async fn prunable(&self, query: PruneQuery) -> Result<Pruned, StoreError>;

    /// Removes the events of tasks that ended long ago, with their calls and artifacts. Sums stay, and what makes
    /// a repeated request find its task. `TASK_PRUNED` says what was there.
    async fn prune(&self, query: PruneQuery, progress: &Progress) -> Result<Pruned, StoreError>;

    /// Some of its records as they are, for [`copy`](crate::copy).
    async fn records(&self, query: RecordsQuery, limit: usize) -> Result<Records, StoreError>;

    /// Takes another store's records in, as they are: all of them or, with an error, none. A task that is there
    /// already comes to say what is taken in; an artifact stays but for its content, which is kept anew; a
    /// cursor never goes back; an event that is there is an error. The projections have to be computed with
    /// [`rebuild`](Self::rebuild) afterwards.
    async fn take_in(&self, records: Records) -> Result<(), StoreError>;

    /// Records what was handed over, then closes. What comes later gets [`StoreError::Closed`];
    /// a second call does nothing.
    async fn close(&self) -> Result<(), StoreError>;
}

/// Where an event stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The task that it belongs to.
    pub task_id: TaskId,
    /// Its position there.
    pub task_seq: u64,
}

/// What programs left behind that are gone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Orphans {
    /// Calls without an end, oldest first.
    pub calls: Vec<OpenCall>,
    /// Unfinished tasks, oldest first. All that were created or run are among them in the end, but for
    /// sessions: a shared store leaves those out and gives at most a thousand at once, the others once these
    /// are ended. Tasks in reserved states, which no transition of ours leaves, may be among them or not.
    pub tasks: Vec<Task>,
}

/// What a store holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overview {
    /// The layout of its tables.
    pub layout: i64,
    /// Tasks, pruned ones too.
    pub tasks: u64,
    /// Events that are there.
    pub events: u64,
    /// Model calls without an end.
    pub open_calls: u64,
    /// Artifacts that are there.
    pub artifacts: u64,
    /// The position in the log of the first event that is there; `None` if there is none.
    pub first_position: Option<u64>,
    /// The position in the log of the last event.
    pub last_position: Option<u64>,
    /// When the last event was recorded.
    pub last_event_at: Option<Timestamp>,
    /// What the database takes on its disk, in bytes; artifacts in files are not in it.
    pub database_bytes: u64,
}

/// What a rebuild went over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rebuilt {
    /// Events read.
    pub events: u64,
    /// Model calls found.
    pub calls: u64,
    /// Events whose payload has not the shape of its type. What they would have said is missing from
    /// the projections; the end of a call still ends it, without a cost.
    pub undecodable: u64,
}

/// What a check saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Events whose place and hash were checked.
    pub events: u64,
    /// Tasks whose row was held against their events.
    pub tasks: u64,
    /// Model calls that were held against their events.
    pub calls: u64,
    /// Rows of sums that were held against a recount.
    pub sums: u64,
    /// Artifacts whose content was read and checked.
    pub artifacts: u64,
    /// Events whose payload has not the shape of its type; the chain holds them all the same.
    pub undecodable: u64,
    /// What is wrong, in words; the first hundred.
    pub problems: Vec<String>,
    /// How many things are wrong.
    pub problem_count: u64,
}

impl Verified {
    /// True if nothing is wrong.
    #[must_use]
    pub const fn is_good(&self) -> bool {
        self.problem_count == 0
    }
}

/// Which tasks [`EventStore::prune`] removes the events of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PruneQuery {
    /// Those that ended before this moment.
    pub before: Timestamp,
    /// Those of which every event stands at this position in the log or before it: what stands behind it waits for
    /// another reader of the log.
    pub up_to: u64,
}

impl PruneQuery {
    /// All that ended before a moment, wherever they stand in the log.
    #[must_use]
    pub const fn before(before: Timestamp) -> Self {
        Self {
            before,
            up_to: u64::MAX,
        }
    }

    /// Only what stands in the log up to a position.
    #[must_use]
    pub const fn up_to(self, up_to: u64) -> Self {
        Self { up_to, ..self }
    }
}

/// What was removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Tasks that have a tombstone now.
    pub tasks: u64,
    /// Events removed.
    pub events: u64,
    /// Model calls removed; their sums stay.
    pub calls: u64,
    /// Artifacts removed.
    pub artifacts: u64,
}

impl Pruned {
    pub(crate) fn add(&mut self, other: Self) {
        self.tasks += other.tasks;
        self.events += other.events;
        self.calls += other.calls;
        self.artifacts += other.artifacts;
    }
}
