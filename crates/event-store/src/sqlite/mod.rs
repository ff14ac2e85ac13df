//! The store in a SQLite file.

mod adopt;
mod backup;
mod callers;
mod checkpoint;
mod costs;
mod facts;
mod failure;
mod lock;
mod open;
mod options;
mod place;
mod prune;
mod read;
mod readers;
mod rebuild;
mod records;
mod row;
mod schema;
mod verify;
mod write;
mod writer;

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use async_trait::async_trait;
use event_payloads::{ArtifactId, Event, EventId, EventPage, ModelCallChunk, TaskId};
use tokio::sync::{mpsc, oneshot, watch};

use lock::DatabaseLock;
pub use options::SqliteOptions;
use readers::{Readers, blocking};
use writer::{Append, Intake, Job, Reply};

use crate::books::prune::TaskKey;
use crate::books::stamp::Recorded;
use crate::files::ArtifactFiles;
use crate::live::Hub;
use crate::prepared::{ArtifactLimits, Prepared, look_over};
use crate::{
    Artifact, Call, Commit, CostQuery, CostRow, EventStore, LogQuery, OpenCall, Orphans, Overview,
    Position, Progress, PruneQuery, Pruned, Rebuilt, Records, RecordsQuery, StoreError,
    Subscription, Task, TaskQuery, Verified,
};

/// An [`EventStore`] in a SQLite file, with large artifacts in a folder.
///
/// One thread writes; the commits of all callers that wait share one transaction and one sync of
/// the disk, and each returns after that sync. Reads run beside it on connections of their own.
///
/// End it with [`close`](EventStore::close). A store that is only dropped still records what was
/// handed over, on its own thread and without anybody waiting for that.
#[derive(Debug)]
pub struct SqliteStore {
    readers: Readers,
    files: ArtifactFiles,
    limits: ArtifactLimits,
    hub: Arc<Hub>,
    mode: Mode,
    migrated: Option<Rebuilt>,
    /// The position of the log's last event when it was opened.
    opened_at: u64,
}

#[derive(Debug)]
enum Mode {
    ReadOnly {
        /// Keeps others from writing, where that was asked for.
        _lock: Option<DatabaseLock>,
    },
    /// `None` once closed.
    Writing(Mutex<Option<Handle>>),
}

/// The way to the writer's thread.
#[derive(Debug)]
struct Handle {
    jobs: mpsc::Sender<Job>,
    thread: JoinHandle<()>,
}

impl SqliteStore {
    /// What the opening read to bring an old database to today's layout; `None` if it had nothing to read.
    #[must_use]
    pub const fn migrated(&self) -> Option<Rebuilt> {
        self.migrated
    }

    /// Writes a copy of this moment of the store to another place, beside a gateway that goes on. The copy is
    /// complete when this returns; [`verify`](EventStore::verify) on it says whether it is good. Artifacts that
    /// are damaged here are so there too, and do not keep the rest from being copied.
    ///
    /// # Errors
    /// The place is taken, or a disk failed. A copy that was broken off is not a backup.
    pub async fn backup(&self, to: SqliteOptions) -> Result<(), StoreError> {
        let files = self.files.clone();
        self.readers
            .run(move |conn| backup::write(conn, &files, &to))
            .await
    }

    fn jobs(&self) -> Result<mpsc::Sender<Job>, StoreError> {
        let Mode::Writing(handle) = &self.mode else {
            return Err(StoreError::ReadOnly);
        };
        let handle = handle.lock().unwrap_or_else(PoisonError::into_inner);
        handle
            .as_ref()
            .map(|handle| handle.jobs.clone())
            .ok_or(StoreError::Closed)
    }

    /// Hands a job over, waiting for a place in the queue, and waits for its answer.
    async fn ask<T>(&self, job: impl FnOnce(Reply<T>) -> Job) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let jobs = self.jobs()?;
        jobs.send(job(reply))
            .await
            .map_err(|_| StoreError::Closed)?;
        // The sender may be the last: without it the thread can end once it has answered.
        drop(jobs);
        answer.await.map_err(|_| StoreError::Closed)?
    }
}

