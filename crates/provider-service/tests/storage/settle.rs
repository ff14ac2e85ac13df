//! The end of a call is recorded whatever the storage does, and once.

use std::time::Duration;

use event_payloads::{
    Actor, Cost, CostSource, EventId, EventType, ModelCallFailed, Payload, TaskId, TaskStatus,
};
use event_store::{Commit, EventStore, NewEvent, OpenCall, Parent, StoreError};
use provider_service::{DirectError, Suspects};
use tokio::time::Instant;

use crate::house::{House, PRICE, becomes, messages};
use crate::store::{Fate, in_doubt, io, unreachable};

/// The one call that is under way.
async fn open_call(house: &House) -> OpenCall {
    let mut open = house.store.open_calls().await.unwrap();
    assert_eq!(open.len(), 1);
    open.remove(0)
}

/// How another gateway ends a call that it takes for abandoned: nobody knows what it cost.
fn abandoned(task_id: &TaskId, call_id: &EventId) -> Commit {
    let cost = Cost::Unavailable("interrupted".to_owned());
    let failed = ModelCallFailed::default().with_cost(&cost);
    let end = NewEvent::new(Actor::System, Payload::ModelCallFailed(Box::new(failed)));
    Commit::new(task_id.clone()).event(end.parent(Parent::Event(call_id.clone())))
}

/// The whole record of a call that was answered, as a task of its own.
async fn is_answered(house: &House, task_id: &TaskId) {
    let ends = house.ends(task_id).await;
    let [Payload::ModelCallCompleted(end)] = ends.as_slice() else {
        panic!("{ends:?}")
    };
    let artifact = end.artifact_ref.as_ref().unwrap();
    let content = house.store.artifact_content(artifact).await.unwrap();
    assert_eq!(content.unwrap(), b"Through.");
    assert_eq!(house.status(task_id).await, TaskStatus::Succeeded);
    assert!(house.store.open_calls().await.unwrap().is_empty());
}

#[tokio::test]
async fn an_end_waits_until_the_storage_takes_it() {
    let house = House::alone().await;
    let calling = house.call(None).await;
    tokio::time::pause();
    let began = Instant::now();
    let fates = [io(), unreachable(), io()].map(Fate::Fails);
    house.store.next_commits(fates);
    house.answer();
    let answer = calling.outcome().await.unwrap();
    is_answered(&house, &answer.task_id).await;
    assert_eq!(house.store.commits(), 4);
    let waited = began.elapsed();
    let pauses = Duration::from_millis(50 + 100 + 200);
    assert!(waited >= pauses && waited < 2 * pauses, "{waited:?}");
}

#[tokio::test]
async fn an_end_that_was_recorded_in_doubt_is_recorded_once_and_answered() {
    let house = House::alone().await;
    let calling = house.call(None).await;
    tokio::time::pause();
    house.store.next_commits([Fate::IsRecorded(in_doubt())]);
    house.answer();
    let answer = calling.outcome().await.unwrap();
    assert_eq!(answer.body, "{}");
    is_answered(&house, &answer.task_id).await;
    assert_eq!(house.store.commits(), 2);
}

#[tokio::test]
async fn an_end_in_doubt_is_found_behind_all_that_came_after_its_call() {
    let house = House::alone().await;
    let session: TaskId = "run".parse().unwrap();
    let calling = house.call(Some(&session)).await;
    house.recorded_elsewhere(&session, messages(700));
    tokio::time::pause();
    house.store.next_commits([Fate::IsRecorded(in_doubt())]);
    house.answer();
    calling.outcome().await.unwrap();
    assert_eq!(house.ends(&session).await.len(), 1);
}

#[tokio::test]
async fn whose_end_was_recorded_is_asked_until_the_storage_says_it() {
    let house = House::alone().await;
    let calling = house.call(None).await;
    tokio::time::pause();
    house.store.next_commits([Fate::IsRecorded(in_doubt())]);
    house.store.next_positions([unreachable(), unreachable()]);
    house.answer();
    let answer = calling.outcome().await.unwrap();
    is_answered(&house, &answer.task_id).await;
}

#[tokio::test]
async fn the_last_try_knows_its_own_end_too() {
    let house = House::alone().await;
    let calling = house.call(None).await;
    tokio::time::pause();
    let failing = (0..16).map(|_| Fate::Fails(io()));
    let fates = failing.chain([Fate::IsRecorded(in_doubt())]);
    house.store.next_commits(fates);
    house.answer();
    let answer = calling.outcome().await.unwrap();
    is_answered(&house, &answer.task_id).await;
    assert_eq!(house.store.commits(), 18);
}

