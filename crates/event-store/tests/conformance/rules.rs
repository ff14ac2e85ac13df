//! Each rule refuses, by its name, and leaves nothing behind.

use std::sync::Arc;

use event_payloads::{Actor, Cost, EventType, Payload, TaskStatus};
use event_store::{Commit, NewEvent, Parent, StoreError};
use serde_json::json;
use tokio::task::JoinSet;

use crate::desk::Desk;
use crate::events::{commit, completed, created, failed, message, moved, started};
use crate::house::House;

/// The refusal of a commit, after which the task is what it was.
async fn refusal(desk: &Desk, commit: Commit) -> StoreError {
    let task_id = commit.task_id.clone();
    let before = (
        desk.store.task(&task_id).await.unwrap(),
        desk.seqs(&task_id).await,
    );
    let error = desk.store.append(commit).await.unwrap_err();
    let after = (
        desk.store.task(&task_id).await.unwrap(),
        desk.seqs(&task_id).await,
    );
    assert_eq!(before, after, "nothing is left of a refused commit");
    assert!(error.is_refusal(), "{error}");
    error
}

pub(crate) async fn a_task_begins_with_its_creation_and_has_one(house: &House) {
    let desk = house.open().await;
    let unknown = desk.ids.task_id();
    let error = refusal(&desk, commit(&unknown, vec![message("a"), created()])).await;
    assert!(matches!(error, StoreError::UnknownTask { task_id } if task_id == unknown));
    let task_id = desk.running().await;
    let error = refusal(&desk, commit(&task_id, vec![message("a"), created()])).await;
    assert!(matches!(error, StoreError::TaskExists { .. }), "{error}");
}

pub(crate) async fn a_transition_starts_where_the_task_stands_and_leads_where_it_may(
    house: &House,
) {
    use TaskStatus::{Cancelled, Created, Failed, Queued, Running, Succeeded};
    let desk = house.open().await;
    let task_id = desk.running().await;
    for (from, to) in [
        (Created, Running),
        (Running, Queued),
        (Running, Running),
        (Running, Created),
    ] {
        let error = refusal(&desk, commit(&task_id, vec![message("a"), moved(from, to)])).await;
        let StoreError::IllegalTransition {
            current, wanted, ..
        } = &error
        else {
            panic!("{error}")
        };
        assert_eq!((*current, *wanted), (Running, to));
    }
    desk.append(&task_id, vec![moved(Running, Cancelled)]).await;
    let error = refusal(&desk, commit(&task_id, vec![moved(Running, Succeeded)])).await;
    assert_eq!(
        error.to_string(),
        format!("task {task_id} is CANCELLED and can not go from RUNNING to SUCCEEDED")
    );
    let short = desk.ids.task_id();
    let whole = vec![created(), moved(Created, Running), moved(Running, Failed)];
    desk.append(&short, whole).await;
    assert_eq!(
        desk.store.task(&short).await.unwrap().unwrap().status,
        Failed
    );
}

pub(crate) async fn a_call_has_exactly_one_end(house: &House) {
    let desk = house.open().await;
    let task_id = desk.running().await;
    let call_id = desk.call(&task_id).await;
    assert_eq!(desk.store.open_calls().await.unwrap()[0].call_id, call_id);
    let twice = vec![failed(&call_id), completed(&call_id, &Cost::FREE)];
    let error = refusal(&desk, commit(&task_id, twice)).await;
    assert!(
        matches!(error, StoreError::CallAlreadyEnded { .. }),
        "{error}"
    );
    desk.append(&task_id, vec![completed(&call_id, &Cost::FREE)])
        .await;
    for end in [completed(&call_id, &Cost::FREE), failed(&call_id)] {
        let error = refusal(&desk, commit(&task_id, vec![end])).await;
        assert!(
            matches!(&error, StoreError::CallAlreadyEnded { call_id: named, .. } if *named == call_id)
        );
    }
    assert_eq!(desk.store.open_calls().await.unwrap(), []);
}

