//! What can not be written down is not begun, and what ends at the same moment is not either.

use event_payloads::{TaskId, TaskStatus};
use event_store::{Commit, EventStore, StoreError};
use provider_service::{CancelError, DirectError, Message, SubmitError};

use crate::house::{House, becomes, direct};
use crate::store::{Fate, io, unreachable};

/// A session without a call under way.
async fn idle_session(house: &House) -> TaskId {
    let session: TaskId = "run".parse().unwrap();
    let calling = house.call(Some(&session)).await;
    house.answer();
    calling.outcome().await.unwrap();
    session
}

/// The session ends elsewhere, right before what comes next is recorded.
fn ends_first(house: &House, session: &TaskId) {
    let end = Commit::new(session.clone()).event(becomes(TaskStatus::Succeeded));
    house.store.next_commits([Fate::ComesAfter(end)]);
}

#[tokio::test]
async fn a_message_that_can_not_be_recorded_is_not_taken_and_can_be_sent_again() {
    let house = House::alone().await;
    house.store.next_commits([Fate::Fails(io())]);
    let error = house.tasks.submit(Message::new("hi", "k")).await;
    let error = error.unwrap_err();
    assert!(
        matches!(error, SubmitError::Store(StoreError::Io { .. })),
        "{error}"
    );
    assert!(house.store.task_by_key("k").await.unwrap().is_none());
    house.settled().await;
    assert!(house.nothing_was_sent());

    house.answer();
    let again = house.tasks.submit(Message::new("hi", "k")).await.unwrap();
    assert!(again.created);
    house
        .tasks
        .shut_down(std::time::Duration::from_secs(30))
        .await;
}

#[tokio::test]
async fn a_call_whose_start_can_not_be_recorded_is_not_made() {
    let house = House::alone().await;
    house.store.next_commits([Fate::Fails(io())]);
    let error = house.tasks.answer(direct(None)).await.unwrap_err();
    assert!(
        matches!(error, DirectError::Store(StoreError::Io { .. })),
        "{error}"
    );
    assert!(house.nothing_was_sent());
    assert_eq!(house.store.commits(), 1, "nobody waits for that");
}

#[tokio::test]
async fn a_call_of_a_session_that_ends_at_that_moment_is_not_made() {
    let house = House::shared().await;
    let session = idle_session(&house).await;
    ends_first(&house, &session);
    let error = house.tasks.answer(direct(Some(&session))).await;
    let DirectError::TaskEnded { task_id, status } = error.unwrap_err() else {
        panic!("another error")
    };
    assert_eq!((task_id, status), (session, TaskStatus::Succeeded));
    assert!(house.nothing_was_sent());
}

#[tokio::test]
async fn cancelling_what_ends_at_that_moment_says_how_it_ended() {
    let house = House::shared().await;
    let session = idle_session(&house).await;
    ends_first(&house, &session);
    let error = house.tasks.cancel(&session).await.unwrap_err();
    let CancelError::AlreadyTerminal { status, .. } = error else {
        panic!("{error}")
    };
    assert_eq!(status, TaskStatus::Succeeded);
    assert_eq!(house.status(&session).await, TaskStatus::Succeeded);
}

#[tokio::test]
async fn a_cancellation_that_can_not_be_recorded_says_so_and_can_be_asked_again() {
    let house = House::alone().await;
    let session = idle_session(&house).await;
    house.store.next_commits([Fate::Fails(unreachable())]);
    let error = house.tasks.cancel(&session).await.unwrap_err();
    assert!(
        matches!(error, CancelError::Store(StoreError::Unreachable { .. })),
        "{error}"
    );
    assert_eq!(house.status(&session).await, TaskStatus::Running);
    house.tasks.cancel(&session).await.unwrap();
    assert_eq!(house.status(&session).await, TaskStatus::Cancelled);
}
