//! A store over a real one that fails as the test says, and can pass for one that other gateways write to.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use event_payloads::{ArtifactId, Event, EventId, EventPage, ModelCallChunk, TaskId};
use event_store::{
    Artifact, Call, Commit, CostQuery, CostRow, EventStore, LogQuery, OpenCall, Orphans, Overview,
    Position, Progress, PruneQuery, Pruned, Rebuilt, Recorded, Records, RecordsQuery, SqliteStore,
    StoreError, Subscription, Task, TaskQuery, Verified,
};
use tokio::sync::watch;

/// What becomes of a commit.
#[derive(Debug)]
pub(crate) enum Fate {
    /// Nothing of it is recorded.
    Fails(StoreError),
    /// All of it is recorded, and the storage says this.
    IsRecorded(StoreError),
    /// Another gateway records this right before it.
    ComesAfter(Commit),
}

/// The store. What it is told to do comes first; after that it does what the real one does.
#[derive(Debug)]
pub(crate) struct Troubled {
    store: SqliteStore,
    is_shared: bool,
    /// Of the next commits.
    fates: Mutex<VecDeque<Fate>>,
    /// Of the next questions for a task, and where an event stands.
    task_errors: Mutex<VecDeque<StoreError>>,
    position_errors: Mutex<VecDeque<StoreError>>,
    appends: AtomicUsize,
    task_questions: AtomicUsize,
}

impl Troubled {
    pub(crate) fn new(store: SqliteStore, is_shared: bool) -> Self {
        Self {
            store,
            is_shared,
            fates: Mutex::default(),
            task_errors: Mutex::default(),
            position_errors: Mutex::default(),
            appends: AtomicUsize::new(0),
            task_questions: AtomicUsize::new(0),
        }
    }

    /// What becomes of the next commits that come through here. They are counted from now on.
    pub(crate) fn next_commits(&self, fates: impl IntoIterator<Item = Fate>) {
        self.fates.lock().unwrap().extend(fates);
        self.appends.store(0, Ordering::SeqCst);
    }

    /// The commits that came since.
    pub(crate) fn commits(&self) -> usize {
        self.appends.load(Ordering::SeqCst)
    }

    /// What the next questions for a task come to. They are counted from now on.
    pub(crate) fn next_tasks(&self, errors: impl IntoIterator<Item = StoreError>) {
        self.task_errors.lock().unwrap().extend(errors);
        self.task_questions.store(0, Ordering::SeqCst);
    }

    /// The questions for a task that came since.
    pub(crate) fn tasks_asked(&self) -> usize {
        self.task_questions.load(Ordering::SeqCst)
    }

    /// What the next questions for the place of an event come to.
    pub(crate) fn next_positions(&self, errors: impl IntoIterator<Item = StoreError>) {
        self.position_errors.lock().unwrap().extend(errors);
    }

    /// The store as another gateway has it.
    pub(crate) const fn elsewhere(&self) -> &SqliteStore {
        &self.store
    }
}

fn next<T>(queue: &Mutex<VecDeque<T>>) -> Option<T> {
    queue.lock().unwrap().pop_front()
}

/// The disk fails.
pub(crate) fn io() -> StoreError {
    StoreError::Io {
        doing: "write".to_owned(),
        source: Arc::new(io::Error::other("the disk is gone")),
    }
}

/// The connection breaks in the middle of a commit.
pub(crate) fn in_doubt() -> StoreError {
    StoreError::InDoubt {
        server: "db:5432/octo".to_owned(),
        source: Arc::new(io::Error::other("connection reset")),
    }
}

/// The server is away.
pub(crate) fn unreachable() -> StoreError {
    StoreError::Unreachable {
        server: "db:5432/octo".to_owned(),
        source: Arc::new(io::Error::other("connection refused")),
    }
}

#[async_trait]
impl EventStore for Troubled {
    fn is_shared(&self) -> bool {
        self.is_shared
    }

