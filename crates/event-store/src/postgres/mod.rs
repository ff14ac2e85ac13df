//! The store in a Postgres database, for any number of programs at once.

mod connect;
mod facts;
mod failure;
mod feed;
mod group;
mod known;
mod lease;
mod moment;
mod open;
mod options;
mod patience;
mod pipeline;
mod pool;
mod prune;
mod read;
mod rebuild;
mod records;
mod repair;
mod row;
mod schema;
mod statements;
mod verify;
mod walk;
mod write;
mod writer;

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use event_payloads::{ArtifactId, Event, EventId, EventPage, ModelCallChunk, TaskId};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use connect::Connector;
use lease::Lease;
pub use options::PostgresOptions;
use pool::Readers;
use repair::Kept;
use writer::{Append, Job};

use crate::books::prune::TaskKey;
use crate::books::stamp::Recorded;
use crate::live::Hub;
use crate::prepared::{ArtifactLimits, Prepared, look_over};
use crate::{
    Artifact, Call, Clock, Commit, CostQuery, CostRow, EventStore, LogQuery, OpenCall, Orphans,
    Overview, Position, Progress, PruneQuery, Pruned, Rebuilt, Records, RecordsQuery, StoreError,
    Subscription, Task, TaskQuery, Verified,
};

/// An [`EventStore`] in a Postgres database, which any number of programs may write to at once.
///
/// Commits of all programs come one after the other, so the log has one order and no position is ever
/// missing. The commits of all callers of one program that wait share one transaction. What one program
/// records, followers in every other hear of as it is recorded; only the pieces of answers
/// ([`announce`](EventStore::announce)) stay in the program that receives them.
///
/// A connection that is lost is made again, and a commit that it took along is tried again for a while
/// ([`PostgresOptions::retry_for`]). If it broke in the middle of a commit, the database is asked whether
/// that is recorded; [`StoreError::InDoubt`] says that it could not be asked.
///
/// End it with [`close`](EventStore::close). A store that is only dropped still records what was handed
/// over, if its runtime goes on, and counts as alive until its lease expires.
#[derive(Debug)]
pub struct PostgresStore {
    connector: Connector,
    readers: Arc<Readers>,
    limits: ArtifactLimits,
    hub: Arc<Hub>,
    lease: Lease,
    clock: Arc<dyn Clock>,
    taking_in: Kept,
    mode: Mode,
}

#[derive(Debug)]
enum Mode {
    ReadOnly,
    /// `None` once closed.
    Writing(Mutex<Option<Handle>>),
}

/// The way to the writer, and the tasks that work.
#[derive(Debug)]
struct Handle {
    jobs: mpsc::Sender<Job>,
    writing: JoinSet<()>,
    beside: JoinSet<()>,
    closing: watch::Sender<bool>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.writing.detach_all();
    }
}

impl PostgresStore {
    /// How many other programs write to this database: those whose lease has not expired.
    ///
    /// # Errors
    /// The database can not be asked.
    pub async fn others(&self) -> Result<u64, StoreError> {
        self.readers.others(&self.lease.gateway_id).await
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

    /// Refuses texts that Postgres can not keep, before they reach a transaction that others share.
    fn look_over(&self, commit: &Commit) -> Result<(), StoreError> {
        look_over(commit, self.limits)?;
        let of_events = commit.events.iter().flat_map(|event| {
            let key = event.idempotency_key.as_deref().unwrap_or_default();
            [event.span_id.as_str(), event.actor.as_str(), key]
        });
        let of_artifacts = commit.artifacts.iter();
        let of_artifacts =
            of_artifacts.flat_map(|each| [each.name.as_str(), each.description.as_str()]);
        let types = commit.events.iter().map(|event| event.payload.event_type());
        if of_events.chain(of_artifacts).all(read::is_text)
            && types.into_iter().all(|kind| read::is_text(kind.as_str()))
        {
            return Ok(());
        }
        Err(StoreError::InvalidCommit {
            task_id: commit.task_id.clone(),
            reason: "one of its texts has a zero character in it".to_owned(),
        })
    }
}

#[async_trait]
impl EventStore for PostgresStore {
    fn kind(&self) -> &'static str {
        "postgres"
    }

    async fn append(&self, commit: Commit) -> Result<Recorded, StoreError> {
        let jobs = self.jobs()?;
        self.look_over(&commit)?;
        let commit = Prepared::new(commit, self.limits, None)?;
        let (reply, answer) = oneshot::channel();
        let job = Job::Append(Append { commit, reply });
        jobs.send(job).await.map_err(|_| StoreError::Closed)?;
        // The sender may be the last: without it the writer can end once it has answered.
        drop(jobs);
        answer.await.map_err(|_| StoreError::Closed)?
    }

    async fn task(&self, task_id: &TaskId) -> Result<Option<Task>, StoreError> {
        self.readers.task(task_id).await
    }

    async fn task_by_key(&self, idempotency_key: &str) -> Result<Option<Task>, StoreError> {
        self.readers.task_by_key(idempotency_key).await
    }

    async fn tasks(&self, query: TaskQuery) -> Result<Vec<Task>, StoreError> {
        self.readers.tasks(query).await
    }

    async fn events(
        &self,
        task_id: &TaskId,
        after_seq: u64,
        limit: usize,
    ) -> Result<Vec<Event>, StoreError> {
        self.readers.events(task_id, after_seq, limit).await
    }

