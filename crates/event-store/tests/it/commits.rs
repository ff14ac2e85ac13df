//! Commits, as a SQLite file holds them.

use std::pin::pin;
use std::task::{Context, Waker};

use event_payloads::TaskStatus;
use event_store::{Commit, EventStore, SqliteStore, StoreError};

use crate::desk::{Desk, options};
use crate::events::{commit, created, message, started};

#[tokio::test]
async fn a_new_database_is_of_todays_layout_and_one_file_is_left_at_the_end() {
    let desk = Desk::new().await;
    assert_eq!(desk.store.kind(), "sqlite");
    assert_eq!(desk.store.migrated().unwrap().events, 0);
    desk.running().await;
    assert!(desk.path().with_extension("db-wal").exists());
    desk.store.close().await.unwrap();
    assert!(!desk.path().with_extension("db-wal").exists());
    let again = Desk::at(desk.dir, |options| options).await;
    assert_eq!(again.store.migrated(), None);
}

#[tokio::test]
async fn a_commit_whose_caller_went_away_is_recorded_whole() {
    let desk = Desk::new().await;
    let task_id = desk.ids.task_id();
    // The writer can not be done before the caller is gone.
    let other = desk.sql();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    {
        let two = commit(&task_id, vec![created(), message("a")]);
        let mut append = pin!(desk.store.append(two));
        let first_poll = append
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()));
        assert!(first_poll.is_pending());
    }
    other.execute_batch("ROLLBACK").unwrap();
    // The queue is in order: when this is recorded, that has been.
    desk.running().await;
    assert_eq!(desk.seqs(&task_id).await, [1, 2]);
}

#[tokio::test]
async fn what_another_program_writes_between_two_commits_is_seen() {
    let desk = Desk::new().await;
    let task_id = desk.running().await;
    desk.append(&task_id, vec![message("a")]).await;
    // A shell, say: it does not know of the lock.
    let ended = "UPDATE tasks SET status = 'CANCELLED'";
    assert_eq!(desk.sql().execute(ended, []).unwrap(), 1);
    let late = desk
        .store
        .append(commit(&task_id, vec![started("main")]))
        .await;
    let status = match late {
        Err(StoreError::TaskEnded { status, .. }) => status,
        other => panic!("{other:?}"),
    };
    assert_eq!(status, TaskStatus::Cancelled);
}

#[tokio::test]
async fn what_a_rebuild_mends_is_seen_by_the_next_commit() {
    let desk = Desk::new().await;
    let task_id = desk.running().await;
    let ended = "UPDATE tasks SET status = 'CANCELLED'";
    assert_eq!(desk.sql().execute(ended, []).unwrap(), 1);
    desk.append(&task_id, vec![message("a")]).await;
    desk.store.rebuild().await.unwrap();
    desk.append(&task_id, vec![started("main")]).await;
}

#[tokio::test]
async fn a_store_opened_for_reading_sees_what_the_other_records() {
    let desk = Desk::new().await;
    let reader = SqliteStore::open_read_only(options(desk.dir.path()))
        .await
        .unwrap();
    let task_id = desk.running().await;
    assert_eq!(reader.events(&task_id, 0, 10).await.unwrap().len(), 2);
    let refused = reader
        .append(Commit::new(task_id.clone()).event(message("a")))
        .await;
    assert!(matches!(refused, Err(StoreError::ReadOnly)));
    assert!(matches!(reader.rebuild().await, Err(StoreError::ReadOnly)));
    assert!(reader.subscribe(&task_id).next().await.is_none());
    // It does not stand in the way of the writer's end either.
    desk.store.close().await.unwrap();
    assert_eq!(reader.events(&task_id, 0, 10).await.unwrap().len(), 2);
    reader.close().await.unwrap();
}

#[tokio::test]
async fn what_was_recorded_survives_a_copy_of_the_files_in_mid_use() {
    let desk = Desk::new().await;
    let task_id = desk.running().await;
    for _ in 0..50 {
        desk.append(&task_id, vec![message("a"), message("b")])
            .await;
    }
    // What a power loss leaves: the files as they are, with nobody to close them.
    let copy = tempfile::TempDir::new().unwrap();
    std::fs::create_dir(copy.path().join("sqlite")).unwrap();
    for name in ["octo.db", "octo.db-wal"] {
        let from = desk.dir.path().join("sqlite").join(name);
        std::fs::copy(from, copy.path().join("sqlite").join(name)).unwrap();
    }
    let wal = copy.path().join("sqlite").join("octo.db-wal");
    let after_the_loss = Desk::at(copy, |options| options).await;
    assert_eq!(after_the_loss.seqs(&task_id).await.len(), 102);
    after_the_loss.store.close().await.unwrap();
    assert!(!wal.exists());
}

#[tokio::test]
async fn a_log_cut_in_mid_commit_gives_whole_commits_only() {
    let desk = Desk::new().await;
    let task_id = desk.running().await;
    for _ in 0..30 {
        desk.append(&task_id, vec![message("a"), message("b")])
            .await;
    }
    let from = desk.dir.path().join("sqlite");
    let wal = std::fs::read(from.join("octo.db-wal")).unwrap();
    for cut in [
        wal.len() - 1,
        wal.len() - 5_000,
        wal.len() / 2,
        wal.len() / 3,
    ] {
        let copy = tempfile::TempDir::new().unwrap();
        std::fs::create_dir(copy.path().join("sqlite")).unwrap();
        std::fs::copy(from.join("octo.db"), copy.path().join("sqlite/octo.db")).unwrap();
        std::fs::write(copy.path().join("sqlite/octo.db-wal"), &wal[..cut]).unwrap();
        let after = Desk::at(copy, |options| options).await;
        let seqs = after.seqs(&task_id).await;
        assert!(
            seqs.len() < 62 && seqs.len() % 2 == 0,
            "cut at {cut}: {}",
            seqs.len()
        );
        let expected: Vec<u64> = (1..).take(seqs.len()).collect();
        assert_eq!(seqs, expected);
    }
}

/// How many transactions a write-ahead log holds: the frames that end one carry the size of the
/// database, the others 0 (SQLite's file format, section 4.1).
fn transactions(wal: &std::path::Path) -> usize {
    let wal = std::fs::read(wal).unwrap();
    let frames = wal[32..].chunks_exact(24 + 4096);
    frames.filter(|frame| frame[4..8] != [0; 4]).count()
}

#[tokio::test]
async fn callers_that_wait_share_a_transaction() {
    let desk = Desk::new().await;
    let task_id = desk.running().await;
    let wal = desk.path().with_extension("db-wal");
    let before = transactions(&wal);
    let other = desk.sql();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    // All of them are in the queue before the writer gets the database.
    let mut waiting: Vec<_> = (0..300)
        .map(|_| Box::pin(desk.store.append(commit(&task_id, vec![message("a")]))))
        .collect();
    for append in &mut waiting {
        let poll = append
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()));
        assert!(poll.is_pending());
        // A task may do so much before tokio makes it wait.
        tokio::task::yield_now().await;
    }
    other.execute_batch("ROLLBACK").unwrap();
    for append in waiting {
        append.await.unwrap();
    }
    assert_eq!(desk.seqs(&task_id).await.len(), 302);
    // The one that the writer had taken already, one full group, and the rest.
    let shared = transactions(&wal) - before;
    assert!((2..=3).contains(&shared), "{shared} transactions");
}
