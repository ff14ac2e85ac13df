//! What a gateway leaves open itself.

use std::sync::Arc;
use std::time::Duration;

use event_payloads::{Actor, ModelCallStarted, Payload, TaskCreated, TaskId, TaskStatus};
use event_store::{Commit, EventStore, IdSource, NewEvent, SystemClock};
use provider_service::{Recovered, Suspects};

use crate::house::House;

/// What is recorded although nobody works on it: as after a commit that was in doubt.
async fn left_behind(house: &House, with_call: bool) -> TaskId {
    let task_id = IdSource::new(Arc::new(SystemClock)).task_id();
    let created = Payload::TaskCreated(TaskCreated {
        title: "a task".to_owned(),
        thread_id: "default".to_owned(),
        scope_id: "chat:web:default".to_owned(),
        channel: "web".to_owned(),
        sender_id: "owner".to_owned(),
        risk_level: "low".to_owned(),
    });
    let mut commit = Commit::new(task_id.clone()).event(NewEvent::new(Actor::System, created));
    if with_call {
        let started = Payload::ModelCallStarted(ModelCallStarted::default());
        commit = commit.event(NewEvent::new(Actor::System, started));
    }
    house.store.append(commit).await.unwrap();
    task_id
}

#[tokio::test]
async fn what_nobody_works_on_is_closed_at_the_second_look_and_what_is_worked_on_is_not() {
    let house = House::alone().await;
    let created = left_behind(&house, false).await;
    let started = left_behind(&house, true).await;
    let calling = house.call(Some(&"run".parse().unwrap())).await;

    let mut suspects = Suspects::default();
    let look = house.tasks.close_abandoned(&mut suspects).await.unwrap();
    assert_eq!(look, Recovered::default(), "it can be between two steps");
    let look = house.tasks.close_abandoned(&mut suspects).await.unwrap();
    assert_eq!((look.calls, look.tasks), (1, 2));
    for task_id in [created, started] {
        assert_eq!(house.status(&task_id).await, TaskStatus::Failed);
    }
    let open = house.store.open_calls().await.unwrap();
    assert_eq!(open.len(), 1, "the call that is worked on");

    house.answer();
    calling.outcome().await.unwrap();
    house.tasks.shut_down(Duration::from_secs(30)).await;
}
