//! What a commit is: whole, durable, in order.

use std::sync::Arc;

use event_payloads::{Actor, Cost, TaskStatus, Timestamp};
use event_store::{NewEvent, Parent, TaskQuery};
use tokio::task::JoinSet;

use crate::events::{commit, completed, created, message, moved, started};
use crate::house::{House, Limits, NOON};

pub(crate) async fn a_commit_comes_back_with_what_the_store_gave_it(house: &House) {
    let desk = house.open().await;
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
}

pub(crate) async fn many_writers_leave_no_gap_in_any_task(house: &House) {
    const WRITERS: usize = 64;
    const COMMITS: usize = 10;
    let limits = Limits {
        queue: Some(8),
        ..Limits::default()
    };
    let desk = house.open_with(limits).await;
    let shared = desk.running().await;
    let mut writers = JoinSet::new();
    for _ in 0..WRITERS {
        let (store, shared) = (Arc::clone(&desk.store), shared.clone());
        let own = desk.ids.task_id();
        writers.spawn(async move {
            store.append(commit(&own, vec![created()])).await.unwrap();
            for _ in 0..COMMITS {
                let two = vec![message("a"), message("b")];
                let recorded = store.append(commit(&shared, two)).await.unwrap();
                let events = recorded.into_events();
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

pub(crate) async fn identifiers_grow_while_the_clock_jumps_back_and_over_a_restart(house: &House) {
    let desk = house.open().await;
    let task_id = desk.running().await;
    let before = desk.append(&task_id, vec![message("a")]).await.remove(0);
    desk.clock.set_unix_micros(NOON - 3_600_000_000);
    let jumped = desk.append(&task_id, vec![message("b")]).await.remove(0);
    assert!(jumped.event_id > before.event_id);
    desk.store.close().await.unwrap();

    let again = house.open().await;
    again.clock.set_unix_micros(1);
    let after = again.append(&task_id, vec![message("c")]).await.remove(0);
    assert!(after.event_id > jumped.event_id);
    assert_eq!(again.seqs(&task_id).await, [1, 2, 3, 4, 5]);
}

pub(crate) async fn closing_records_what_waits_and_then_refuses(house: &House) {
    let desk = house.open().await;
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

    let again = house.open().await;
    assert_eq!(again.seqs(&task_id).await.len(), 2 + recorded);
}

pub(crate) async fn tasks_are_listed_newest_first_and_by_status(house: &House) {
    let desk = house.open().await;
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
    let again = house.open().await;
    let unfinished = again.store.orphans().await.unwrap().tasks;
    let unfinished: Vec<_> = unfinished.into_iter().map(|task| task.task_id).collect();
    assert_eq!(
        unfinished,
        [made[0].clone(), made[2].clone(), made[3].clone()]
    );
}