#[tokio::test]
async fn an_end_that_another_gateway_wrote_while_ours_waited_is_not_ours() {
    let house = House::alone().await;
    let calling = house.call(Some(&"run".parse().unwrap())).await;
    let OpenCall {
        task_id, call_id, ..
    } = open_call(&house).await;
    tokio::time::pause();
    let other = abandoned(&task_id, &call_id);
    let fates = [Fate::Fails(unreachable()), Fate::ComesAfter(other)];
    house.store.next_commits(fates);
    house.answer();
    let error = calling.outcome().await.unwrap_err();
    let DirectError::EndNotRecorded { source, .. } = error else {
        panic!("{error:?}")
    };
    assert!(
        matches!(&source, StoreError::CallAlreadyEnded { call_id: ended, .. } if *ended == call_id),
        "{source}"
    );
    let ends = house.ends(&task_id).await;
    let [Payload::ModelCallFailed(_)] = ends.as_slice() else {
        panic!("{ends:?}")
    };
    // The answer is not in the books; what it cost is.
    let call = house.store.calls(&task_id).await.unwrap().remove(0);
    let cost = call.cost.unwrap().to_usd().unwrap();
    assert_eq!(cost, PRICE.parse().unwrap());
    assert_eq!(call.cost_source, CostSource::Proxy);
}

#[tokio::test]
async fn a_late_cost_that_was_recorded_in_doubt_is_told_once() {
    let house = House::alone().await;
    let session: TaskId = "run".parse().unwrap();
    let calling = house.call(Some(&session)).await;
    let OpenCall {
        task_id, call_id, ..
    } = open_call(&house).await;
    tokio::time::pause();
    let closed = Fate::ComesAfter(abandoned(&task_id, &call_id));
    house
        .store
        .next_commits([closed, Fate::IsRecorded(in_doubt())]);
    house.answer();
    calling.outcome().await.unwrap_err();
    assert_eq!(house.store.commits(), 2, "an end and a correction");
    let call = house.store.calls(&task_id).await.unwrap().remove(0);
    let cost = call.cost.unwrap().to_usd().unwrap();
    assert_eq!(cost, PRICE.parse().unwrap());
    let events = house.store.events(&task_id, 0, 99).await.unwrap();
    let corrections = events
        .iter()
        .filter(|event| event.event_type == EventType::CostCorrected);
    assert_eq!(corrections.count(), 1);
}

#[tokio::test]
async fn a_refusal_is_not_tried_again() {
    let house = House::alone().await;
    let calling = house.call(None).await;
    let OpenCall { task_id, .. } = open_call(&house).await;
    let cancelled = becomes(TaskStatus::Cancelled);
    house.recorded_elsewhere(&task_id, [cancelled]);
    house.store.next_commits([]);
    house.answer();
    // The task has its end; the call still gets its own, in a commit without the task's.
    calling.outcome().await.unwrap();
    assert_eq!(house.store.commits(), 2);
    assert_eq!(house.ends(&task_id).await.len(), 1);
    assert_eq!(house.status(&task_id).await, TaskStatus::Cancelled);
}

#[tokio::test]
async fn a_storage_that_fails_for_a_minute_leaves_the_call_to_the_next_look() {
    let house = House::alone().await;
    let calling = house.call(None).await;
    let OpenCall { task_id, .. } = open_call(&house).await;
    tokio::time::pause();
    let began = Instant::now();
    house.store.next_commits((0..18).map(|_| Fate::Fails(io())));
    house.answer();
    let error = calling.outcome().await.unwrap_err();
    let DirectError::EndNotRecorded { source, .. } = error else {
        panic!("{error:?}")
    };
    assert!(matches!(source, StoreError::Io { .. }), "{source}");
    let waited = began.elapsed().as_secs();
    assert!((50..70).contains(&waited), "about a minute, not {waited} s");
    assert_eq!(house.store.commits(), 18);

    let mut suspects = Suspects::default();
    for closed in [0, 1] {
        let look = house.tasks.close_abandoned(&mut suspects).await.unwrap();
        assert_eq!((look.calls, look.tasks), (closed, closed));
    }
    assert_eq!(house.status(&task_id).await, TaskStatus::Failed);
}