    async fn position(&self, event_id: &EventId) -> Result<Option<Position>, StoreError> {
        self.readers.position(event_id).await
    }

    async fn artifacts(&self, task_id: &TaskId) -> Result<Vec<Artifact>, StoreError> {
        self.readers.artifacts(task_id).await
    }

    async fn artifact_content(
        &self,
        artifact_id: &ArtifactId,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        self.readers.artifact_content(artifact_id).await
    }

    async fn calls(&self, task_id: &TaskId) -> Result<Vec<Call>, StoreError> {
        self.readers.calls(task_id).await
    }

    async fn open_calls(&self) -> Result<Vec<OpenCall>, StoreError> {
        self.readers.open_calls().await
    }

    async fn orphans(&self) -> Result<Orphans, StoreError> {
        lease::orphans(&self.readers, &self.lease).await
    }

    async fn unfinished(&self) -> Result<Orphans, StoreError> {
        self.readers.unfinished(&self.lease.gateway_id).await
    }

    fn is_shared(&self) -> bool {
        true
    }

    async fn log(&self, query: LogQuery) -> Result<EventPage, StoreError> {
        self.readers.log(&query).await
    }

    fn head(&self) -> watch::Receiver<u64> {
        self.hub.head()
    }

    async fn cursor(&self, reader: &str) -> Result<u64, StoreError> {
        self.readers.cursor(reader).await
    }

    async fn save_cursor(&self, reader: &str, position: u64) -> Result<(), StoreError> {
        drop(self.jobs()?);
        if !read::is_text(reader) {
            return Err(StoreError::Unusable {
                server: self.connector.server().to_owned(),
                problem: "the name of a reader has a zero character in it".to_owned(),
            });
        }
        let position = crate::rows::to_sql(position);
        self.readers
            .query(crate::sql::SAVE_CURSOR, &[&reader, &position])
            .await?;
        Ok(())
    }

    async fn cost_rollup(&self, query: CostQuery) -> Result<Vec<CostRow>, StoreError> {
        self.readers.cost_rollup(&query).await
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
        self.readers.overview().await
    }

    async fn prunable(&self, query: PruneQuery) -> Result<Pruned, StoreError> {
        self.readers.prunable(query).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        drop(self.jobs()?);
        let sql = format!(
            "SELECT current_setting('transaction_read_only'), ({})",
            schema::FOUND
        );
        let told = |failure: failure::Failure| failure.told(self.connector.server());
        for row in self.readers.query(&sql, &[]).await? {
            let read_only: &str = row.try_get(0).map_err(|error| told(error.into()))?;
            if read_only == "on" {
                return Err(told(failure::Failure::lost("it takes no writes")));
            }
            schema::refuse_newer(row.try_get(1).map_err(|error| told(error.into()))?)?;
        }
        Ok(())
    }

    async fn rebuild(&self) -> Result<Rebuilt, StoreError> {
        drop(self.jobs()?);
        // It comes at the end of a copy.
        drop(self.taking_in.forget());
        rebuild::everything(&self.connector).await
    }

    async fn verify(&self, progress: &Progress) -> Result<Verified, StoreError> {
        verify::everything(&self.connector, progress).await
    }

    async fn prune(&self, query: PruneQuery, progress: &Progress) -> Result<Pruned, StoreError> {
        let told = |failure: failure::Failure| failure.told(self.connector.server());
        drop(self.jobs()?);
        let mut repairer = prune::open(&self.connector).await.map_err(told)?;
        let mut pruned = Pruned::default();
        let mut after = TaskKey::default();
        loop {
            let tasks = prune::candidates(&repairer.conn, query, &after);
            let tasks = tasks.await.map_err(told)?;
            let Some(last) = tasks.last().cloned() else {
                return Ok(pruned);
            };
            after = last;
            // Until the store is closed.
            drop(self.jobs()?);
            let (own, clock) = (&self.lease.gateway_id, self.clock.as_ref());
            let part = Box::pin(prune::some(&mut repairer, own, query, &tasks, clock));
            let part = part.await.map_err(told)?;
            for event in part.events {
                self.hub.publish_one(event);
            }
            self.hub.reach(part.head);
            pruned.add(part.pruned);
            progress.add(part.pruned.events);
        }
    }

    async fn records(&self, query: RecordsQuery, limit: usize) -> Result<Records, StoreError> {
        records::some(&self.readers, &query, limit).await
    }

    async fn take_in(&self, records: Records) -> Result<(), StoreError> {
        drop(self.jobs()?);
        let own = &self.lease.gateway_id;
        let kept = &self.taking_in;
        let head = records::take_in(&self.connector, kept, self.limits, own, records).await?;
        self.hub.reach(head);
        Ok(())
    }

    async fn close(&self) -> Result<(), StoreError> {
        let handle = match &self.mode {
            Mode::ReadOnly => None,
            Mode::Writing(handle) => handle.lock().unwrap_or_else(PoisonError::into_inner).take(),
        };
        drop(self.taking_in.forget());
        let Some(mut handle) = handle else {
            self.readers.close().await;
            return Ok(());
        };
        // An error means that the writer has ended already.
        let _ = handle.jobs.send(Job::Close).await;
        while handle.writing.join_next().await.is_some() {}
        handle.closing.send_replace(true);
        while handle.beside.join_next().await.is_some() {}
        let released = self.lease.release(&self.readers).await;
        self.readers.close().await;
        if let Err(error) = released {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the lease on the database stays until it expires"
            );
        }
        Ok(())
    }
}
