//! A SQLite store in a folder of its own.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use event_payloads::{Event, EventId, TaskId, TaskStatus};
use event_store::{Clock, EventStore, IdSource, ManualClock, NewEvent, SqliteOptions, SqliteStore};
use tempfile::TempDir;

use crate::events::{commit, created, moved, started};

/// 2026-03-01T12:00:00 UTC.
pub(crate) const NOON: i64 = 1_772_366_400_000_000;

pub(crate) struct Desk {
    pub(crate) store: Arc<SqliteStore>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) ids: IdSource,
    pub(crate) dir: TempDir,
}

pub(crate) fn database(dir: &Path) -> PathBuf {
    dir.join("sqlite").join("octo.db")
}

pub(crate) fn options(dir: &Path) -> SqliteOptions {
    SqliteOptions::new(database(dir), dir.join("artifacts"))
}

impl Desk {
    pub(crate) async fn new() -> Self {
        Self::with(|options| options).await
    }

    pub(crate) async fn with(set: impl FnOnce(SqliteOptions) -> SqliteOptions) -> Self {
        Self::at(TempDir::new().unwrap(), set).await
    }

    pub(crate) async fn at(dir: TempDir, set: impl FnOnce(SqliteOptions) -> SqliteOptions) -> Self {
        let clock = Arc::new(ManualClock::at_unix_micros(NOON));
        let options = options(dir.path()).clock(Arc::clone(&clock) as Arc<dyn Clock>);
        Self {
            store: Arc::new(SqliteStore::open(set(options)).await.unwrap()),
            ids: IdSource::new(Arc::clone(&clock) as Arc<dyn Clock>),
            clock,
            dir,
        }
    }

    pub(crate) fn path(&self) -> PathBuf {
        database(self.dir.path())
    }

    /// Another connection to the same file, as another program would have it.
    pub(crate) fn sql(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.path()).unwrap()
    }

    pub(crate) async fn append(&self, task_id: &TaskId, events: Vec<NewEvent>) -> Vec<Event> {
        let recorded = self.store.append(commit(task_id, events)).await.unwrap();
        recorded.into_events()
    }

    /// A task that runs.
    pub(crate) async fn running(&self) -> TaskId {
        let task_id = self.ids.task_id();
        let events = vec![created(), moved(TaskStatus::Created, TaskStatus::Running)];
        self.append(&task_id, events).await;
        task_id
    }

    /// A call of a task that has begun.
    pub(crate) async fn call(&self, task_id: &TaskId) -> EventId {
        self.append(task_id, vec![started("planner")])
            .await
            .remove(0)
            .event_id
    }

    pub(crate) async fn seqs(&self, task_id: &TaskId) -> Vec<u64> {
        let events = self.store.events(task_id, 0, usize::MAX).await.unwrap();
        events.iter().map(|event| event.task_seq).collect()
    }
}

/// Every row of a table, in the order of its first column.
pub(crate) fn dump(conn: &rusqlite::Connection, table: &str) -> Vec<String> {
    let sql = format!("SELECT * FROM {table} ORDER BY 1");
    let mut statement = conn.prepare(&sql).unwrap();
    let columns = statement.column_count();
    let rows = statement.query_map([], |row| {
        let values = (0..columns).map(|index| row.get::<_, rusqlite::types::Value>(index));
        Ok(format!("{:?}", values.collect::<Result<Vec<_>, _>>()?))
    });
    rows.unwrap().map(Result::unwrap).collect()
}