#[async_trait]
impl EventStore for SqliteStore {
    fn kind(&self) -> &'static str {
        "sqlite"
    }

    async fn append(&self, commit: Commit) -> Result<Recorded, StoreError> {
        drop(self.jobs()?);
        look_over(&commit, self.limits)?;
        let (limits, files) = (self.limits, self.files.clone());
        let prepared = if Prepared::takes_time(&commit, limits) {
            blocking(move || Prepared::new(commit, limits, Some(&files))).await??
        } else {
            Prepared::new(commit, limits, Some(&files))?
        };
        self.ask(|reply| {
            Job::Append(Append {
                commit: prepared,
                reply,
            })
        })
        .await
    }

    async fn task(&self, task_id: &TaskId) -> Result<Option<Task>, StoreError> {
        let task_id = task_id.clone();
        let read = move |conn: &_| read::task(conn, &task_id);
        self.readers.run(read).await
    }

    async fn task_by_key(&self, idempotency_key: &str) -> Result<Option<Task>, StoreError> {
        let key = idempotency_key.to_owned();
        let read = move |conn: &_| read::task_by_key(conn, &key);
        self.readers.run(read).await
    }

    async fn tasks(&self, query: TaskQuery) -> Result<Vec<Task>, StoreError> {
        self.readers.run(move |conn| read::tasks(conn, query)).await
    }

    async fn events(
        &self,
        task_id: &TaskId,
        after_seq: u64,
        limit: usize,
    ) -> Result<Vec<Event>, StoreError> {
        let task_id = task_id.clone();
        let read = move |conn: &_| read::events(conn, &task_id, after_seq, limit);
        self.readers.run(read).await
    }

    async fn position(&self, event_id: &EventId) -> Result<Option<Position>, StoreError> {
        let event_id = event_id.clone();
        let read = move |conn: &_| read::position(conn, &event_id);
        self.readers.run(read).await
    }

    async fn artifacts(&self, task_id: &TaskId) -> Result<Vec<Artifact>, StoreError> {
        let task_id = task_id.clone();
        let read = move |conn: &_| read::artifacts(conn, &task_id);
        self.readers.run(read).await
    }

    async fn artifact_content(
        &self,
        artifact_id: &ArtifactId,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let (artifact_id, files) = (artifact_id.clone(), self.files.clone());
        let read = move |conn: &_| read::artifact_content(conn, &files, &artifact_id);
        self.readers.run(read).await
    }

    async fn calls(&self, task_id: &TaskId) -> Result<Vec<Call>, StoreError> {
        let task_id = task_id.clone();
        let read = move |conn: &_| costs::calls(conn, &task_id);
        self.readers.run(read).await
    }

    async fn open_calls(&self) -> Result<Vec<OpenCall>, StoreError> {
        self.readers.run(read::open_calls).await
    }

    async fn orphans(&self) -> Result<Orphans, StoreError> {
        let until = self.opened_at;
        self.readers
            .run(move |conn| read::orphans(conn, until))
            .await
    }

    async fn unfinished(&self) -> Result<Orphans, StoreError> {
        self.readers.run(read::unfinished).await
    }

    fn is_shared(&self) -> bool {
        false
    }

    async fn log(&self, query: LogQuery) -> Result<EventPage, StoreError> {
        self.readers.run(move |conn| read::log(conn, &query)).await
    }

    fn head(&self) -> watch::Receiver<u64> {
        self.hub.head()
    }

    async fn cursor(&self, reader: &str) -> Result<u64, StoreError> {
        let reader = reader.to_owned();
        self.readers
            .run(move |conn| read::cursor(conn, &reader))
            .await
    }

    async fn save_cursor(&self, reader: &str, position: u64) -> Result<(), StoreError> {
        let reader = reader.to_owned();
        self.ask(|reply| Job::SaveCursor(reader, position, reply))
            .await
    }

    async fn cost_rollup(&self, query: CostQuery) -> Result<Vec<CostRow>, StoreError> {
        let read = move |conn: &_| costs::rollup(conn, &query);
        self.readers.run(read).await
    }

    fn subscribe(&self, task_id: &TaskId) -> Subscription {
        self.hub.subscribe(task_id, true)
    }

    fn watch(&self, task_id: &TaskId) -> Subscription {
        self.hub.subscribe(task_id, false)
    }

    fn announce(&self, task_id: &TaskId, chunk: &mut dyn FnMut() -> ModelCallChunk) {
        self.hub.announce(task_id, chunk);
    }

    async fn overview(&self) -> Result<Overview, StoreError> {
        self.readers.run(read::overview).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.ask(Job::Check).await
    }

    async fn rebuild(&self) -> Result<Rebuilt, StoreError> {
        self.ask(Job::Rebuild).await
    }

    async fn verify(&self, progress: &Progress) -> Result<Verified, StoreError> {
        let (files, progress) = (self.files.clone(), progress.clone());
        self.readers
            .run(move |conn| verify::everything(conn, &files, &progress))
            .await
    }

    async fn prunable(&self, query: PruneQuery) -> Result<Pruned, StoreError> {
        let read = move |conn: &_| read::prunable(conn, query);
        self.readers.run(read).await
    }

    async fn prune(&self, query: PruneQuery, progress: &Progress) -> Result<Pruned, StoreError> {
        let mut pruned = Pruned::default();
        let mut after = TaskKey::default();
        loop {
            let look = move |conn: &_| prune::candidates(conn, query, &after);
            let tasks = self.readers.run(look).await?;
            let Some(last) = tasks.last().cloned() else {
                return Ok(pruned);
            };
            after = last;
            let files = self.files.clone();
            let part = self
                .ask(|reply| Job::Prune(query, tasks, files, reply))
                .await?;
            pruned.add(part.pruned);
            progress.add(part.pruned.events);
            let files = self.files.clone();
            blocking(move || files.remove_all(part.leaving)).await?;
        }
    }

    async fn records(&self, query: RecordsQuery, limit: usize) -> Result<Records, StoreError> {
        let files = self.files.clone();
        self.readers
            .run(move |conn| records::some(conn, &files, &query, limit))
            .await
    }

    async fn take_in(&self, records: Records) -> Result<(), StoreError> {
        let (files, limits) = (self.files.clone(), self.limits);
        self.ask(|reply| {
            Job::TakeIn(
                Box::new(Intake {
                    records,
                    files,
                    limits,
                }),
                reply,
            )
        })
        .await
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.readers.close().await;
        let Mode::Writing(handle) = &self.mode else {
            return Ok(());
        };
        let handle = handle.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Handle { jobs, thread }) = handle else {
            return Ok(());
        };
        // An error means that the thread has ended already.
        let _ = jobs.send(Job::Close).await;
        drop(jobs);
        blocking(move || thread.join())
            .await?
            .map_err(|_| StoreError::Io {
                doing: "end the writer's thread, it had failed before".to_owned(),
                source: Arc::new(std::io::Error::other("the thread panicked")),
            })
    }
}
