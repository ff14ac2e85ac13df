//! Following a task.

use std::sync::Arc;

use event_payloads::{Event, EventId, ModelCallChunk, TaskId, TaskStatus};
use event_store::{Follow, Followed, Lagged};
use tokio::task::JoinSet;

use crate::desk::Desk;
use crate::events::{commit, message, moved};
use crate::house::House;

fn follow(desk: &Desk, task_id: &TaskId, after_seq: u64) -> Follow {
    Follow::new(Arc::clone(&desk.store), task_id.clone(), after_seq)
}

async fn next_event(follow: &mut Follow) -> Option<Event> {
    let next = follow.next().await.unwrap()?;
    Some(next.event().unwrap().clone())
}

/// The positions of all events up to the final one.
async fn to_the_end(mut follow: Follow) -> Vec<u64> {
    let mut seqs = Vec::new();
    while let Some(event) = next_event(&mut follow).await {
        seqs.push(event.task_seq);
        if event.is_final() {
            break;
        }
    }
    seqs
}

pub(crate) async fn followers_that_come_at_any_time_see_each_event_once(house: &House) {
    let desk = house.open().await;
    let task_id = desk.running().await;
    let mut followers = JoinSet::new();
    let mut writers = JoinSet::new();
    for _ in 0..8 {
        let (store, task_id) = (Arc::clone(&desk.store), task_id.clone());
        writers.spawn(async move {
            for _ in 0..50 {
                store
                    .append(commit(&task_id, vec![message("a")]))
                    .await
                    .unwrap();
            }
        });
    }
    for start in 0..8 {
        followers.spawn(to_the_end(follow(&desk, &task_id, start)));
        desk.append(&task_id, vec![message("b")]).await;
    }
    writers.join_all().await;
    desk.append(
        &task_id,
        vec![moved(TaskStatus::Running, TaskStatus::Succeeded)],
    )
    .await;
    for seqs in followers.join_all().await {
        assert_eq!(seqs, (seqs[0]..=411).collect::<Vec<_>>());
    }
}

pub(crate) async fn a_subscriber_gets_later_events_of_its_task_only(house: &House) {
    let desk = house.open().await;
    let (task_id, other) = (desk.running().await, desk.running().await);
    let mut subscription = desk.store.subscribe(&task_id);
    desk.append(&other, vec![message("a")]).await;
    let events = desk
        .append(&task_id, vec![message("b"), message("c")])
        .await;
    for event in events {
        let live = subscription.next().await.unwrap().unwrap();
        assert_eq!(live.event(), Some(&event));
    }
    desk.store.close().await.unwrap();
    assert!(subscription.next().await.is_none());
    assert!(desk.store.subscribe(&task_id).next().await.is_none());
}

pub(crate) async fn a_slow_subscriber_is_told_and_a_slow_follower_misses_nothing(house: &House) {
    let desk = house.open().await;
    let task_id = desk.running().await;
    let mut subscription = desk.store.subscribe(&task_id);
    let mut follow = follow(&desk, &task_id, 2);
    for _ in 0..3 {
        desk.append(&task_id, vec![message("a"); 100]).await;
    }
    let first = next_event(&mut follow).await.unwrap();
    assert_eq!(first.task_seq, 3);
    for _ in 0..4 {
        desk.append(&task_id, vec![message("a"); 100]).await;
    }
    assert!(matches!(
        subscription.next().await,
        Some(Err(Lagged { missed: 444 }))
    ));
    let next = subscription.next().await.unwrap().unwrap();
    assert_eq!(next.event().unwrap().task_seq, 447);
    for seq in 4..=702 {
        assert_eq!(next_event(&mut follow).await.unwrap().task_seq, seq);
    }
    desk.append(&task_id, vec![message("b")]).await;
    assert_eq!(next_event(&mut follow).await.unwrap().task_seq, 703);
    desk.store.close().await.unwrap();
    assert!(follow.next().await.unwrap().is_none());
    // Also where the history would have to be read.
    let mut late = self::follow(&desk, &task_id, 0);
    assert!(late.next().await.unwrap().is_none());
}

pub(crate) async fn a_refused_commit_is_not_told(house: &House) {
    let desk = house.open().await;
    let task_id = desk.running().await;
    let mut subscription = desk.store.subscribe(&task_id);
    let refused = vec![
        message("a"),
        moved(TaskStatus::Created, TaskStatus::Running),
    ];
    desk.store
        .append(commit(&task_id, refused))
        .await
        .unwrap_err();
    desk.append(&task_id, vec![message("b")]).await;
    let next = subscription.next().await.unwrap().unwrap();
    assert_eq!(next.event().unwrap().task_seq, 3);
}

pub(crate) async fn a_piece_of_an_answer_comes_between_its_events_and_is_not_recorded(
    house: &House,
) {
    let desk = house.open().await;
    let task_id = desk.running().await;
    let chunk = |task_id: &TaskId, index| ModelCallChunk {
        task_id: task_id.clone(),
        call_id: "01JD8V5Q8G3YB1Z2X4W6V8T0RS".parse::<EventId>().unwrap(),
        ts: "2026-03-01T12:00:00Z".parse().unwrap(),
        index,
        text: "Hel".to_owned(),
    };
    let nobody: TaskId = "nobody-follows".parse().unwrap();
    desk.store
        .announce(&nobody, &mut || panic!("made for nobody"));
    let mut follow = follow(&desk, &task_id, 2);
    desk.append(&task_id, vec![message("before")]).await;
    assert_eq!(next_event(&mut follow).await.unwrap().task_seq, 3);
    for index in 0..2 {
        desk.store
            .announce(&task_id, &mut || chunk(&task_id, index));
    }
    desk.append(&task_id, vec![message("after")]).await;
    for index in 0..2 {
        match follow.next().await.unwrap().unwrap() {
            Followed::Chunk(seen) => assert_eq!(*seen, chunk(&task_id, index)),
            other @ Followed::Event(_) => panic!("{other:?}"),
        }
    }
    assert_eq!(next_event(&mut follow).await.unwrap().task_seq, 4);
    let recorded = desk.store.events(&task_id, 0, 100).await.unwrap();
    assert_eq!(recorded.len(), 4);
}