    async fn append(&self, commit: Commit) -> Result<Recorded, StoreError> {
        self.appends.fetch_add(1, Ordering::SeqCst);
        match next(&self.fates) {
            None => {}
            Some(Fate::Fails(error)) => return Err(error),
            Some(Fate::IsRecorded(error)) => {
                self.store.append(commit).await?;
                return Err(error);
            }
            Some(Fate::ComesAfter(other)) => {
                self.store.append(other).await?;
            }
        }
        self.store.append(commit).await
    }

    async fn task(&self, task_id: &TaskId) -> Result<Option<Task>, StoreError> {
        self.task_questions.fetch_add(1, Ordering::SeqCst);
        match next(&self.task_errors) {
            Some(error) => Err(error),
            None => self.store.task(task_id).await,
        }
    }

    async fn position(&self, event_id: &EventId) -> Result<Option<Position>, StoreError> {
        match next(&self.position_errors) {
            Some(error) => Err(error),
            None => self.store.position(event_id).await,
        }
    }

    fn kind(&self) -> &'static str {
        self.store.kind()
    }

    async fn task_by_key(&self, idempotency_key: &str) -> Result<Option<Task>, StoreError> {
        self.store.task_by_key(idempotency_key).await
    }

    async fn tasks(&self, query: TaskQuery) -> Result<Vec<Task>, StoreError> {
        self.store.tasks(query).await
    }

    async fn events(
        &self,
        task_id: &TaskId,
        after_seq: u64,
        limit: usize,
    ) -> Result<Vec<Event>, StoreError> {
        self.store.events(task_id, after_seq, limit).await
    }

    async fn artifacts(&self, task_id: &TaskId) -> Result<Vec<Artifact>, StoreError> {
        self.store.artifacts(task_id).await
    }

    async fn artifact_content(
        &self,
        artifact_id: &ArtifactId,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.artifact_content(artifact_id).await
    }

    async fn calls(&self, task_id: &TaskId) -> Result<Vec<Call>, StoreError> {
        self.store.calls(task_id).await
    }

    async fn open_calls(&self) -> Result<Vec<OpenCall>, StoreError> {
        self.store.open_calls().await
    }

    async fn orphans(&self) -> Result<Orphans, StoreError> {
        self.store.orphans().await
    }

    async fn unfinished(&self) -> Result<Orphans, StoreError> {
        self.store.unfinished().await
    }

    async fn log(&self, query: LogQuery) -> Result<EventPage, StoreError> {
        self.store.log(query).await
    }

    fn head(&self) -> watch::Receiver<u64> {
        self.store.head()
    }

    async fn cursor(&self, reader: &str) -> Result<u64, StoreError> {
        self.store.cursor(reader).await
    }

    async fn save_cursor(&self, reader: &str, position: u64) -> Result<(), StoreError> {
        self.store.save_cursor(reader, position).await
    }

    async fn cost_rollup(&self, query: CostQuery) -> Result<Vec<CostRow>, StoreError> {
        self.store.cost_rollup(query).await
    }

    fn subscribe(&self, task_id: &TaskId) -> Subscription {
        self.store.subscribe(task_id)
    }

    fn watch(&self, task_id: &TaskId) -> Subscription {
        assert!(self.is_shared, "nobody else can end a task");
        self.store.watch(task_id)
    }

    fn announce(&self, task_id: &TaskId, chunk: &mut dyn FnMut() -> ModelCallChunk) {
        self.store.announce(task_id, chunk);
    }

    async fn overview(&self) -> Result<Overview, StoreError> {
        self.store.overview().await
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.store.check().await
    }

    async fn rebuild(&self) -> Result<Rebuilt, StoreError> {
        self.store.rebuild().await
    }

    async fn verify(&self, progress: &Progress) -> Result<Verified, StoreError> {
        self.store.verify(progress).await
    }

    async fn prunable(&self, query: PruneQuery) -> Result<Pruned, StoreError> {
        self.store.prunable(query).await
    }

    async fn prune(&self, query: PruneQuery, progress: &Progress) -> Result<Pruned, StoreError> {
        self.store.prune(query, progress).await
    }

    async fn records(&self, query: RecordsQuery, limit: usize) -> Result<Records, StoreError> {
        self.store.records(query, limit).await
    }

    async fn take_in(&self, records: Records) -> Result<(), StoreError> {
        self.store.take_in(records).await
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.store.close().await
    }
}
