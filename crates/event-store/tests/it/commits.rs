//! What a commit is: whole, durable, in order.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};

use event_payloads::{Actor, Cost, TaskStatus, Timestamp};
use event_store::{Commit, EventStore, NewEvent, Parent, SqliteStore, StoreError, TaskQuery};
use tokio::task::JoinSet;

use crate::desk::{Desk, NOON, commit, completed, created, message, moved, options, started};

#[tokio::test]
async fn a_commit_comes_back_with_what_the_store_gave_it() {
    let desk = Desk::new().await;
    let task_id = desk.ids.task_id();
    let events = desk
        .append(
            &task_id,
            vec![
                created().key("msg-1").span("span-1"),
                moved(TaskStatus::Created, TaskStatus::Running),
                started("planner"),
                NewEvent {
                    parent: Parent::InCommit(2),
                    ..completed(&"x".parse().unwrap(), &Cost::FREE)
                },
            ],
        )
        .await;
    assert_eq!(
        events
            .iter()
            .map(|event| event.task_seq)
            .collect::<Vec<_>>(),
        [1, 2, 3, 4]
    );
    assert!(events.is_sorted_by(|a, b| a.event_id < b.event_id));
    assert!(
        events
            .iter()
            .all(|event| event.trace_id == format!("trace-{task_id}"))
    );
    assert_eq!(events[0].ts, Timestamp::from_unix_micros(NOON));
    assert_eq!(events[0].span_id, "span-1");
    assert_eq!(events[0].actor, Actor::System);
    assert_eq!(
        events[0].causality.idempotency_key.as_deref(),
        Some("msg-1")
    );
    assert_eq!(
        events[3].causality.parent_event_id.as_ref(),
        Some(&events[2].event_id)
    );
    let read = desk.store.events(&task_id, 0, 10).await.unwrap();
    assert_eq!(read, events, "what is read is what came back");
    assert_eq!(
        desk.store.events(&task_id, 2, 1).await.unwrap(),
        events[2..3]
    );

    let task = desk.store.task(&task_id).await.unwrap().unwrap();
    assert_eq!(task.status, TaskStatus::Running);
    assert_eq!(
        (
            task.requester.channel.as_str(),
            task.requester.sender_id.as_str()
        ),
        ("web", "owner")
    );
    assert_eq!(
        task.pointers.latest_event_id.as_ref(),
        Some(&events[3].event_id)
    );
    assert_eq!(task.created_at, events[0].ts);
    let position = desk
        .store
        .position(&events[2].event_id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((position.task_id, position.task_seq), (task_id, 3));
    assert_eq!(
        desk.store.position(&"none".parse().unwrap()).await.unwrap(),
        None
    );
    assert_eq!(desk.store.kind(), "sqlite");
    assert_eq!(desk.store.migrated().unwrap().events, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_writers_leave_no_gap_in_any_task() {
    const WRITERS: usize = 64;
    const COMMITS: usize = 10;
    let desk = Desk::with(|options| options.queue(8)).await;
    let shared = desk.running().await;
    let mut writers = JoinSet::new();
    for _ in 0..WRITERS {
        let (store, shared) = (Arc::clone(&desk.store), shared.clone());
        let own = desk.ids.task_id();
        writers.spawn(async move {
            store.append(commit(&own, vec![created()])).await.unwrap();
            for _ in 0..COMMITS {
                let two = vec![message("a"), message("b")];
                let events = store.append(commit(&shared, two)).await.unwrap();
                assert_eq!(events[0].task_seq + 1, events[1].task_seq, "side by side");
                store
                    .append(commit(&own, vec![message("c")]))
                    .await
                    .unwrap();
            }
            own
        });
    }
    let tasks = writers.join_all().await;
    let all: u64 = 2 + 2 * u64::try_from(WRITERS * COMMITS).unwrap();
    assert_eq!(desk.seqs(&shared).await, (1..=all).collect::<Vec<_>>());
    for task_id in tasks {
        let seqs = desk.seqs(&task_id).await;
        assert_eq!(seqs, (1..=11).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn identifiers_grow_while_the_clock_jumps_back_and_over_a_restart() {
    let desk = Desk::new().await;
    let task_id = desk.running().await;
    let before = desk.append(&task_id, vec![message("a")]).await.remove(0);
    desk.clock.set_unix_micros(NOON - 3_600_000_000);
    let jumped = desk.append(&task_id, vec![message("b")]).await.remove(0);
    assert!(jumped.event_id > before.event_id);
    desk.store.close().await.unwrap();

    let again = Desk::at(desk.dir, |options| options).await;
    again.clock.set_unix_micros(1);
    let after = again.append(&task_id, vec![message("c")]).await.remove(0);
    assert!(after.event_id > jumped.event_id);
    assert_eq!(again.seqs(&task_id).await, [1, 2, 3, 4, 5]);
    assert_eq!(again.store.migrated(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_commit_does_not_spoil_the_others_of_its_group() {
    let desk = Desk::new().await;
    let task_id = desk.running().await;
    let mut commits = JoinSet::new();
    for index in 0..60 {
        let (store, task_id) = (Arc::clone(&desk.store), task_id.clone());
        commits.spawn(async move {
            // The second event of every third commit is against the rules: the first goes with it.
            let second = if index % 3 == 0 {
                created()
            } else {
                message("b")
            };
            store
                .append(commit(&task_id, vec![message("a"), second]))
                .await
                .is_ok()
        });
    }
    let recorded = commits
        .join_all()
        .await
        .into_iter()
        .filter(|ok| *ok)
        .count();
    assert_eq!(recorded, 40);
    assert_eq!(desk.seqs(&task_id).await, (1..=82).collect::<Vec<_>>());
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
async fn closing_records_what_waits_and_then_refuses() {
    let desk = Desk::new().await;
    let task_id = desk.running().await;
    let mut waiting = JoinSet::new();
    for _ in 0..20 {
        let (store, task_id) = (Arc::clone(&desk.store), task_id.clone());
        waiting.spawn(async move { store.append(commit(&task_id, vec![message("a")])).await });
    }
    tokio::task::yield_now().await;
    desk.store.close().await.unwrap();
    desk.store.close().await.unwrap();
    let recorded = waiting
        .join_all()
        .await
        .into_iter()
        .filter(Result::is_ok)
        .count();
    let late = desk
        .store
        .append(commit(&task_id, vec![message("b")]))
        .await;
    assert!(late.unwrap_err().is_closed());
    assert!(desk.store.task(&task_id).await.unwrap_err().is_closed());
    assert!(desk.store.check().await.unwrap_err().is_closed());
    assert!(
        !desk.path().with_extension("db-wal").exists(),
        "one file is left"
    );

    let again = Desk::at(desk.dir, |options| options).await;
    assert_eq!(again.seqs(&task_id).await.len(), 2 + recorded);
}

#[tokio::test]
async fn tasks_are_listed_newest_first_and_by_status() {
    let desk = Desk::new().await;
    let mut made = Vec::new();
    for _ in 0..4 {
        desk.clock.advance_micros(1_000);
        made.push(desk.running().await);
    }
    desk.append(
        &made[1],
        vec![moved(TaskStatus::Running, TaskStatus::Failed)],
    )
    .await;
    let list = |status, limit| {
        let store = Arc::clone(&desk.store);
        async move {
            let tasks = store.tasks(TaskQuery { status, limit }).await.unwrap();
            tasks
                .into_iter()
                .map(|task| task.task_id)
                .collect::<Vec<_>>()
        }
    };
    let newest: Vec<_> = made.iter().rev().cloned().collect();
    assert_eq!(list(None, 100).await, newest);
    assert_eq!(list(None, 2).await, newest[..2]);
    assert_eq!(list(Some(TaskStatus::Failed), 100).await, made[1..2]);
    assert_eq!(list(Some(TaskStatus::Paused), 100).await, []);
    assert_eq!(
        desk.store.orphans().await.unwrap().tasks,
        [],
        "they are worked on"
    );
    desk.store.close().await.unwrap();
    let again = Desk::at(desk.dir, |options| options).await;
    let unfinished = again.store.orphans().await.unwrap().tasks;
    let unfinished: Vec<_> = unfinished.into_iter().map(|task| task.task_id).collect();
    assert_eq!(
        unfinished,
        [made[0].clone(), made[2].clone(), made[3].clone()]
    );
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
