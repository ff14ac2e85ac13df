//! Checked, pruned, backed up, copied.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use event_payloads::{Cost, CostSource, TaskId, Timestamp};
use event_store::{
    EventStore, LogQuery, NewArtifact, Progress, PruneQuery, SqliteStore, StoreError,
};
use tempfile::TempDir;

use crate::desk::{Desk, NOON, options};
use crate::ended;
use crate::events::{commit, message};

const DAY: i64 = 86_400_000_000;

fn known(text: &str) -> Cost {
    Cost::known(text.parse().unwrap(), CostSource::Proxy)
}

async fn ended(desk: &Desk, key: &str, cost: &Cost) -> TaskId {
    ended::task(desk.store.as_ref(), &desk.ids, key, cost).await
}

async fn problems(store: &dyn EventStore) -> Vec<String> {
    let verified = store.verify(&Progress::default()).await.unwrap();
    assert_eq!(
        verified.problem_count,
        u64::try_from(verified.problems.len()).unwrap()
    );
    verified.problems
}

/// Each thing that somebody could do to the books behind our back.
#[tokio::test]
async fn every_change_behind_our_back_is_found() {
    let changes = [
        (
            "UPDATE events SET payload = replace(payload, '0.25', '0.05') WHERE type = 'MODEL_CALL_COMPLETED'",
            "its hash is another",
        ),
        (
            "UPDATE events SET ts = '2026-03-01T12:00:01.000000+00:00' WHERE task_seq = 2",
            "its hash is another",
        ),
        (
            "UPDATE events SET actor = 'tool' WHERE task_seq = 3",
            "its hash is another",
        ),
        (
            "UPDATE events SET hash = NULL WHERE task_seq = 3",
            "it has no hash",
        ),
        (
            "DELETE FROM events WHERE task_seq = 2",
            "it stands at 3 where 2 is due",
        ),
        (
            "DELETE FROM events WHERE task_seq = 7",
            "its last_seq is `7`, by its events it is `6`",
        ),
        (
            "UPDATE tasks SET status = 'FAILED'",
            "its status is `FAILED`",
        ),
        (
            "UPDATE tasks SET title = 'another'",
            "its title is `another`",
        ),
        (
            "UPDATE model_calls SET cost_pico = cost_pico - 1",
            "the row of model call",
        ),
        (
            "DELETE FROM model_calls",
            "has 1 model calls by its events and 0 rows",
        ),
        (
            "INSERT INTO model_calls (call_id, task_id, task_seq, started_at, day, status) VALUES ('x', 'y', 1, '', '', 'completed')",
            "1 model calls that no event speaks of",
        ),
        (
            "UPDATE cost_sums SET cost_pico = cost_pico + 1 WHERE period = 'all'",
            "the sums of all ``",
        ),
        (
            "UPDATE cost_sums SET calls = 2 WHERE period = 'task'",
            "the sums of task",
        ),
        (
            "DELETE FROM cost_sums WHERE period = 'hour'",
            "the sums of hour `2026-03-01T12`",
        ),
        (
            "DELETE FROM cost_sums WHERE period = 'hour_alias'",
            "the sums of hour_alias `2026-03-01T12` (planner, main, , )",
        ),
        (
            "DELETE FROM cost_sums WHERE period = 'month_model'",
            "the sums of month_model `2026-03` (, , gpt-4o-mini, openai)",
        ),
        (
            "UPDATE cost_sums SET alias = 'other' WHERE period = 'day'",
            "the sums of day `2026-03-01` (other",
        ),
        (
            "UPDATE artifacts SET hash = replace(hash, substr(hash, 1, 1), 'g')",
            "SHA-256",
        ),
        ("DELETE FROM artifacts", "is spoken of and not there"),
        (
            "UPDATE events SET payload = x'00' WHERE task_seq = 7",
            "its last_seq is `7`, by its events it is `6`",
        ),
        (
            "INSERT INTO events (event_id, task_id, task_seq, ts, type, actor, payload)
             VALUES ('e', 'a b', 1, '', '', '', '')",
            "its task_id",
        ),
        (
            "UPDATE events SET position = -5 WHERE task_seq = 2",
            "it has no position in the log that a reader would come to",
        ),
        (
            "INSERT INTO tasks (task_id, created_at, updated_at) VALUES ('z', '', '')",
            "task z has a row and no events",
        ),
    ];
    for (change, told) in changes {
        let desk = Desk::new().await;
        ended(&desk, "key", &known("0.25")).await;
        assert_eq!(problems(desk.store.as_ref()).await, [""; 0]);
        let sql = desk.sql();
        sql.pragma_update(None, "foreign_keys", false).unwrap();
        sql.execute(change, []).unwrap();
        let problems = problems(desk.store.as_ref()).await;
        assert!(
            problems.iter().any(|problem| problem.contains(told)),
            "{change}: {problems:#?}"
        );
    }
}

