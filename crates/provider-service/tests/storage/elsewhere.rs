//! What other gateways on the same store do to the work of this one.

use std::time::Duration;

use event_payloads::{Payload, TaskId, TaskStatus};
use event_store::{EventStore, NewEvent, StoreError};
use provider_service::{DirectError, StopReason};
use tokio::time::Instant;

use crate::house::{Calling, House, becomes, messages};
use crate::store::unreachable;

/// More events than a follower may be behind.
const TOO_MANY: usize = 300;

fn session() -> TaskId {
    "run".parse().unwrap()
}

fn cancelled() -> NewEvent {
    becomes(TaskStatus::Cancelled)
}

/// The end of a task, and more after it than a follower can be behind: whoever was waiting for it misses it.
fn missed_end() -> impl Iterator<Item = NewEvent> {
    std::iter::once(cancelled()).chain(messages(TOO_MANY))
}

async fn is_stopped(house: &House, calling: Calling) {
    let DirectError::Stopped { reason, .. } = calling.outcome().await.unwrap_err() else {
        panic!("another error")
    };
    assert_eq!(reason, StopReason::Cancelled);
    let ends = house.ends(&session()).await;
    let [Payload::ModelCallFailed(end)] = ends.as_slice() else {
        panic!("{ends:?}")
    };
    assert_eq!(end.error_type, "cancelled");
    assert_eq!(house.status(&session()).await, TaskStatus::Cancelled);
}

#[tokio::test]
async fn work_stops_when_another_gateway_ends_its_task() {
    let house = House::shared().await;
    let calling = house.call(Some(&session())).await;
    house.recorded_elsewhere(&session(), [cancelled()]);
    is_stopped(&house, calling).await;
}

#[tokio::test]
async fn what_another_gateway_adds_to_a_task_stops_nothing() {
    let house = House::shared().await;
    let calling = house.call(Some(&session())).await;
    house.recorded_elsewhere(&session(), messages(3));
    // So many that some are missed: the task is looked at, and goes on.
    house.store.next_tasks([]);
    house.recorded_elsewhere(&session(), messages(TOO_MANY));
    house.settled().await;
    assert_eq!(house.store.tasks_asked(), 1);
    house.answer();
    calling.outcome().await.unwrap();
    assert_eq!(house.status(&session()).await, TaskStatus::Running);
}

#[tokio::test]
async fn an_end_that_was_missed_is_found_in_the_store() {
    let house = House::shared().await;
    let calling = house.call(Some(&session())).await;
    house.recorded_elsewhere(&session(), missed_end());
    is_stopped(&house, calling).await;
}

#[tokio::test]
async fn an_end_that_was_missed_is_asked_for_until_the_store_answers() {
    let house = House::shared().await;
    let calling = house.call(Some(&session())).await;
    tokio::time::pause();
    let began = Instant::now();
    house.store.next_tasks([unreachable(), unreachable()]);
    house.recorded_elsewhere(&session(), missed_end());
    is_stopped(&house, calling).await;
    assert_eq!(house.store.tasks_asked(), 3);
    assert!(began.elapsed() >= Duration::from_secs(2), "not in a hurry");
}

#[tokio::test]
async fn a_closed_store_is_not_asked_again_and_stops_nothing() {
    let house = House::shared().await;
    let calling = house.call(Some(&session())).await;
    tokio::time::pause();
    house.store.next_tasks([StoreError::Closed]);
    house.recorded_elsewhere(&session(), missed_end());
    house.settled().await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(house.store.tasks_asked(), 1);

    house.store.close().await.unwrap();
    house.store.next_commits([]);
    house.answer();
    let error = calling.outcome().await.unwrap_err();
    assert!(
        matches!(
            error,
            DirectError::EndNotRecorded {
                source: StoreError::Closed,
                ..
            }
        ),
        "the call was made: {error:?}"
    );
    assert_eq!(house.store.commits(), 1, "it stays closed");
}

#[tokio::test]
async fn work_that_is_over_follows_its_task_no_more() {
    let house = House::shared().await;
    let calling = house.call(Some(&session())).await;
    house.answer();
    calling.outcome().await.unwrap();
    house.settled().await;
    house.store.next_tasks([]);
    house.recorded_elsewhere(&session(), missed_end());
    house.settled().await;
    assert_eq!(house.store.tasks_asked(), 0);
    // Nobody is left who would have to be waited for.
    house.tasks.shut_down(Duration::ZERO).await;
}

#[tokio::test]
async fn a_store_of_one_gateway_is_not_followed() {
    let house = House::alone().await;
    let calling = house.call(Some(&session())).await;
    house.recorded_elsewhere(&session(), [cancelled()]);
    house.settled().await;
    house.answer();
    let answer = calling.outcome().await.unwrap();
    assert_eq!(answer.task_id, session());
}
