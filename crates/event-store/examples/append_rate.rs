//! Durable commits per second: raw SQLite with one commit an insert, then the store with 1, 16 and
//! 64 callers at once. `cargo run --release -p event-store --example append_rate`
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a measurement on the command line"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use event_payloads::{Actor, Payload, TaskCreated, TaskId, UserMessage};
use event_store::{
    Commit, EventStore, IdSource, NewEvent, SqliteOptions, SqliteStore, SystemClock,
};

const TIME: Duration = Duration::from_secs(3);

fn main() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    // In the working folder: a temporary folder may be in memory, where nothing is ever synced.
    let dir = tempfile::TempDir::new_in(".").unwrap();
    println!(
        "raw rusqlite, 1 insert a commit: {:.0}/s",
        raw(&dir.path().join("raw.db"))
    );
    for callers in [1, 16, 64] {
        let path = dir.path().join(format!("{callers}.db"));
        let options = SqliteOptions::new(path, dir.path().join("artifacts"));
        let (rate, p50, p99) = runtime.block_on(measured(options, callers));
        println!("store, {callers} callers: {rate:.0} commits/s, p50 {p50:?}, p99 {p99:?}");
    }
}

fn raw(path: &std::path::Path) -> f64 {
    let conn = rusqlite::Connection::open(path).unwrap();
    conn.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE events (id INTEGER PRIMARY KEY, payload TEXT NOT NULL)").unwrap();
    let mut insert = conn
        .prepare("INSERT INTO events (payload) VALUES (?1)")
        .unwrap();
    let text = "x".repeat(300);
    let (start, mut commits) = (Instant::now(), 0_u32);
    while start.elapsed() < TIME {
        insert.execute([&text]).unwrap();
        commits += 1;
    }
    f64::from(commits) / start.elapsed().as_secs_f64()
}

async fn measured(options: SqliteOptions, callers: usize) -> (f64, Duration, Duration) {
    let store = Arc::new(SqliteStore::open(options).await.unwrap());
    let ids = IdSource::new(Arc::new(SystemClock));
    let start = Instant::now();
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..callers {
        let (store, task_id) = (Arc::clone(&store), ids.task_id());
        running.spawn(async move {
            let commit = Commit::new(task_id.clone());
            store.append(commit.event(created())).await.unwrap();
            appends(&store, &task_id, start).await
        });
    }
    let mut times: Vec<Duration> = running.join_all().await.into_iter().flatten().collect();
    let rate = times.len() as f64 / start.elapsed().as_secs_f64();
    store.close().await.unwrap();
    times.sort_unstable();
    let at = |percent: usize| {
        times
            .get(times.len() * percent / 100)
            .copied()
            .unwrap_or_default()
    };
    (rate, at(50), at(99))
}

async fn appends(store: &SqliteStore, task_id: &TaskId, start: Instant) -> Vec<Duration> {
    let mut times = Vec::new();
    while start.elapsed() < TIME {
        let began = Instant::now();
        let commit = Commit::new(task_id.clone()).event(message());
        store.append(commit).await.unwrap();
        times.push(began.elapsed());
    }
    times
}

fn created() -> NewEvent {
    let created = Payload::TaskCreated(TaskCreated {
        title: "a task".to_owned(),
        thread_id: "default".to_owned(),
        scope_id: "chat:web:default".to_owned(),
        channel: "web".to_owned(),
        sender_id: "owner".to_owned(),
        risk_level: "low".to_owned(),
    });
    NewEvent::new(Actor::System, created)
}

fn message() -> NewEvent {
    let message = Payload::UserMessage(UserMessage {
        text_preview: "x".repeat(200),
        text_length: 200,
        attachment_count: 0,
    });
    NewEvent::new(Actor::User, message)
}