#[tokio::test]
async fn a_rebuild_mends_the_projections_and_never_the_events() {
    let desk = Desk::new().await;
    ended(&desk, "key", &known("0.25")).await;
    let sql = desk.sql();
    sql.execute_batch(
        "UPDATE cost_sums SET calls = 9; DELETE FROM model_calls; UPDATE tasks SET status = 'FAILED';",
    )
    .unwrap();
    assert!(problems(desk.store.as_ref()).await.len() > 3);
    desk.store.rebuild().await.unwrap();
    assert_eq!(problems(desk.store.as_ref()).await, [""; 0]);

    sql.execute_batch("UPDATE events SET actor = 'tool' WHERE task_seq = 3")
        .unwrap();
    desk.store.rebuild().await.unwrap();
    assert_eq!(problems(desk.store.as_ref()).await.len(), 1);
}

#[tokio::test]
async fn a_backup_beside_a_busy_store_is_a_store() {
    let desk = Desk::new().await;
    for index in 0..20 {
        ended(&desk, &format!("key-{index}"), &known("0.25")).await;
    }
    let to = TempDir::new().unwrap();
    let backup = || options(to.path());
    let writing = async {
        for index in 20..40 {
            ended(&desk, &format!("key-{index}"), &known("0.25")).await;
        }
    };
    let (backed_up, ()) = tokio::join!(desk.store.backup(backup()), writing);
    backed_up.unwrap();
    let copy = SqliteStore::open_read_only(backup()).await.unwrap();
    let verified = copy.verify(&Progress::default()).await.unwrap();
    assert_eq!(verified.problems, [""; 0]);
    assert!((20..=40).contains(&verified.tasks));
    // The moment can lie between the two commits of one task.
    let without = verified.tasks - verified.artifacts;
    assert!(without <= 1, "{without} tasks without their artifact");

    let error = desk.store.backup(backup()).await.unwrap_err();
    assert!(matches!(error, StoreError::Io { .. }), "{error}");
}

#[tokio::test]
async fn a_store_at_rest_keeps_writers_out_and_is_kept_out_by_them() {
    let desk = Desk::new().await;
    ended(&desk, "one", &known("0.25")).await;
    let options = || options(desk.dir.path());
    let error = SqliteStore::open_at_rest(options()).await.unwrap_err();
    assert!(matches!(error, StoreError::InUse { .. }), "{error}");
    desk.store.close().await.unwrap();
    let at_rest = SqliteStore::open_at_rest(options()).await.unwrap();
    let another = SqliteStore::open_at_rest(options()).await.unwrap();
    assert_eq!(problems(&another).await, [""; 0]);
    let error = SqliteStore::open(options()).await.unwrap_err();
    assert!(matches!(error, StoreError::InUse { .. }), "{error}");
    drop((at_rest, another));
    let again = SqliteStore::open(options()).await.unwrap();
    again.close().await.unwrap();
}

#[tokio::test]
async fn the_files_of_what_is_pruned_go_with_it() {
    let desk = Desk::new().await;
    ended(&desk, "old", &known("0.25")).await;
    desk.clock.set_unix_micros(NOON + 10 * DAY);
    ended(&desk, "new", &known("0.5")).await;
    let before = Timestamp::from_unix_micros(NOON + DAY);
    desk.store
        .prune(PruneQuery::before(before), &Progress::default())
        .await
        .unwrap();
    let artifacts = desk.dir.path().join("artifacts");
    let count = |folder: &Path| std::fs::read_dir(folder).unwrap().count();
    assert_eq!(
        count(&artifacts),
        2,
        "the new task's folder, and that of notes"
    );
    assert_eq!(
        count(&artifacts.join(".incoming~")),
        0,
        "all files are gone"
    );
}

/// The folder of the artifacts, as who removes files has it for a moment, or who reads them all for longer.
fn artifacts(desk: &Desk) -> File {
    File::open(desk.dir.path().join("artifacts")).unwrap()
}

