//! Many callers at once.

use std::collections::HashMap;
use std::sync::Arc;
use std::task::{Context, Waker};

use event_payloads::{Cost, TaskId, TaskStatus};
use event_store::{Commit, NewArtifact, Parent, StoreError, TaskQuery};
use tokio::task::JoinSet;

use crate::desk::Desk;
use crate::events::{commit, completed, created, failed, message, moved, started};
use crate::house::{House, Limits};

pub(crate) async fn of_many_requests_with_one_key_one_makes_a_task(house: &House) {
    let desks = house.several(3).await;
    let mut requests = JoinSet::new();
    for request in 0..64 {
        let desk = &desks[request % desks.len()];
        let (store, task_id) = (Arc::clone(&desk.store), desk.ids.task_id());
        requests.spawn(async move {
            let request = commit(&task_id, vec![created().key("msg-1"), message("a")]);
            match store.append(request).await {
                Ok(_) => (true, task_id),
                Err(error) => (false, error.duplicate_of().unwrap().clone()),
            }
        });
    }
    let answers = requests.join_all().await;
    let made: Vec<_> = answers.iter().filter(|(made, _)| *made).collect();
    assert_eq!(made.len(), 1);
    let winner = &made[0].1;
    assert!(
        answers.iter().all(|(_, task_id)| task_id == winner),
        "all are told the same task"
    );
    let desk = &desks[0];
    let found = desk.store.task_by_key("msg-1").await.unwrap().unwrap();
    assert_eq!(&found.task_id, winner);
    assert_eq!(desk.store.task_by_key("msg-2").await.unwrap(), None);
    assert_eq!(desk.log(0, 100).await.events.len(), 2);
    let again = commit(winner, vec![created().key("msg-1")]);
    let again = desk.store.append(again).await.unwrap_err();
    assert!(
        again.duplicate_of().is_some(),
        "the key is told before the task: {again}"
    );
}

/// A word for each refusal.
fn word(error: &StoreError) -> &'static str {
    match error {
        StoreError::UnknownTask { .. } => "unknown task",
        StoreError::TaskExists { .. } => "task exists",
        StoreError::TaskEnded { .. } => "task ended",
        StoreError::IllegalTransition { .. } => "illegal transition",
        StoreError::UnknownCall { .. } => "unknown call",
        StoreError::CallAlreadyEnded { .. } => "call ended",
        StoreError::Duplicate { .. } => "duplicate",
        StoreError::ArtifactExists { .. } => "artifact exists",
        StoreError::ArtifactTooLarge { .. } => "artifact too large",
        StoreError::InvalidCommit { .. } => "invalid commit",
        other => panic!("no refusal: {other}"),
    }
}

/// A commit for each refusal, each with an event before that is good, where there can be one.
async fn refused(desk: &Desk, busy: &TaskId) -> Vec<(&'static str, Commit)> {
    let call_id = desk.call(busy).await;
    let ended = desk.ended(busy, &Cost::FREE).await;
    let closed = desk.running().await;
    let cancelled = moved(TaskStatus::Running, TaskStatus::Cancelled);
    desk.append(&closed, vec![cancelled]).await;
    desk.append(busy, vec![message("a").key("taken")]).await;
    let artifact = NewArtifact {
        artifact_id: desk.ids.artifact_id(),
        name: "llm-response".to_owned(),
        description: String::new(),
        mime: "text/plain".to_owned(),
        content: b"x".repeat(5_000),
    };
    let with = commit(busy, vec![message("a")]).artifact(artifact.clone());
    desk.store.append(with.clone()).await.unwrap();
    let too_large = NewArtifact {
        artifact_id: desk.ids.artifact_id(),
        content: b"x".repeat(10_001),
        ..artifact
    };
    let after = |event| commit(busy, vec![message("a"), event]);
    let wrong = moved(TaskStatus::Created, TaskStatus::Running);
    vec![
        (
            "unknown task",
            commit(&desk.ids.task_id(), vec![message("a")]),
        ),
        ("task exists", after(created())),
        (
            "task ended",
            commit(&closed, vec![message("a"), started("planner")]),
        ),
        ("illegal transition", after(wrong)),
        ("unknown call", after(failed(&"nothing".parse().unwrap()))),
        ("call ended", after(completed(&ended, &Cost::FREE))),
        ("duplicate", after(message("b").key("taken"))),
        ("artifact exists", with),
        (
            "artifact too large",
            after(message("b")).artifact(too_large),
        ),
        (
            "invalid commit",
            after(message("b").parent(Parent::InCommit(1))),
        ),
        // The first end is good; the second takes it along.
        (
            "call ended",
            commit(busy, vec![failed(&call_id), failed(&call_id)]),
        ),
    ]
}

