//! Contents, whole or not at all.

use event_payloads::{ArtifactId, TaskId};
use event_store::{Commit, NewArtifact, StoreError};

use crate::desk::Desk;
use crate::events::{commit, created, message};
use crate::house::{House, Limits};

fn artifact(desk: &Desk, content: impl Into<Vec<u8>>) -> NewArtifact {
    NewArtifact {
        artifact_id: desk.ids.artifact_id(),
        name: "llm-response".to_owned(),
        description: "the whole answer".to_owned(),
        mime: "text/plain".to_owned(),
        content: content.into(),
    }
}

fn with(task_id: &TaskId, artifact: NewArtifact) -> Commit {
    commit(task_id, vec![message("a")]).artifact(artifact)
}

async fn content(desk: &Desk, artifact_id: &ArtifactId) -> Option<Vec<u8>> {
    desk.store.artifact_content(artifact_id).await.unwrap()
}

pub(crate) async fn a_content_of_any_size_and_of_any_bytes_comes_back(house: &House) {
    let desk = house.open().await;
    let task_id = desk.running().await;
    let contents = [
        Vec::new(),
        b"x".repeat(4096),
        b"y".repeat(4097),
        vec![0xff, 0xfe, 0],
        "a\0b".into(),
        b"z".repeat(1 << 20),
    ];
    let mut ids = Vec::new();
    for bytes in &contents {
        let new = artifact(&desk, bytes.clone());
        ids.push(new.artifact_id.clone());
        desk.store.append(with(&task_id, new)).await.unwrap();
    }
    desk.store.close().await.unwrap();
    let again = house.open().await;
    let found = again.store.artifacts(&task_id).await.unwrap();
    let listed: Vec<_> = found
        .iter()
        .map(|found| found.artifact_id.clone())
        .collect();
    assert_eq!(listed, ids, "oldest first");
    for (found, bytes) in found.iter().zip(&contents) {
        assert_eq!(
            content(&again, &found.artifact_id).await.as_ref(),
            Some(bytes)
        );
        assert_eq!(found.size, u64::try_from(bytes.len()).unwrap());
        assert_eq!((found.hash.len(), found.version), (64, 1));
        assert_eq!(
            (found.name.as_str(), found.description.as_str()),
            ("llm-response", "the whole answer")
        );
    }
    assert_eq!(content(&again, &"nothing".parse().unwrap()).await, None);
}

pub(crate) async fn a_refused_commit_leaves_no_artifact_and_touches_no_other(house: &House) {
    let desk = house.open().await;
    let task_id = desk.running().await;
    for size in [5, 5_000] {
        let first = artifact(&desk, "1".repeat(size));
        let id = first.artifact_id.clone();
        desk.store
            .append(with(&task_id, first.clone()))
            .await
            .unwrap();
        let again = NewArtifact {
            content: "2".repeat(size).into_bytes(),
            ..first
        };
        let error = desk.store.append(with(&task_id, again)).await.unwrap_err();
        assert!(
            matches!(&error, StoreError::ArtifactExists { artifact_id } if *artifact_id == id),
            "{error}"
        );
        let refused = artifact(&desk, "3".repeat(size));
        let refused_id = refused.artifact_id.clone();
        let refused = commit(&task_id, vec![created()]).artifact(refused);
        desk.store.append(refused).await.unwrap_err();
        assert_eq!(content(&desk, &refused_id).await, None);
        assert_eq!(content(&desk, &id).await.unwrap(), b"1".repeat(size));
    }
    assert_eq!(desk.store.artifacts(&task_id).await.unwrap().len(), 2);
}

pub(crate) async fn who_repeats_a_commit_with_its_artifact_is_told_that_it_is_repeated(
    house: &House,
) {
    let desk = house.open().await;
    let task_id = desk.ids.task_id();
    let whole = Commit::new(task_id.clone()).event(created().key("msg-1"));
    for size in [5, 5_000] {
        let whole = whole.clone().artifact(artifact(&desk, "1".repeat(size)));
        let first = desk.store.append(whole.clone()).await;
        assert_eq!(first.is_ok(), size == 5);
        let again = desk.store.append(whole).await.unwrap_err();
        assert_eq!(again.duplicate_of(), Some(&task_id), "{again}");
    }
    assert_eq!(desk.store.artifacts(&task_id).await.unwrap().len(), 1);
}

pub(crate) async fn the_size_limit_is_told_with_its_number(house: &House) {
    let limits = Limits {
        inline_threshold: Some(5),
        max_artifact_bytes: Some(10),
        ..Limits::default()
    };
    let desk = house.open_with(limits).await;
    let task_id = desk.running().await;
    let too_large = with(&task_id, artifact(&desk, "x".repeat(11)));
    let error = desk.store.append(too_large).await.unwrap_err();
    assert!(
        matches!(
            error,
            StoreError::ArtifactTooLarge {
                size: 11,
                limit: 10,
                ..
            }
        ),
        "{error}"
    );
    let largest = with(&task_id, artifact(&desk, "x".repeat(10)));
    desk.store.append(largest).await.unwrap();
    assert_eq!(desk.store.artifacts(&task_id).await.unwrap()[0].size, 10);
}

pub(crate) async fn no_identifier_leads_out_of_the_folder(house: &House) {
    let desk = house.open().await;
    let new = artifact(&desk, "x".repeat(5_000));
    let outside: TaskId = "..".parse().unwrap();
    let climbing = Commit::new(outside).event(created()).artifact(new);
    let error = desk.store.append(climbing).await.unwrap_err();
    assert!(matches!(error, StoreError::InvalidCommit { .. }), "{error}");
}
