//! A store in a folder of its own, and the events that the tests put into it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use event_payloads::{
    Actor, Cost, Event, EventId, ModelCallCompleted, ModelCallFailed, ModelCallStarted, Payload,
    StateTransition, TaskCreated, TaskId, TaskStatus, UserMessage,
};
use event_store::{
    Clock, Commit, EventStore, IdSource, ManualClock, NewEvent, Parent, SqliteOptions, SqliteStore,
};
use tempfile::TempDir;

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
        self.store.append(commit(task_id, events)).await.unwrap()
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

pub(crate) fn commit(task_id: &TaskId, events: Vec<NewEvent>) -> Commit {
    Commit {
        task_id: task_id.clone(),
        events,
        artifacts: Vec::new(),
    }
}

pub(crate) fn created() -> NewEvent {
    NewEvent::new(
        Actor::System,
        Payload::TaskCreated(TaskCreated {
            title: "What is the capital of France?".to_owned(),
            thread_id: "default".to_owned(),
            scope_id: "chat:web:default".to_owned(),
            channel: "web".to_owned(),
            sender_id: "owner".to_owned(),
            risk_level: "low".to_owned(),
        }),
    )
}

pub(crate) fn message(text: &str) -> NewEvent {
    NewEvent::new(
        Actor::User,
        Payload::UserMessage(UserMessage {
            text_preview: text.to_owned(),
            text_length: 1,
            attachment_count: 0,
        }),
    )
}

pub(crate) fn moved(from_status: TaskStatus, to_status: TaskStatus) -> NewEvent {
    NewEvent::new(
        Actor::System,
        Payload::StateTransition(StateTransition {
            from_status,
            to_status,
            reason: String::new(),
        }),
    )
}

pub(crate) fn started(alias: &str) -> NewEvent {
    NewEvent::new(
        Actor::System,
        Payload::ModelCallStarted(ModelCallStarted {
            model_alias: alias.to_owned(),
            request_summary: "one message".to_owned(),
            category: "main".to_owned(),
            runtime_group: "main".to_owned(),
            ..ModelCallStarted::default()
        }),
    )
}

pub(crate) fn answer(call: ModelCallCompleted, cost: &Cost) -> NewEvent {
    let call = call.with_cost(cost);
    NewEvent::new(Actor::System, Payload::ModelCallCompleted(Box::new(call)))
}

pub(crate) fn completed(call_id: &EventId, cost: &Cost) -> NewEvent {
    let call = ModelCallCompleted {
        model_alias: "planner".to_owned(),
        response_summary: "Paris.".to_owned(),
        duration_ms: 420,
        model_name: "gpt-4o-mini".to_owned(),
        provider: "openai".to_owned(),
        ..ModelCallCompleted::default()
    };
    answer(call, cost).parent(Parent::Event(call_id.clone()))
}

pub(crate) fn failed(call_id: &EventId) -> NewEvent {
    let call = ModelCallFailed {
        model_alias: "planner".to_owned(),
        error_type: "timeout".to_owned(),
        error_message: "no answer within 30 s".to_owned(),
        duration_ms: 30_000,
        ..ModelCallFailed::default()
    };
    NewEvent::new(Actor::System, Payload::ModelCallFailed(Box::new(call)))
        .parent(Parent::Event(call_id.clone()))
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
