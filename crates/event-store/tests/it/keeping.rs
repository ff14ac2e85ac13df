//! Checked, pruned, backed up, copied.

use std::sync::Arc;

use event_payloads::{
    Actor, ArtifactCreated, Cost, CostSource, EventType, Payload, TaskId, TaskStatus, Timestamp,
};
use event_store::{
    Clock, CostQuery, CostRow, Dimension, EventStore, IdSource, NewArtifact, NewEvent, Progress,
    SqliteOptions, SqliteStore, StoreError, TaskQuery, copy, must_be_whole,
};
use tempfile::TempDir;

use crate::desk::{Desk, NOON, options};
use crate::events::{commit, completed, created, failed, message, moved, started};

const DAY: i64 = 86_400_000_000;

fn known(text: &str) -> Cost {
    Cost::known(text.parse().unwrap(), CostSource::Proxy)
}

/// A task that ended, with a call, an answer in a file and an idempotency key.
async fn ended(desk: &Desk, key: &str, cost: &Cost) -> TaskId {
    let task_id = desk.ids.task_id();
    let opening = vec![
        created().key(key),
        message("a"),
        moved(TaskStatus::Created, TaskStatus::Running),
        started("planner"),
    ];
    let call_id = desk.append(&task_id, opening).await.remove(3).event_id;
    let artifact_id = desk.ids.artifact_id();
    let spoken_of = Payload::ArtifactCreated(ArtifactCreated {
        artifact_id: artifact_id.clone(),
        name: "llm-response".to_owned(),
        size: 9_000,
        part_count: 1,
    });
    let end = commit(
        &task_id,
        vec![
            completed(&call_id, cost),
            NewEvent::new(Actor::System, spoken_of),
            moved(TaskStatus::Running, TaskStatus::Succeeded),
        ],
    );
    let end = end.artifact(NewArtifact {
        artifact_id,
        name: "llm-response".to_owned(),
        description: String::new(),
        mime: "text/plain".to_owned(),
        content: vec![b'x'; 9_000],
    });
    desk.store.append(end).await.unwrap();
    task_id
}

async fn problems(store: &dyn EventStore) -> Vec<String> {
    let verified = store.verify(&Progress::default()).await.unwrap();
    assert_eq!(
        verified.problem_count,
        u64::try_from(verified.problems.len()).unwrap()
    );
    verified.problems
}

async fn sums(store: &dyn EventStore) -> Vec<Vec<CostRow>> {
    let mut all = Vec::new();
    for group_by in [
        vec![],
        vec![Dimension::Day],
        vec![Dimension::Alias, Dimension::Model],
        Dimension::ALL.to_vec(),
    ] {
        let query = CostQuery {
            group_by,
            ..CostQuery::default()
        };
        all.push(store.cost_rollup(query).await.unwrap());
    }
    all
}

