//! What is on record about the tasks of some commits.

use std::collections::{BTreeSet, HashMap, HashSet};

use event_payloads::{ArtifactId, EventId, Payload, TaskId};

use super::call::CallRow;
use super::task::TaskRow;
use crate::Parent;
use crate::prepared::Prepared;

/// What has to be looked up before some commits can be planned.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    pub(crate) tasks: BTreeSet<TaskId>,
    pub(crate) keys: BTreeSet<String>,
    pub(crate) calls: BTreeSet<EventId>,
    pub(crate) artifacts: BTreeSet<ArtifactId>,
}

impl Needs {
    pub(crate) fn of<'a>(commits: impl IntoIterator<Item = &'a Prepared>) -> Self {
        let mut needs = Self::default();
        for commit in commits {
            needs.tasks.insert(commit.task_id.clone());
            for event in &commit.events {
                needs.keys.extend(event.idempotency_key.clone());
                if let Payload::CostCorrected(correction) = &event.payload {
                    needs.calls.insert(correction.call_id.clone());
                }
                if let Parent::Event(parent) = &event.parent {
                    needs.calls.insert(parent.clone());
                }
            }
            let artifacts = commit.artifacts.iter();
            needs
                .artifacts
                .extend(artifacts.map(|artifact| artifact.artifact_id.clone()));
        }
        needs
    }
}

/// The answers. What is not in here is not on record.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    pub(crate) tasks: HashMap<TaskId, TaskRow>,
    /// Who has each idempotency key.
    pub(crate) keys: HashMap<String, TaskId>,
    pub(crate) calls: HashMap<EventId, CallRow>,
    pub(crate) artifacts: HashSet<ArtifactId>,
    /// The position of the log's last event.
    pub(crate) head: u64,
}

impl Facts {
    /// Nothing is known but where the log ends.
    pub(crate) fn of(head: u64) -> Self {
        Self {
            head,
            ..Self::default()
        }
    }

    /// What of some needs is not known yet, or is not on record.
    pub(crate) fn unknown(&self, mut needs: Needs) -> Needs {
        needs.tasks.retain(|task| !self.tasks.contains_key(task));
        needs.keys.retain(|key| !self.keys.contains_key(key));
        needs.calls.retain(|call| !self.calls.contains_key(call));
        needs
            .artifacts
            .retain(|artifact| !self.artifacts.contains(artifact));
        needs
    }

    /// Takes in what was looked up of the [`unknown`](Self::unknown).
    pub(crate) fn learn(&mut self, found: Self) {
        self.tasks.extend(found.tasks);
        self.keys.extend(found.keys);
        self.calls.extend(found.calls);
        self.artifacts.extend(found.artifacts);
    }
}
