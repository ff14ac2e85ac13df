//! A store, and many who write to it.

use std::sync::Arc;

use event_payloads::{Actor, LoggedEvent, Payload, TaskCreated, UserMessage};
use event_store::{
    Commit, EventStore, IdSource, LogQuery, NewEvent, SqliteOptions, SqliteStore, SystemClock,
};
use tempfile::TempDir;
use tokio::task::JoinSet;

/// A store in a folder of its own.
pub(crate) struct Books {
    pub(crate) store: Arc<dyn EventStore>,
    ids: Arc<IdSource>,
    _dir: TempDir,
}

impl Books {
    pub(crate) async fn open() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = SqliteOptions::new(dir.path().join("octo.db"), dir.path().join("artifacts"));
        Self {
            store: Arc::new(SqliteStore::open(options).await.unwrap()),
            ids: Arc::new(IdSource::new(Arc::new(SystemClock))),
            _dir: dir,
        }
    }

    /// Writers at once, each with tasks of its own, all of them in turns; recorded when this returns.
    pub(crate) async fn write(&self, writers: usize, tasks: usize, events: usize) {
        let mut all = JoinSet::new();
        for _ in 0..writers {
            all.spawn(write(self.store.clone(), self.ids.clone(), tasks, events));
        }
        while let Some(written) = all.join_next().await {
            written.unwrap();
        }
    }

    /// A task with one event, whose message has at least so many bytes.
    pub(crate) async fn write_long(&self, bytes: usize) {
        let mut created = task_created();
        created.title = "x".repeat(bytes);
        let event = NewEvent::new(Actor::User, Payload::TaskCreated(created));
        let commit = Commit::new(self.ids.task_id()).event(event);
        self.store.append(commit).await.unwrap();
    }

    /// The whole log.
    pub(crate) async fn log(&self) -> Vec<LoggedEvent> {
        let query = LogQuery {
            limit: 100_000,
            ..LogQuery::default()
        };
        let page = self.store.log(query).await.unwrap();
        assert!(page.caught_up);
        page.events
    }
}

async fn write(store: Arc<dyn EventStore>, ids: Arc<IdSource>, tasks: usize, events: usize) {
    let tasks: Vec<_> = (0..tasks).map(|_| ids.task_id()).collect();
    for turn in 0..events {
        for task in &tasks {
            let payload = if turn == 0 { created() } else { message() };
            let commit = Commit::new(task.clone()).event(NewEvent::new(Actor::User, payload));
            store.append(commit).await.unwrap();
        }
    }
}

fn created() -> Payload {
    Payload::TaskCreated(task_created())
}

fn task_created() -> TaskCreated {
    TaskCreated {
        title: "t".into(),
        thread_id: "default".into(),
        scope_id: "chat:web:default".into(),
        channel: "web".into(),
        sender_id: "owner".into(),
        risk_level: "low".into(),
    }
}

fn message() -> Payload {
    Payload::UserMessage(UserMessage {
        text_preview: "hello".into(),
        text_length: 5,
        attachment_count: 0,
    })
}
