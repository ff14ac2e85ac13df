//! Callers at work, and what they were told.

use std::sync::Arc;

use event_payloads::{ArtifactId, Cost, CostSource, EventId, TaskId, TaskStatus};
use event_store::{
    Commit, EventStore, IdSource, NewArtifact, Parent, SqliteStore, StoreError, SystemClock,
};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::events::{commit, completed, created, failed, message, moved, started};

/// How many callers work at once; each has a task.
const CALLERS: usize = 8;
/// The events of each commit.
pub(crate) const EVENTS: usize = 4;

/// What became of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Told {
    Recorded,
    Duplicate,
    Full,
    Io,
    Busy,
}

impl Told {
    pub(crate) fn of<T>(result: Result<T, StoreError>) -> Self {
        match result {
            Ok(_) => Self::Recorded,
            Err(StoreError::Duplicate { .. }) => Self::Duplicate,
            Err(StoreError::Full { .. }) => Self::Full,
            Err(StoreError::Io { .. }) => Self::Io,
            Err(StoreError::Busy { .. }) => Self::Busy,
            Err(other) => panic!("a disk can not do that: {other}"),
        }
    }
}

/// A commit that was handed over: a task, or more of it. It can be made again, the same.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Request {
    pub(crate) task_id: TaskId,
    pub(crate) key: String,
    pub(crate) artifact_id: ArtifactId,
    is_first: bool,
    is_large: bool,
    pub(crate) told: Told,
}

impl Request {
    /// A call with its text, which is often large enough for a file.
    pub(crate) fn commit(&self) -> Commit {
        let (first, second) = if self.is_first {
            (created(), moved(TaskStatus::Created, TaskStatus::Running))
        } else {
            (message("a"), message("b"))
        };
        let nothing: EventId = "in-this-commit".parse().unwrap();
        let cost = Cost::known("0.25".parse().unwrap(), CostSource::Proxy);
        let end = if self.is_large {
            completed(&nothing, &cost)
        } else {
            failed(&nothing)
        };
        let end = end.parent(Parent::InCommit(2));
        let events = vec![first.key(&self.key), second, started("planner"), end];
        commit(&self.task_id, events).artifact(NewArtifact {
            artifact_id: self.artifact_id.clone(),
            name: "llm-response".to_owned(),
            description: String::new(),
            mime: "text/plain".to_owned(),
            content: self.content(),
        })
    }

    pub(crate) fn content(&self) -> Vec<u8> {
        let size = if self.is_large { 6_000 } else { 600 };
        self.key
            .as_bytes()
            .iter()
            .copied()
            .cycle()
            .take(size)
            .collect()
    }

    pub(crate) async fn send(&self, store: &SqliteStore) -> Told {
        Told::of(store.append(self.commit()).await)
    }
}

/// Each caller makes so many commits, one after the other. A task whose first commit failed gets no other.
pub(crate) async fn load(store: &Arc<SqliteStore>, name: &str, commits: usize) -> Vec<Request> {
    let ids = Arc::new(IdSource::new(Arc::new(SystemClock)));
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let (store, ids, name) = (Arc::clone(store), Arc::clone(&ids), name.to_owned());
        callers.spawn(async move {
            let task_id = ids.task_id();
            let mut requests: Vec<Request> = Vec::new();
            for index in 0..commits {
                let mut request = Request {
                    task_id: task_id.clone(),
                    key: format!("{name}-{caller}-{index}"),
                    artifact_id: ids.artifact_id(),
                    is_first: index == 0,
                    is_large: index > 0 && (caller + index) % 3 != 0,
                    told: Told::Io,
                };
                request.told = request.send(&store).await;
                let ends = request.is_first && request.told != Told::Recorded;
                requests.push(request);
                if ends {
                    break;
                }
            }
            requests
        });
    }
    callers.join_all().await.into_iter().flatten().collect()
}

/// How many were told so.
pub(crate) fn count(requests: &[Request], told: Told) -> usize {
    requests
        .iter()
        .filter(|request| request.told == told)
        .count()
}