#[tokio::test]
async fn a_good_store_has_no_problems_and_everything_is_looked_at() {
    let desk = Desk::new().await;
    for day in 0..3 {
        desk.clock.set_unix_micros(NOON + day * DAY);
        ended(&desk, &format!("key-{day}"), &known("0.25")).await;
    }
    let open = desk.running().await;
    let call_id = desk.call(&open).await;
    desk.append(&open, vec![failed(&call_id), started("router")])
        .await;
    let progress = Progress::default();
    let verified = desk.store.verify(&progress).await.unwrap();
    assert_eq!(verified.problems, [""; 0]);
    assert_eq!((verified.events, progress.done()), (3 * 7 + 5, 3 * 7 + 5));
    assert_eq!(
        (verified.tasks, verified.calls, verified.artifacts),
        (4, 5, 3)
    );
    // 4 tasks, 4 days' worth of hours and days, one month and one in all, for each of two models.
    assert!(verified.sums > 8, "{}", verified.sums);
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
            "UPDATE cost_sums SET alias = 'other' WHERE period = 'day'",
            "the sums of day `2026-03-01` (other",
        ),
        (
            "UPDATE artifacts SET hash = replace(hash, substr(hash, 1, 1), 'g')",
            "SHA-256",
        ),
        ("DELETE FROM artifacts", "is spoken of and not there"),
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
async fn pruning_keeps_sums_chains_and_keys() {
    let desk = Desk::new().await;
    let old = ended(&desk, "old", &known("0.25")).await;
    let open = desk.running().await;
    desk.clock.set_unix_micros(NOON + 10 * DAY);
    let new = ended(&desk, "new", &known("0.5")).await;
    let before_sums = sums(desk.store.as_ref()).await;
    let before = Timestamp::from_unix_micros(NOON + DAY);
    let head = *desk.store.head().borrow();

    let prunable = desk.store.prunable(before).await.unwrap();
    let pruned = desk
        .store
        .prune(before, &Progress::default())
        .await
        .unwrap();
    assert_eq!(prunable, pruned, "as foretold");
    assert_eq!(
        (pruned.tasks, pruned.events, pruned.calls, pruned.artifacts),
        (1, 6, 1, 1)
    );
    assert_eq!(*desk.store.head().borrow(), head + 1);
    assert_eq!(problems(desk.store.as_ref()).await, [""; 0]);
    assert_eq!(sums(desk.store.as_ref()).await, before_sums);
    desk.store.rebuild().await.unwrap();
    assert_eq!(
        sums(desk.store.as_ref()).await,
        before_sums,
        "the tombstone has them"
    );
    assert_eq!(problems(desk.store.as_ref()).await, [""; 0]);

    let left = desk.store.events(&old, 0, 99).await.unwrap();
    let types: Vec<_> = left.iter().map(|event| event.event_type.clone()).collect();
    assert_eq!(types, [EventType::TaskCreated, EventType::TaskPruned]);
    assert_eq!(left[1].task_seq, 8);
    assert!(left[1].is_final(), "who follows the task sees its end");
    let task = desk.store.task_by_key("old").await.unwrap().unwrap();
    assert_eq!(
        (task.task_id, task.status),
        (old.clone(), TaskStatus::Succeeded)
    );
    assert_eq!(desk.store.artifacts(&old).await.unwrap(), []);
    assert_eq!(desk.store.events(&open, 0, 99).await.unwrap().len(), 2);
    assert_eq!(desk.store.events(&new, 0, 99).await.unwrap().len(), 7);
    let files = std::fs::read_dir(desk.dir.path().join("artifacts")).unwrap();
    assert_eq!(files.count(), 2, "the new task's folder, and what waits");

    // A second time there is nothing to do.
    let again = desk
        .store
        .prune(before, &Progress::default())
        .await
        .unwrap();
    assert_eq!(again.tasks, 0);
    let far = Timestamp::from_unix_micros(NOON + 100 * DAY);
    assert_eq!(desk.store.prunable(far).await.unwrap().tasks, 1);
    let again = desk.store.prune(far, &Progress::default()).await.unwrap();
    assert_eq!(again.tasks, 1, "not the tombstone's task");
    assert_eq!(problems(desk.store.as_ref()).await, [""; 0]);
    assert_eq!(sums(desk.store.as_ref()).await, before_sums);
}

#[tokio::test]
async fn an_overview_counts_what_is_there() {
    let desk = Desk::new().await;
    let empty = desk.store.overview().await.unwrap();
    assert_eq!((empty.events, empty.last_position), (0, None));
    ended(&desk, "old", &known("0.25")).await;
    desk.clock.set_unix_micros(NOON + DAY);
    let open = desk.running().await;
    desk.call(&open).await;
    let overview = desk.store.overview().await.unwrap();
    assert_eq!(
        (overview.tasks, overview.events, overview.open_calls),
        (2, 7 + 3, 1)
    );
    assert_eq!(overview.artifacts, 1);
    assert_eq!(
        (overview.first_position, overview.last_position),
        (Some(1), Some(10))
    );
    let at = Timestamp::from_unix_micros(NOON + DAY);
    assert_eq!(overview.last_event_at, Some(at));
    assert!(overview.layout >= 5 && overview.database_bytes > 4_096);
}

#[tokio::test]
async fn a_call_that_is_open_keeps_its_task_from_being_pruned() {
    let desk = Desk::new().await;
    let open = desk.running().await;
    desk.call(&open).await;
    let end = moved(TaskStatus::Running, TaskStatus::Cancelled);
    desk.append(&open, vec![end]).await;
    let far = Timestamp::from_unix_micros(NOON + 100 * DAY);
    assert_eq!(desk.store.prunable(far).await.unwrap(), Default::default());
    let pruned = desk.store.prune(far, &Progress::default()).await.unwrap();
    assert_eq!(pruned, Default::default());
}

