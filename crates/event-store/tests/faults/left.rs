//! What is left after a kill, read without faults.

use std::collections::{BTreeSet, HashMap};

use event_payloads::Event;
use event_store::{CostQuery, Dimension, EventStore, SqliteStore, TaskQuery};

use crate::load::{EVENTS, Request, Told};
use crate::stage::Stage;

/// Sums of every kind, tasks and calls.
async fn projections(store: &SqliteStore) -> Vec<String> {
    let mut all = Vec::new();
    let query = TaskQuery {
        status: None,
        limit: usize::MAX,
    };
    for task in store.tasks(query).await.unwrap() {
        let of_task = CostQuery {
            task: Some(task.task_id.clone()),
            ..CostQuery::default()
        };
        all.push(format!("{:?}", store.cost_rollup(of_task).await.unwrap()));
        all.push(format!("{:?}", store.calls(&task.task_id).await.unwrap()));
        all.push(format!("{task:?}"));
    }
    for group_by in [Vec::new(), Dimension::ALL.to_vec()] {
        let query = CostQuery {
            group_by,
            ..CostQuery::default()
        };
        all.push(format!("{:?}", store.cost_rollup(query).await.unwrap()));
    }
    all
}

/// The events of a request: all or none.
async fn recorded(store: &SqliteStore, request: &Request) -> Vec<Event> {
    let events = store.events(&request.task_id, 0, usize::MAX).await.unwrap();
    let key = Some(request.key.as_str());
    let first = events
        .iter()
        .position(|event| event.causality.idempotency_key.as_deref() == key);
    let Some(first) = first else {
        return Vec::new();
    };
    let own: Vec<_> = events.into_iter().skip(first).take(EVENTS).collect();
    assert_eq!(own.len(), EVENTS, "half of {request:?}");
    own
}

async fn has_artifact(store: &SqliteStore, request: &Request) -> bool {
    let content = store.artifact_content(&request.artifact_id).await.unwrap();
    let Some(content) = content else {
        return false;
    };
    assert_eq!(content, request.content());
    true
}

/// Tasks without a gap, the log without a repeat, nothing half.
async fn whole(store: &SqliteStore) {
    let query = TaskQuery {
        status: None,
        limit: usize::MAX,
    };
    for task in store.tasks(query).await.unwrap() {
        let events = store.events(&task.task_id, 0, usize::MAX).await.unwrap();
        let seqs = events.iter().map(|event| event.task_seq);
        assert!(seqs.eq((1..).take(events.len())), "{}", task.task_id);
        assert_eq!(events.len() % EVENTS, 0, "half a commit");
        let artifacts = store.artifacts(&task.task_id).await.unwrap().len();
        assert_eq!(artifacts, events.len() / EVENTS);
        let calls = store.calls(&task.task_id).await.unwrap().len();
        assert_eq!(calls, artifacts);
    }
    assert_eq!(store.open_calls().await.unwrap(), []);
}

/// No file is left without a row, and none waits for one.
async fn a_file_for_each_row(stage: &Stage, store: &SqliteStore) {
    let mut referred = BTreeSet::new();
    let query = TaskQuery {
        status: None,
        limit: usize::MAX,
    };
    for task in store.tasks(query).await.unwrap() {
        let artifacts = store.artifacts(&task.task_id).await.unwrap();
        referred.extend(artifacts.into_iter().filter_map(|each| each.storage_ref));
    }
    let mut files = BTreeSet::new();
    for folder in std::fs::read_dir(stage.artifacts()).unwrap() {
        let folder = folder.unwrap();
        for file in std::fs::read_dir(folder.path()).unwrap() {
            let [folder, file] = [folder.file_name(), file.unwrap().file_name()]
                .map(|name| name.into_string().unwrap());
            files.insert(format!("{folder}/{file}"));
        }
    }
    assert_eq!(files, referred);
}

/// Checks what a killed store left, then goes on with it. Gives how many commits were recorded although
/// their callers were told of an error.
pub(crate) async fn check(stage: &Stage, requests: &[Request]) -> usize {
    let store = stage.open().await.unwrap();
    whole(&store).await;
    a_file_for_each_row(stage, &store).await;
    let mut in_spite = 0;
    let mut there = HashMap::new();
    for request in requests {
        let is_there = !recorded(&store, request).await.is_empty();
        assert_eq!(has_artifact(&store, request).await, is_there, "{request:?}");
        if matches!(request.told, Told::Recorded | Told::Duplicate) {
            assert!(is_there, "acknowledged and lost: {request:?}");
        } else {
            in_spite += usize::from(is_there);
        }
        there.insert(&request.key, is_there);
    }
    let before = projections(&store).await;
    store.rebuild().await.unwrap();
    assert_eq!(projections(&store).await, before);

    // Who asks again is told the truth, and nothing is there twice.
    for request in requests {
        let expected = match there.get(&request.key) {
            Some(true) => Told::Duplicate,
            _ => Told::Recorded,
        };
        assert_eq!(request.send(&store).await, expected, "{request:?}");
        assert!(has_artifact(&store, request).await);
    }
    whole(&store).await;
    a_file_for_each_row(stage, &store).await;
    let calls = store.cost_rollup(CostQuery::default()).await.unwrap();
    let calls: u64 = calls.iter().map(|row| row.calls).sum();
    assert_eq!(usize::try_from(calls).unwrap(), requests.len());
    store.close().await.unwrap();
    in_spite
}