pub(crate) async fn of_many_ends_at_once_one_is_recorded(house: &House) {
    let desk = house.open().await;
    let task_id = desk.running().await;
    let call_id = desk.call(&task_id).await;
    let mut ends = JoinSet::new();
    for _ in 0..20 {
        let store = Arc::clone(&desk.store);
        let end = commit(&task_id, vec![failed(&call_id)]);
        ends.spawn(async move { store.append(end).await.is_ok() });
    }
    let recorded = ends.join_all().await.into_iter().filter(|ok| *ok).count();
    assert_eq!(recorded, 1);
}

pub(crate) async fn an_end_names_a_call_of_its_own_task(house: &House) {
    let desk = house.open().await;
    let task_id = desk.running().await;
    let other = desk.running().await;
    let call_id = desk.call(&other).await;
    let no_parent = NewEvent {
        parent: Parent::None,
        ..failed(&call_id)
    };
    for end in [
        failed(&call_id),
        failed(&"nothing".parse().unwrap()),
        no_parent,
    ] {
        let error = refusal(&desk, commit(&task_id, vec![end])).await;
        assert!(matches!(error, StoreError::UnknownCall { .. }), "{error}");
    }
    assert_eq!(desk.store.open_calls().await.unwrap().len(), 1);
}

pub(crate) async fn a_known_type_in_an_unknown_payload_is_held_to_the_rules(house: &House) {
    let desk = house.open().await;
    let task_id = desk.running().await;
    let hidden = |event_type: EventType, payload| {
        NewEvent::new(Actor::Worker, Payload::Unknown(event_type, payload))
    };
    let transition = json!({"from_status": "CREATED", "to_status": "SUCCEEDED"});
    let error = refusal(
        &desk,
        commit(
            &task_id,
            vec![hidden(EventType::StateTransition, transition)],
        ),
    )
    .await;
    assert!(
        matches!(error, StoreError::IllegalTransition { .. }),
        "{error}"
    );
    for payload in [json!({"from_status": 5}), json!("text")] {
        let event = hidden(EventType::StateTransition, payload);
        let error = refusal(&desk, commit(&task_id, vec![event])).await;
        assert!(matches!(error, StoreError::InvalidCommit { .. }), "{error}");
    }
    let own = hidden("ORCH_DECISION".into(), json!({"hop_count": 1}));
    let events = desk.append(&task_id, vec![own]).await;
    assert_eq!(events[0].event_type.as_str(), "ORCH_DECISION");
}

pub(crate) async fn a_commit_that_makes_no_sense_is_refused(house: &House) {
    let desk = house.open().await;
    let task_id = desk.running().await;
    let forward = message("a").parent(Parent::InCommit(0));
    for events in [vec![], vec![forward], vec![message("a").key("")]] {
        let error = refusal(&desk, commit(&task_id, events)).await;
        assert!(matches!(error, StoreError::InvalidCommit { .. }), "{error}");
    }
}

pub(crate) async fn a_call_may_end_after_its_task_did(house: &House) {
    let desk = house.open().await;
    let task_id = desk.running().await;
    let events = vec![
        started("planner"),
        moved(TaskStatus::Running, TaskStatus::Cancelled),
    ];
    let call_id = desk.append(&task_id, events).await.remove(0).event_id;
    desk.append(&task_id, vec![failed(&call_id)]).await;
    let task = desk.store.task(&task_id).await.unwrap().unwrap();
    assert_eq!(task.status, TaskStatus::Cancelled);
}

pub(crate) async fn a_call_may_end_in_a_task_that_has_ended_but_not_start(house: &House) {
    let desk = house.open().await;
    let task_id = desk.running().await;
    let call_id = desk.call(&task_id).await;
    let cancelled = moved(TaskStatus::Running, TaskStatus::Cancelled);
    desk.append(&task_id, vec![cancelled]).await;
    let error = refusal(&desk, commit(&task_id, vec![started("planner")])).await;
    assert!(
        matches!(
            error,
            StoreError::TaskEnded {
                status: TaskStatus::Cancelled,
                ..
            }
        ),
        "{error}"
    );
    desk.append(&task_id, vec![failed(&call_id)]).await;
}