pub(crate) async fn refusals_of_every_kind_spoil_none_of_the_commits_around_them(house: &House) {
    let limits = Limits {
        max_artifact_bytes: Some(10_000),
        ..Limits::default()
    };
    let desk = house.open_with(limits).await;
    let busy = desk.running().await;
    let refused = refused(&desk, &busy).await;
    let before = desk.seqs(&busy).await.len();
    let mut commits = JoinSet::new();
    let good = commit(&busy, vec![message("c"), message("d")]);
    for _ in 0..12 {
        for (expected, commit) in &refused {
            for (expected, commit) in [(Some(*expected), commit), (None, &good)] {
                let (store, commit) = (Arc::clone(&desk.store), commit.clone());
                commits.spawn(async move { (expected, store.append(commit).await) });
            }
        }
    }
    let mut kinds: HashMap<&str, usize> = HashMap::new();
    let mut recorded = 0;
    for (expected, result) in commits.join_all().await {
        match (expected, result) {
            (None, Ok(commit)) => recorded += commit.event_ids().count(),
            (Some(expected), Err(error)) => {
                assert_eq!(word(&error), expected, "{error}");
                *kinds.entry(expected).or_default() += 1;
            }
            (expected, result) => panic!("{expected:?}: {result:?}"),
        }
    }
    assert_eq!((kinds.len(), recorded), (10, 2 * 12 * refused.len()));
    let seqs = desk.seqs(&busy).await;
    let all = u64::try_from(before + recorded).unwrap();
    assert_eq!(seqs, (1..=all).collect::<Vec<_>>());
    assert_eq!(desk.store.open_calls().await.unwrap().len(), 1);
}

pub(crate) async fn a_queue_of_one_place_lets_a_thousand_callers_through(house: &House) {
    let limits = Limits {
        queue: Some(1),
        ..Limits::default()
    };
    let desk = house.open_with(limits).await;
    let task_id = desk.running().await;
    let mut commits = JoinSet::new();
    for _ in 0..1_000 {
        let (store, task_id) = (Arc::clone(&desk.store), task_id.clone());
        commits.spawn(async move {
            let recorded = store.append(commit(&task_id, vec![message("a")])).await;
            recorded.unwrap().into_events()[0].task_seq
        });
    }
    let mut seqs = commits.join_all().await;
    seqs.sort_unstable();
    assert_eq!(seqs, (3..=1_002).collect::<Vec<_>>());
    assert_eq!(desk.seqs(&task_id).await.len(), 1_002);
}

/// Runs an append for so many steps, then lets go of it. `Some` if it came to its end.
async fn for_a_while(desk: &Desk, commit: Commit, steps: usize) -> Option<()> {
    let mut append = Box::pin(desk.store.append(commit));
    for _ in 0..steps {
        let poll = append
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()));
        if let std::task::Poll::Ready(result) = poll {
            return result.ok().map(|_| ());
        }
        tokio::task::yield_now().await;
    }
    None
}

pub(crate) async fn an_append_that_is_dropped_is_recorded_whole_or_not_at_all(house: &House) {
    let desk = house.open().await;
    let mut tasks = Vec::new();
    for round in 0_usize..300 {
        let task_id = desk.ids.task_id();
        let content = if round % 3 == 0 { 5_000 } else { 5 };
        let artifact = NewArtifact {
            artifact_id: desk.ids.artifact_id(),
            name: "llm-response".to_owned(),
            description: String::new(),
            mime: "text/plain".to_owned(),
            content: b"x".repeat(content),
        };
        let key = format!("msg-{round}");
        let three = vec![created().key(&key), message("a"), started("planner")];
        let whole = commit(&task_id, three).artifact(artifact.clone());
        let ended = for_a_while(&desk, whole, round * round % 97).await;
        tasks.push((task_id, key, artifact.artifact_id, ended.is_some()));
    }
    // What was handed over is recorded before a store closes.
    desk.store.close().await.unwrap();
    let desk = house.open().await;
    let mut recorded = 0;
    for (task_id, key, artifact_id, ended) in tasks {
        let found = (
            desk.seqs(&task_id).await.len(),
            desk.store.task_by_key(&key).await.unwrap().is_some(),
            desk.store.calls(&task_id).await.unwrap().len(),
            desk.store.artifacts(&task_id).await.unwrap().len(),
        );
        let content = desk.store.artifact_content(&artifact_id).await.unwrap();
        if found.1 {
            assert_eq!(found, (3, true, 1, 1));
            assert!(content.is_some());
            recorded += 1;
        } else {
            assert!(!ended, "acknowledged and not there");
            assert_eq!(found, (0, false, 0, 0));
            assert!(content.is_none());
        }
    }
    let query = TaskQuery {
        status: None,
        limit: 1_000,
    };
    assert_eq!(desk.store.tasks(query).await.unwrap().len(), recorded);
    assert!(
        (1..300).contains(&recorded),
        "{recorded} of 300: both happen"
    );
}
