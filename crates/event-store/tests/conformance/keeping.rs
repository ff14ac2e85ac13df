//! Checked, pruned, copied.

use event_payloads::{
    Actor, ArtifactCreated, Cost, CostSource, EventType, Payload, TaskId, TaskStatus, Timestamp,
};
use event_store::{
    CostQuery, CostRow, Dimension, EventStore, NewArtifact, NewEvent, Progress, Pruned, StoreError,
    TaskQuery, copy,
};

use crate::desk::{Desk, usd};
use crate::events::{commit, completed, created, message, moved, started};
use crate::house::{House, NOON};

const DAY: i64 = 86_400_000_000;

/// A task that ended, with a call, an answer too long for a row and an idempotency key.
async fn ended(desk: &Desk, key: &str) -> TaskId {
    let task_id = desk.ids.task_id();
    let opening = vec![
        created().key(key),
        message("a"),
        moved(TaskStatus::Created, TaskStatus::Running),
        started("planner"),
    ];
    let call_id = desk.append(&task_id, opening).await.remove(3).event_id;
    let artifact_id = desk.ids.artifact_id();
    let spoken_of = Payload::ArtifactCreated(ArtifactCreated {
        artifact_id: artifact_id.clone(),
        name: "llm-response".to_owned(),
        size: 9_000,
        part_count: 1,
    });
    let end = vec![
        completed(&call_id, &Cost::known(usd("0.25"), CostSource::Proxy)),
        NewEvent::new(Actor::System, spoken_of),
        moved(TaskStatus::Running, TaskStatus::Succeeded),
    ];
    let end = commit(&task_id, end).artifact(NewArtifact {
        artifact_id,
        name: "llm-response".to_owned(),
        description: String::new(),
        mime: "text/plain".to_owned(),
        content: vec![b'x'; 9_000],
    });
    desk.store.append(end).await.unwrap();
    task_id
}

async fn problems(store: &dyn EventStore) -> Vec<String> {
    store.verify(&Progress::default()).await.unwrap().problems
}

async fn sums(store: &dyn EventStore) -> Vec<Vec<CostRow>> {
    let mut all = Vec::new();
    for group_by in [vec![], vec![Dimension::Day], Dimension::ALL.to_vec()] {
        let query = CostQuery {
            group_by,
            ..CostQuery::default()
        };
        all.push(store.cost_rollup(query).await.unwrap());
    }
    all
}

pub(crate) async fn pruning_keeps_sums_chains_and_keys(house: &House) {
    let desk = house.open().await;
    let store = desk.store.as_ref();
    let old = ended(&desk, "old").await;
    let open = desk.running().await;
    desk.clock.set_unix_micros(NOON + 10 * DAY);
    let new = ended(&desk, "new").await;
    let before_sums = sums(store).await;
    let before = Timestamp::from_unix_micros(NOON + DAY);

    let going = Pruned {
        tasks: 1,
        events: 6,
        calls: 1,
        artifacts: 1,
    };
    assert_eq!(store.prunable(before).await.unwrap(), going);
    assert_eq!(
        store.prune(before, &Progress::default()).await.unwrap(),
        going
    );
    assert_eq!(problems(store).await, [""; 0]);
    assert_eq!(sums(store).await, before_sums);
    store.rebuild().await.unwrap();
    assert_eq!(sums(store).await, before_sums, "the tombstone has them");
    assert_eq!(problems(store).await, [""; 0]);

    let left = store.events(&old, 0, 99).await.unwrap();
    let types: Vec<_> = left.iter().map(|event| event.event_type.clone()).collect();
    assert_eq!(types, [EventType::TaskCreated, EventType::TaskPruned]);
    let task = store.task_by_key("old").await.unwrap().unwrap();
    assert_eq!(
        (task.task_id, task.status),
        (old.clone(), TaskStatus::Succeeded)
    );
    assert_eq!(store.artifacts(&old).await.unwrap(), []);
    assert_eq!(store.events(&open, 0, 99).await.unwrap().len(), 2);
    assert_eq!(store.events(&new, 0, 99).await.unwrap().len(), 7);
    assert_eq!(
        store.prune(before, &Progress::default()).await.unwrap(),
        Pruned::default()
    );

    let half_an_hour = CostQuery {
        to: Some(Timestamp::from_unix_micros(NOON + DAY / 48)),
        ..CostQuery::default()
    };
    let error = store.cost_rollup(half_an_hour).await.unwrap_err();
    assert!(matches!(error, StoreError::Pruned { .. }), "{error}");
}

pub(crate) async fn a_copy_is_the_same_and_goes_on_where_it_was(house: &House) {
    let desk = house.open().await;
    let store = desk.store.as_ref();
    ended(&desk, "one").await;
    desk.running().await;
    store.save_cursor("worker", 3).await.unwrap();
    let other = house.another().await;
    let target = other.open().await;
    let to = target.store.as_ref();
    let copied = copy(store, to, &Progress::default()).await.unwrap();
    assert_eq!((copied.events, copied.artifacts), (9, 1));

    ended(&desk, "two").await;
    let copied = copy(store, to, &Progress::default()).await.unwrap();
    assert_eq!(copied.events, 7, "the others are there");
    assert_eq!(copied.verified.problems, [""; 0]);
    assert_eq!(sums(to).await, sums(store).await);
    assert_eq!(to.cursor("worker").await.unwrap(), 3);
    let all = TaskQuery {
        status: None,
        limit: 99,
    };
    let tasks = to.tasks(all).await.unwrap();
    assert_eq!(tasks, store.tasks(all).await.unwrap());
    for task in tasks {
        let copies = to.events(&task.task_id, 0, 99).await.unwrap();
        assert_eq!(copies, store.events(&task.task_id, 0, 99).await.unwrap());
        for artifact in to.artifacts(&task.task_id).await.unwrap() {
            let content = to.artifact_content(&artifact.artifact_id).await.unwrap();
            assert_eq!(content.map(|content| content.len()), Some(9_000));
        }
    }
    let (ours, copied) = (
        store.overview().await.unwrap(),
        to.overview().await.unwrap(),
    );
    assert_eq!(
        (ours.tasks, ours.events, ours.artifacts, ours.last_position),
        (
            copied.tasks,
            copied.events,
            copied.artifacts,
            copied.last_position
        )
    );
    assert_eq!(ours.last_event_at, copied.last_event_at);

    // It goes on as a store of its own, and is a copy no more.
    target.running().await;
    let error = copy(store, to, &Progress::default()).await.unwrap_err();
    assert!(matches!(error, StoreError::NotACopy { .. }), "{error}");
}
