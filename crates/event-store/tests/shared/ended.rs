//! A whole task.

use event_payloads::{Actor, ArtifactCreated, Cost, Payload, TaskId, TaskStatus};
use event_store::{EventStore, IdSource, NewArtifact, NewEvent};

use crate::events::{commit, completed, created, message, moved, started};

/// A task that ended: seven events, with an idempotency key, a call, and an answer too long for a row.
pub(crate) async fn task(store: &dyn EventStore, ids: &IdSource, key: &str, cost: &Cost) -> TaskId {
    let task_id = ids.task_id();
    let opening = vec![
        created().key(key),
        message("a"),
        moved(TaskStatus::Created, TaskStatus::Running),
        started("planner"),
    ];
    let opened = store.append(commit(&task_id, opening)).await.unwrap();
    let opened = opened.into_events();
    let artifact_id = ids.artifact_id();
    let spoken_of = Payload::ArtifactCreated(ArtifactCreated {
        artifact_id: artifact_id.clone(),
        name: "llm-response".to_owned(),
        size: 9_000,
        part_count: 1,
    });
    let end = vec![
        completed(&opened[3].event_id, cost),
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
    store.append(end).await.unwrap();
    task_id
}