#[tokio::test]
async fn single_calls_that_were_pruned_are_not_counted_as_none() {
    let desk = Desk::new().await;
    let old = ended(&desk, "old", &known("0.25")).await;
    let before = Timestamp::from_unix_micros(NOON + DAY);
    desk.store
        .prune(before, &Progress::default())
        .await
        .unwrap();
    let half_an_hour = CostQuery {
        from: Some(Timestamp::from_unix_micros(NOON - DAY)),
        to: Some(Timestamp::from_unix_micros(NOON + DAY / 48)),
        ..CostQuery::default()
    };
    let error = desk.store.cost_rollup(half_an_hour).await.unwrap_err();
    assert!(matches!(error, StoreError::Pruned { .. }), "{error}");
    let by_day_of_a_task = CostQuery {
        task: Some(old.clone()),
        group_by: vec![Dimension::Day],
        ..CostQuery::default()
    };
    let error = desk.store.cost_rollup(by_day_of_a_task).await.unwrap_err();
    assert!(matches!(error, StoreError::Pruned { .. }), "{error}");
    let of_the_task = CostQuery {
        task: Some(old),
        ..CostQuery::default()
    };
    let row = desk.store.cost_rollup(of_the_task).await.unwrap().remove(0);
    assert_eq!((row.calls, row.cost.get()), (1, 250_000_000_000));
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

async fn empty_store(dir: &TempDir) -> SqliteStore {
    let options = SqliteOptions::new(dir.path().join("b.db"), dir.path().join("artifacts"));
    SqliteStore::open(options).await.unwrap()
}

#[tokio::test]
async fn a_copy_goes_on_where_it_was_and_is_the_same() {
    let desk = Desk::new().await;
    ended(&desk, "one", &known("0.25")).await;
    desk.store.save_cursor("worker", 3).await.unwrap();
    let dir = TempDir::new().unwrap();
    let to = empty_store(&dir).await;
    let copied = copy(desk.store.as_ref(), &to, &Progress::default())
        .await
        .unwrap();
    assert_eq!((copied.events, copied.artifacts), (7, 1));

    let open = desk.running().await;
    desk.append(&open, vec![started("planner")]).await;
    ended(&desk, "two", &known("0.5")).await;
    let before = Timestamp::from_unix_micros(NOON + DAY);
    desk.store
        .prune(before, &Progress::default())
        .await
        .unwrap();
    let error = copy(desk.store.as_ref(), &to, &Progress::default()).await;
    assert!(
        matches!(error, Err(StoreError::NotACopy { position: 7 })),
        "what was pruned since is no longer there to compare with: {error:?}"
    );
    assert_eq!(problems(&to).await, [""; 0], "it stays as it was");
    must_be_whole(&to).await.unwrap();
    to.close().await.unwrap();

    let dir = TempDir::new().unwrap();
    let to = empty_store(&dir).await;
    let copied = copy(desk.store.as_ref(), &to, &Progress::default())
        .await
        .unwrap();
    assert_eq!(copied.verified.problems, [""; 0]);
    assert_eq!(sums(&to).await, sums(desk.store.as_ref()).await);
    assert_eq!(to.cursor("worker").await.unwrap(), 3);
    let all = TaskQuery {
        status: None,
        limit: 99,
    };
    let tasks = to.tasks(all).await.unwrap();
    assert_eq!(tasks, desk.store.tasks(all).await.unwrap());
    for task in tasks {
        let (a, b) = (
            to.events(&task.task_id, 0, 99).await.unwrap(),
            desk.store.events(&task.task_id, 0, 99).await.unwrap(),
        );
        assert_eq!(a, b);
    }

    // It goes on as a store of its own.
    let ids = IdSource::new(Arc::clone(&desk.clock) as Arc<dyn Clock>);
    to.append(commit(&ids.task_id(), vec![created().key("three")]))
        .await
        .unwrap();
    let error = copy(desk.store.as_ref(), &to, &Progress::default()).await;
    assert!(
        matches!(error, Err(StoreError::NotACopy { .. })),
        "{error:?}"
    );
}
