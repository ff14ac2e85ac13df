//! What is on record, as far as commits need to know it.

use std::collections::{BTreeSet, HashMap, HashSet};

use event_payloads::{ArtifactId, EventId, EventType, Payload, TaskId};

use super::call::CallRow;
use super::plan::Writes;
use super::task::TaskRow;
use crate::Parent;
use crate::prepared::{Prepared, PreparedEvent};

/// The most tasks and calls that a store knows from one group of commits to the next: some megabytes. Past it,
/// all of them are looked up anew.
const MOST_KNOWN: usize = 8_192;

/// What has to be looked up before some commits can be planned.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    pub(crate) tasks: BTreeSet<TaskId>,
    pub(crate) keys: BTreeSet<String>,
    pub(crate) calls: BTreeSet<EventId>,
    pub(crate) artifacts: BTreeSet<ArtifactId>,
}

impl Needs {
    /// All that some commits need.
    pub(crate) fn of<'a>(commits: impl IntoIterator<Item = &'a Prepared>) -> Self {
        Facts::default().unknown(commits)
    }
}

/// The answers. What was looked up and is not in here is not on record.
#[derive(Debug, Default, PartialEq, Eq)]
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

    /// What some commits need that is not known yet, or is not on record.
    pub(crate) fn unknown<'a>(&self, commits: impl IntoIterator<Item = &'a Prepared>) -> Needs {
        let mut needs = Needs::default();
        for commit in commits {
            let task_id = Some(&commit.task_id).filter(|id| !self.tasks.contains_key(*id));
            needs.tasks.extend(task_id.cloned());
            for event in &commit.events {
                let key = event.body.idempotency_key.iter();
                let key = key.filter(|key| !self.keys.contains_key(*key));
                needs.keys.extend(key.cloned());
                let calls = calls_of(event).filter(|call| !self.calls.contains_key(*call));
                needs.calls.extend(calls.cloned());
            }
            let artifacts = commit
                .artifacts
                .iter()
                .map(|artifact| &artifact.artifact_id);
            let artifacts = artifacts.filter(|id| !self.artifacts.contains(*id));
            needs.artifacts.extend(artifacts.cloned());
        }
        needs
    }

    /// True if this is enough to plan some commits, given that nobody has the name of a task that one of them
    /// begins, or of an artifact: whoever writes them finds out.
    pub(crate) fn suffice(&self, commits: &[&Prepared]) -> bool {
        let needs = self.unknown(commits.iter().copied());
        let begins = |commit: &Prepared| {
            let first = commit.events.first().map(|event| &event.payload);
            matches!(first, Some(Payload::TaskCreated(_)))
        };
        let is_known =
            |commit: &&Prepared| begins(commit) || !needs.tasks.contains(&commit.task_id);
        needs.keys.is_empty() && needs.calls.is_empty() && commits.iter().all(is_known)
    }

    /// Takes in what was looked up of the [`unknown`](Self::unknown).
    pub(crate) fn learn(&mut self, found: Self) {
        self.tasks.extend(found.tasks);
        self.keys.extend(found.keys);
        self.calls.extend(found.calls);
        self.artifacts.extend(found.artifacts);
    }

    /// What is known when some writes, planned on this, are on record.
    ///
    /// Keys and artifacts are asked for again only by who repeats a request: they are looked up then.
    pub(crate) fn after(mut self, writes: &Writes) -> Self {
        if self.tasks.len() + self.calls.len() > MOST_KNOWN {
            return Self::of(writes.head);
        }
        for task_id in writes.tasks.keys() {
            if let Some(task) = self.tasks.get_mut(task_id) {
                task.record();
            }
        }
        self.keys.clear();
        self.artifacts.clear();
        self.head = writes.head;
        self
    }
}

/// The calls that an event may change.
fn calls_of(event: &PreparedEvent) -> impl Iterator<Item = &EventId> {
    let ends = matches!(
        event.body.event_type,
        EventType::ModelCallCompleted | EventType::ModelCallFailed
    );
    let parent = match &event.parent {
        Parent::Event(parent) if ends => Some(parent),
        Parent::Event(_) | Parent::None | Parent::InCommit(_) => None,
    };
    let corrected = match &event.payload {
        Payload::CostCorrected(correction) => Some(&correction.call_id),
        _ => None,
    };
    parent.into_iter().chain(corrected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_known_than_there_is_room_for() {
        let task = |number: usize| {
            let task_id: TaskId = number.to_string().parse().unwrap();
            (task_id, TaskRow::default())
        };
        let mut facts = Facts {
            tasks: (0..MOST_KNOWN).map(task).collect(),
            keys: [("key".to_owned(), "0".parse().unwrap())].into(),
            ..Facts::default()
        };
        let writes = Writes {
            head: 7,
            ..Writes::default()
        };
        facts = facts.after(&writes);
        assert_eq!((facts.tasks.len(), facts.keys.len()), (MOST_KNOWN, 0));
        facts.tasks.extend([task(MOST_KNOWN)]);
        assert_eq!(facts.after(&writes), Facts::of(7));
    }
}