#[tokio::test]
async fn a_file_that_somebody_may_still_read_stays_until_the_next_start() {
    let desk = Desk::new().await;
    let task_id = ended(&desk, "old", &known("0.25")).await;
    let folder = desk.dir.path().join("artifacts").join(task_id.as_str());
    let reader = artifacts(&desk);
    reader.lock_shared().unwrap();
    let before = Timestamp::from_unix_micros(NOON + DAY);
    let pruned = desk
        .store
        .prune(PruneQuery::before(before), &Progress::default())
        .await;
    assert_eq!(pruned.unwrap().tasks, 1);
    assert!(folder.exists());
    drop(reader);
    desk.store.close().await.unwrap();
    let again = SqliteStore::open(options(desk.dir.path())).await.unwrap();
    assert!(!folder.exists());
    assert_eq!(problems(&again).await, [""; 0]);
    again.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_all_artifacts_keeps_their_files_from_being_removed() {
    let desk = Desk::new().await;
    ended(&desk, "one", &known("0.25")).await;
    let to = TempDir::new().unwrap();
    let remover = artifacts(&desk);
    remover.lock().unwrap();
    let verify = async { problems(desk.store.as_ref()).await };
    let backup = async { desk.store.backup(options(to.path())).await };
    tokio::pin!(verify, backup);
    let moment = Duration::from_millis(100);
    assert!(tokio::time::timeout(moment, &mut verify).await.is_err());
    assert!(tokio::time::timeout(moment, &mut backup).await.is_err());
    drop(remover);
    assert_eq!(verify.await, [""; 0]);
    backup.await.unwrap();
}

#[tokio::test]
async fn a_row_that_can_not_be_read_accuses_nobody_else() {
    let desk = Desk::new().await;
    ended(&desk, "one", &known("0.25")).await;
    ended(&desk, "two", &known("0.5")).await;
    let change = "UPDATE tasks SET requester = 'x' WHERE title IS NOT NULL
                  AND task_id = (SELECT min(task_id) FROM tasks)";
    desk.sql().execute(change, []).unwrap();
    let problems = problems(desk.store.as_ref()).await;
    assert_eq!(problems.len(), 1, "{problems:#?}");
    assert!(problems[0].contains("its requester"), "{problems:#?}");
}

#[tokio::test]
async fn a_damaged_task_takes_nothing_from_those_that_share_its_transaction() {
    let desk = Desk::new().await;
    let damaged = desk.running().await;
    let good = running(&desk, 8).await;
    let sql = desk.sql();
    sql.execute(
        "UPDATE tasks SET status = 'DONE' WHERE task_id = ?1",
        [damaged.as_str()],
    )
    .unwrap();
    // While the database is held, commits gather.
    sql.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut appends = tokio::task::JoinSet::new();
    for task_id in good.iter().chain([&damaged]).cloned() {
        let store = std::sync::Arc::clone(&desk.store);
        appends.spawn(async move {
            let commit = commit(&task_id, vec![message("a")]);
            (task_id, store.append(commit).await)
        });
    }
    tokio::task::yield_now().await;
    sql.execute_batch("COMMIT").unwrap();
    for (task_id, outcome) in appends.join_all().await {
        assert_eq!(outcome.is_err(), task_id == damaged, "{outcome:?}");
    }
}

/// So many tasks that run.
async fn running(desk: &Desk, count: usize) -> Vec<TaskId> {
    let mut tasks = Vec::new();
    for _ in 0..count {
        tasks.push(desk.running().await);
    }
    tasks
}

#[tokio::test]
async fn what_another_program_wrote_is_taken_in_before_it_is_copied() {
    let desk = Desk::new().await;
    ended(&desk, "one", &known("0.25")).await;
    desk.store.close().await.unwrap();
    let change = "UPDATE events SET position = NULL, hash = NULL WHERE task_seq = 7";
    desk.sql().execute(change, []).unwrap();
    let options = || options(desk.dir.path());
    let error = SqliteStore::open_at_rest(options()).await.unwrap_err();
    assert!(matches!(error, StoreError::NotAdopted), "{error}");
    let again = SqliteStore::open(options()).await.unwrap();
    assert_eq!(problems(&again).await, [""; 0]);
    again.close().await.unwrap();
    SqliteStore::open_at_rest(options()).await.unwrap();
}

#[tokio::test]
async fn followers_pass_an_event_that_nobody_can_read() {
    let desk = Desk::new().await;
    ended(&desk, "one", &known("0.25")).await;
    let change = "UPDATE events SET ts = 'once' WHERE task_seq = 2";
    desk.sql().execute(change, []).unwrap();
    let query = LogQuery {
        limit: 99,
        ..LogQuery::default()
    };
    let page = desk.store.log(query).await.unwrap();
    assert_eq!((page.events.len(), page.next, page.caught_up), (6, 7, true));
}

#[tokio::test]
async fn two_artifacts_of_one_name_are_refused() {
    let desk = Desk::new().await;
    let task_id = desk.running().await;
    let artifact = NewArtifact {
        artifact_id: desk.ids.artifact_id(),
        name: "llm-response".to_owned(),
        description: String::new(),
        mime: "text/plain".to_owned(),
        content: vec![b'x'; 9_000],
    };
    let twice = commit(&task_id, vec![message("a")])
        .artifact(artifact.clone())
        .artifact(artifact);
    let error = desk.store.append(twice).await.unwrap_err();
    assert!(matches!(error, StoreError::InvalidCommit { .. }), "{error}");
}
