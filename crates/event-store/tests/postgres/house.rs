//! A database with the stores that are open on it.

use std::sync::Arc;
use std::time::Duration;

use event_payloads::{EventId, TaskId, TaskStatus};
use event_store::{EventStore, IdSource, PostgresOptions, PostgresStore, Progress, SystemClock};

use crate::database::{Database, connected};
use crate::events::{commit, created, moved, started};

/// How long a test may take, before it is said to hang.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Takes the lock that all commits take, until the transaction ends.
pub(crate) const LOCK: &str = "SELECT pg_advisory_xact_lock(8026386980994547714)";

pub(crate) struct House {
    pub(crate) database: Database,
    pub(crate) ids: IdSource,
}

impl House {
    pub(crate) async fn fresh() -> Self {
        Self {
            database: Database::fresh().await,
            ids: IdSource::new(Arc::new(SystemClock)),
        }
    }

    pub(crate) fn options(&self) -> PostgresOptions {
        PostgresOptions::new(self.database.url()).unwrap()
    }

    /// Another program's store.
    pub(crate) async fn store(&self) -> Arc<PostgresStore> {
        Arc::new(PostgresStore::open(self.options()).await.unwrap())
    }

    /// A task that runs.
    pub(crate) async fn running(&self, store: &PostgresStore) -> TaskId {
        let task_id = self.ids.task_id();
        let events = vec![created(), moved(TaskStatus::Created, TaskStatus::Running)];
        store.append(commit(&task_id, events)).await.unwrap();
        task_id
    }

    /// Runs a statement beside the stores; gives the first column as text.
    pub(crate) async fn sql(&self, sql: &str) -> Vec<String> {
        let client = connected(self.database.url()).await;
        let rows = client.query(sql, &[]).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }

    /// Ends the server's side of every connection of the stores.
    pub(crate) async fn break_connections(&self) -> usize {
        let sql = "SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity
                   WHERE datname = current_database() AND application_name = 'octo'";
        self.sql(sql).await.len()
    }
}

pub(crate) async fn call(store: &PostgresStore, task_id: &TaskId) -> EventId {
    let commit = commit(task_id, vec![started("planner")]);
    let recorded = store.append(commit).await.unwrap();
    recorded.event_ids().next().unwrap().clone()
}

pub(crate) async fn seqs(store: &PostgresStore, task_id: &TaskId) -> Vec<u64> {
    let events = store.events(task_id, 0, usize::MAX).await.unwrap();
    events.iter().map(|event| event.task_seq).collect()
}

/// Chains, projections and sums are what the events say.
pub(crate) async fn verified(store: &PostgresStore) {
    let verified = store.verify(&Progress::default()).await.unwrap();
    assert_eq!(verified.problems, Vec::<String>::new());
    assert!(verified.events > 0);
}

/// Fails instead of hanging.
pub(crate) async fn in_time<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, Box::pin(work))
        .await
        .unwrap_or_else(|_| panic!("it hangs"))
}
