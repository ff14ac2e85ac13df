//! A store whose process is killed in mid-use keeps every commit that it acknowledged, whole.
//!
//! This program is both: the one that kills, and (with a folder in the environment) the one that is
//! killed.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test with a main of its own"
)]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use event_payloads::{
    Actor, ArtifactCreated, ErrorClass, ErrorEvent, Payload, TaskCreated, TaskId,
};
use event_store::{
    Commit, EventStore, IdSource, NewArtifact, NewEvent, SqliteOptions, SqliteStore, SystemClock,
    TaskQuery,
};

const FOLDER: &str = "EVENT_STORE_CRASH_TEST_FOLDER";
const ROUNDS: usize = 3;
const ACKNOWLEDGED: usize = 150;
const EVENTS_PER_COMMIT: usize = 2;

fn main() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    if let Some(folder) = std::env::var_os(FOLDER) {
        return runtime.block_on(record_until_killed(&PathBuf::from(folder)));
    }
    let folder = tempfile::TempDir::new().unwrap();
    let mut acknowledged = Vec::new();
    for _ in 0..ROUNDS {
        acknowledged.extend(kill_a_recorder(folder.path()));
        runtime.block_on(check(folder.path(), &acknowledged));
    }
    println!(
        "{} acknowledged commits survived {ROUNDS} kills",
        acknowledged.len()
    );
}

fn options(folder: &Path) -> SqliteOptions {
    SqliteOptions::new(folder.join("octo.db"), folder.join("artifacts"))
}

/// Starts a recorder, kills it after some acknowledgements, and gives all that it acknowledged:
/// the task, and the position of the commit's last event.
fn kill_a_recorder(folder: &Path) -> Vec<(TaskId, u64)> {
    let mut recorder = Command::new(std::env::current_exe().unwrap())
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(recorder.stdout.take().unwrap()).lines();
    let mut acknowledged: Vec<String> = lines
        .by_ref()
        .take(ACKNOWLEDGED)
        .map(Result::unwrap)
        .collect();
    assert_eq!(
        acknowledged.len(),
        ACKNOWLEDGED,
        "the recorder ended by itself"
    );
    // SIGKILL: nothing of it runs any more.
    recorder.kill().unwrap();
    recorder.wait().unwrap();
    acknowledged.extend(lines.map(Result::unwrap));
    // The last line may have been cut.
    acknowledged.iter().filter_map(|line| parse(line)).collect()
}

fn parse(line: &str) -> Option<(TaskId, u64)> {
    let (task_id, seq) = line.strip_suffix(" ok")?.split_once(' ')?;
    Some((task_id.parse().ok()?, seq.parse().ok()?))
}

async fn record_until_killed(folder: &Path) {
    let store = Arc::new(SqliteStore::open(options(folder)).await.unwrap());
    let ids = Arc::new(IdSource::new(Arc::new(SystemClock)));
    let mut recorders = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (store, ids) = (Arc::clone(&store), Arc::clone(&ids));
        recorders.spawn(async move {
            let task_id = ids.task_id();
            let mut commit = first(&task_id);
            loop {
                let recorded = store.append(commit).await.unwrap().into_events();
                let last = recorded.last().unwrap();
                println!("{task_id} {} ok", last.task_seq);
                commit = next(&task_id, &ids);
            }
        });
    }
    recorders.join_all().await;
}

fn first(task_id: &TaskId) -> Commit {
    let created = Payload::TaskCreated(TaskCreated {
        title: "a task".to_owned(),
        thread_id: "default".to_owned(),
        scope_id: "chat:web:default".to_owned(),
        channel: "web".to_owned(),
        sender_id: "owner".to_owned(),
        risk_level: "low".to_owned(),
    });
    Commit::new(task_id.clone())
        .event(NewEvent::new(Actor::System, created))
        .event(note())
}

fn note() -> NewEvent {
    let error = Payload::Error(ErrorEvent {
        error_type: ErrorClass::System,
        error_message: "x".repeat(500),
        recoverable: false,
        recovery_hint: String::new(),
    });
    NewEvent::new(Actor::System, error)
}

/// Two events and a file.
fn next(task_id: &TaskId, ids: &IdSource) -> Commit {
    let artifact_id = ids.artifact_id();
    let created = Payload::ArtifactCreated(ArtifactCreated {
        artifact_id: artifact_id.clone(),
        name: "llm-response".to_owned(),
        size: 5_000,
        part_count: 1,
    });
    Commit::new(task_id.clone())
        .event(note())
        .event(NewEvent::new(Actor::System, created))
        .artifact(NewArtifact {
            artifact_id,
            name: "llm-response".to_owned(),
            description: String::new(),
            mime: "text/plain".to_owned(),
            content: vec![b'x'; 5_000],
        })
}

async fn check(folder: &Path, acknowledged: &[(TaskId, u64)]) {
    let store = SqliteStore::open(options(folder)).await.unwrap();
    for (task_id, seq) in acknowledged {
        let events = store.events(task_id, seq - 1, 1).await.unwrap();
        assert_eq!(
            events[0].task_seq, *seq,
            "acknowledged and lost: {task_id} {seq}"
        );
    }
    let query = TaskQuery {
        status: None,
        limit: usize::MAX,
    };
    for task in store.tasks(query).await.unwrap() {
        let events = store.events(&task.task_id, 0, usize::MAX).await.unwrap();
        assert_eq!(events.len() % EVENTS_PER_COMMIT, 0, "half a commit");
        assert!(
            events
                .iter()
                .map(|event| event.task_seq)
                .eq((1..).take(events.len()))
        );
        let artifacts = store.artifacts(&task.task_id).await.unwrap();
        assert_eq!(artifacts.len(), events.len() / EVENTS_PER_COMMIT - 1);
        for artifact in artifacts {
            let content = store.artifact_content(&artifact.artifact_id).await.unwrap();
            assert_eq!(content.map(|content| content.len()), Some(5_000));
        }
    }
    store.rebuild().await.unwrap();
    store.close().await.unwrap();
}
