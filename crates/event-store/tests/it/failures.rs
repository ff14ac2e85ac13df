//! What the disk and other programs can do to a store.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use event_payloads::{Cost, CostSource, TaskStatus, Timestamp};
use event_store::{
    CostQuery, EventStore, Progress, PruneQuery, SqliteStore, StoreError, TaskQuery,
};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::desk::{Desk, NOON, database, dump, options};
use crate::ended;
use crate::events::{commit, completed, created, failed, message, moved};

#[tokio::test]
async fn a_full_disk_is_told_and_leaves_no_half_task() {
    let desk = Desk::with(|options| options.max_database_bytes(512 << 10)).await;
    let text = "x".repeat(20_000);
    let mut whole = Vec::new();
    let error = loop {
        let task_id = desk.ids.task_id();
        let events = vec![created(), message(&text), message(&text)];
        match desk.store.append(commit(&task_id, events)).await {
            Ok(_) => whole.push(task_id),
            Err(error) => break error,
        }
    };
    assert!(error.is_full() && error.source().is_some(), "{error}");
    assert!(!error.is_refusal() && !error.is_busy());
    assert!(whole.len() > 3);
    let query = TaskQuery {
        status: None,
        limit: 1_000,
    };
    assert_eq!(desk.store.tasks(query).await.unwrap().len(), whole.len());
    for task_id in &whole {
        assert_eq!(desk.seqs(task_id).await, [1, 2, 3]);
    }
    desk.store.close().await.unwrap();
    // With space again, it goes on.
    let again = Desk::at(desk.dir, |options| options).await;
    again.append(&whole[0], vec![message(&text)]).await;
    assert_eq!(again.seqs(&whole[0]).await, [1, 2, 3, 4]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_too_large_for_the_disk_does_not_spoil_the_others_of_its_group() {
    let desk = Desk::with(|options| options.max_database_bytes(1 << 20)).await;
    let task_id = desk.running().await;
    let mut commits = JoinSet::new();
    for index in 0..30 {
        let (store, task_id) = (Arc::clone(&desk.store), task_id.clone());
        let bytes = if index % 10 == 5 { 3 << 20 } else { 10 };
        commits.spawn(async move {
            let event = message(&"x".repeat(bytes));
            match store.append(commit(&task_id, vec![event])).await {
                Ok(_) => true,
                Err(error) => {
                    assert!(error.is_full() && bytes > 10, "{error}");
                    false
                }
            }
        });
    }
    let recorded = commits
        .join_all()
        .await
        .into_iter()
        .filter(|ok| *ok)
        .count();
    assert_eq!(recorded, 27);
    assert_eq!(desk.seqs(&task_id).await.len(), 29);
}

#[tokio::test]
async fn a_locked_database_is_told_after_the_timeout_and_works_again() {
    let desk = Desk::with(|options| options.busy_timeout(Duration::from_millis(20))).await;
    let task_id = desk.running().await;
    desk.store.check().await.unwrap();
    let other = desk.sql();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = desk
        .store
        .append(commit(&task_id, vec![message("a")]))
        .await
        .unwrap_err();
    assert!(error.is_busy() && error.source().is_some(), "{error}");
    assert!(desk.store.check().await.unwrap_err().is_busy());
    assert!(desk.store.rebuild().await.unwrap_err().is_busy());
    assert_eq!(desk.seqs(&task_id).await, [1, 2], "reads go on");
    other.execute_batch("ROLLBACK").unwrap();
    desk.append(&task_id, vec![message("b")]).await;
    desk.store.check().await.unwrap();
    assert_eq!(desk.seqs(&task_id).await, [1, 2, 3]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_in_mid_load_fails_commits_for_as_long_as_it_is_there() {
    let desk = Desk::with(|options| options.busy_timeout(Duration::from_millis(20))).await;
    let task_id = desk.running().await;
    let (told_busy, mut busy) = watch::channel(0);
    let (enough, seen) = watch::channel(false);
    let mut callers = JoinSet::new();
    for caller in 0..8 {
        let (store, task_id) = (Arc::clone(&desk.store), task_id.clone());
        let (told_busy, seen) = (told_busy.clone(), seen.clone());
        callers.spawn(async move {
            let mut commits = 0_u64;
            while !*seen.borrow() {
                let key = format!("msg-{caller}-{commits}");
                let again = || commit(&task_id, vec![message("a").key(&key), message("b")]);
                while let Err(error) = store.append(again()).await {
                    assert!(error.is_busy(), "{error}");
                    told_busy.send_modify(|times| *times += 1);
                }
                commits += 1;
            }
            commits
        });
    }
    desk.store.head().wait_for(|head| *head > 60).await.unwrap();
    let other = desk.sql();
    other.busy_timeout(Duration::from_secs(60)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let before = *busy.borrow();
    busy.wait_for(|times| *times >= before + 20).await.unwrap();
    enough.send_replace(true);
    other.execute_batch("ROLLBACK").unwrap();
    let commits: u64 = callers.join_all().await.into_iter().sum();
    assert_eq!(
        desk.seqs(&task_id).await,
        (1..=2 + 2 * commits).collect::<Vec<_>>()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_group_can_not_be_committed_everyone_is_told_and_nothing_is_stored() {
    let desk = Desk::new().await;
    let task_id = desk.running().await;
    // A row that only the COMMIT itself finds fault with.
    desk.sql()
        .execute_batch(
            "CREATE TABLE elsewhere (id TEXT REFERENCES tasks(task_id) DEFERRABLE INITIALLY DEFERRED);
             CREATE TRIGGER spoil AFTER INSERT ON events
             BEGIN INSERT INTO elsewhere VALUES ('no such task'); END;",
        )
        .unwrap();
    let mut commits = JoinSet::new();
    for _ in 0..20 {
        let (store, task_id) = (Arc::clone(&desk.store), task_id.clone());
        commits.spawn(async move { store.append(commit(&task_id, vec![message("a")])).await });
    }
    for result in commits.join_all().await {
        let error = result.unwrap_err();
        assert!(matches!(error, StoreError::Database { .. }), "{error}");
    }
    assert_eq!(desk.seqs(&task_id).await, [1, 2]);
    desk.sql().execute_batch("DROP TRIGGER spoil").unwrap();
    desk.append(&task_id, vec![message("b")]).await;
    assert_eq!(desk.seqs(&task_id).await, [1, 2, 3]);
}

#[tokio::test]
async fn a_second_writer_is_told_who_has_the_database() {
    let desk = Desk::new().await;
    let error = SqliteStore::open(options(desk.dir.path()))
        .await
        .unwrap_err();
    let StoreError::InUse { pid, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(*pid, Some(std::process::id()));
    assert!(
        error
            .to_string()
            .starts_with(&format!("another octo (pid {}) uses", std::process::id()))
    );
    desk.store.close().await.unwrap();
    let next = SqliteStore::open(options(desk.dir.path())).await.unwrap();
    next.close().await.unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn another_name_of_the_database_is_no_second_lock() {
    let desk = Desk::new().await;
    let alias = desk.dir.path().join("alias.db");
    std::os::unix::fs::symlink(desk.path(), &alias).unwrap();
    let options = event_store::SqliteOptions::new(alias, desk.dir.path().join("artifacts"));
    let error = SqliteStore::open(options).await.unwrap_err();
    assert!(matches!(error, StoreError::InUse { .. }), "{error}");
}

#[tokio::test]
async fn a_database_from_before_corrections_gets_their_columns() {
    let desk = Desk::new().await;
    let task_id = desk.running().await;
    let call_id = desk.call(&task_id).await;
    let cost = Cost::known("0.5".parse().unwrap(), CostSource::Proxy);
    desk.append(&task_id, vec![completed(&call_id, &cost)])
        .await;
    desk.store.close().await.unwrap();
    let sql = desk.sql();
    for column in ["corrections", "recorded_pico", "recorded_unavailable"] {
        let drop = format!("ALTER TABLE model_calls DROP COLUMN {column}");
        sql.execute_batch(&drop).unwrap();
    }
    sql.execute_batch(
        "DROP INDEX idx_events_position; ALTER TABLE events DROP COLUMN position;
         ALTER TABLE events DROP COLUMN hash; ALTER TABLE tasks DROP COLUMN last_seq;
         ALTER TABLE tasks DROP COLUMN chain; DROP TABLE log_cursors; DROP TABLE cost_sums;",
    )
    .unwrap();
    sql.pragma_update(None, "user_version", 3).unwrap();
    drop(sql);

    let store = SqliteStore::open(options(desk.dir.path())).await.unwrap();
    let row = store
        .cost_rollup(CostQuery::default())
        .await
        .unwrap()
        .remove(0);
    assert_eq!((row.corrected_calls, row.calls), (0, 1));
    assert_eq!(row.recorded_cost, row.cost);
    let call = store.calls(&task_id).await.unwrap().remove(0);
    assert_eq!(call.recorded, None);
}

#[tokio::test]
async fn a_database_from_before_sums_by_some_words_gets_them_also_of_what_was_pruned() {
    let desk = Desk::new().await;
    let cost = Cost::known("0.75".parse().unwrap(), CostSource::Proxy);
    ended::task(desk.store.as_ref(), &desk.ids, "old", &cost).await;
    let later = Timestamp::from_unix_micros(NOON + 1);
    let pruned = desk
        .store
        .prune(PruneQuery::before(later), &Progress::default())
        .await
        .unwrap();
    assert_eq!(pruned.tasks, 1);
    let task_id = desk.running().await;
    let (one, two) = (desk.call(&task_id).await, desk.call(&task_id).await);
    desk.append(&task_id, vec![completed(&one, &cost), failed(&two)])
        .await;
    desk.store.close().await.unwrap();
    let sql = desk.sql();
    let before = dump(&sql, "cost_sums");
    let dropped = sql.execute(
        "DELETE FROM cost_sums WHERE period LIKE '%_alias' OR period LIKE '%_model'",
        [],
    );
    assert_eq!(dropped.unwrap(), 9);
    sql.pragma_update(None, "user_version", 6).unwrap();

    let store = SqliteStore::open(options(desk.dir.path())).await.unwrap();
    assert_eq!(dump(&sql, "cost_sums"), before);
    let verified = store.verify(&Progress::default()).await.unwrap();
    assert_eq!(verified.problems, [""; 0]);
}

#[tokio::test]
async fn a_database_from_the_future_is_left_alone() {
    let desk = Desk::new().await;
    desk.store.close().await.unwrap();
    desk.sql().pragma_update(None, "user_version", 99).unwrap();
    let before = std::fs::read(desk.path()).unwrap();
    let writing = SqliteStore::open(options(desk.dir.path()))
        .await
        .unwrap_err();
    let reading = SqliteStore::open_read_only(options(desk.dir.path()))
        .await
        .unwrap_err();
    for error in [writing, reading] {
        assert!(
            matches!(error, StoreError::TooNew { found: 99, .. }),
            "{error}"
        );
    }
    assert_eq!(std::fs::read(desk.path()).unwrap(), before);
}

#[tokio::test]
async fn what_is_no_database_is_said_to_be_damaged() {
    let dir = TempDir::new().unwrap();
    let path = database(dir.path());
    std::fs::create_dir(path.parent().unwrap()).unwrap();
    std::fs::write(&path, "this is no database ".repeat(1_000)).unwrap();
    let error = SqliteStore::open(options(dir.path())).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
}

#[tokio::test]
async fn a_missing_or_impossible_place_is_an_io_error() {
    let dir = TempDir::new().unwrap();
    let missing = SqliteStore::open_read_only(options(dir.path()))
        .await
        .unwrap_err();
    assert!(matches!(missing, StoreError::Io { .. }), "{missing}");
    assert!(missing.source().is_some());
    std::fs::write(dir.path().join("sqlite"), "a file where a folder should be").unwrap();
    let error = SqliteStore::open(options(dir.path())).await.unwrap_err();
    assert!(matches!(error, StoreError::Io { .. }), "{error}");
    let folder = TempDir::new().unwrap();
    std::fs::create_dir_all(database(folder.path())).unwrap();
    let error = SqliteStore::open(options(folder.path())).await.unwrap_err();
    assert!(matches!(error, StoreError::Io { .. }), "{error}");
}

#[tokio::test]
async fn a_damaged_row_is_named_and_does_not_take_lists_with_it() {
    let desk = Desk::new().await;
    let bad = desk.running().await;
    let good = desk.running().await;
    let sql = desk.sql();
    sql.execute(
        "UPDATE tasks SET status = 'DANCING' WHERE task_id = ?1",
        [bad.as_str()],
    )
    .unwrap();
    let error = desk.store.task(&bad).await.unwrap_err();
    assert!(error.to_string().contains(bad.as_str()), "{error}");
    assert!(matches!(error, StoreError::Corrupt { .. }));
    let events = vec![moved(TaskStatus::Running, TaskStatus::Failed)];
    let error = desk.store.append(commit(&bad, events)).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    let listed = desk
        .store
        .tasks(TaskQuery {
            status: None,
            limit: 9,
        })
        .await
        .unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].task_id, good);

    sql.execute(
        "UPDATE events SET ts = 'yesterday' WHERE task_id = ?1 AND task_seq = 2",
        [good.as_str()],
    )
    .unwrap();
    let error = desk.store.events(&good, 0, 9).await.unwrap_err();
    assert!(
        error.to_string().contains("its ts `yesterday` is no time"),
        "{error}"
    );
    assert_eq!(desk.store.events(&good, 0, 1).await.unwrap().len(), 1);
    // A rebuild leaves it out, and repairs the other.
    let rebuilt = desk.store.rebuild().await.unwrap();
    assert_eq!((rebuilt.events, rebuilt.undecodable), (4, 1));
    assert_eq!(
        desk.store.task(&bad).await.unwrap().unwrap().status,
        TaskStatus::Running
    );
}
