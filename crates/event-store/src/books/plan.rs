//! A group of commits: the rules, the stamps of their events, and what else is to be written.

use std::collections::{BTreeMap, HashMap};

use event_payloads::{CostCorrected, EventId, Payload, StateTransition, TaskId, TaskStatus};

use super::call::CallRow;
use super::ending::Ending;
use super::facts::Facts;
use super::stamp::{Next, Outcome, Seen, Stamp};
use super::sums::Changes;
use super::task::TaskRow;
use crate::id::Monotonic;
use crate::prepared::{Prepared, PreparedEvent};
use crate::{Clock, Parent, StoreError};

/// What a group of commits comes to beside its events, all of it to be written in one transaction.
#[derive(Debug, Default)]
pub(crate) struct Writes {
    pub(crate) tasks: BTreeMap<TaskId, TaskRow>,
    pub(crate) calls: BTreeMap<EventId, CallRow>,
    pub(crate) sums: Changes,
    /// The position of the log's last event after it.
    pub(crate) head: u64,
}

/// Plans one commit after the other. One that is refused leaves no trace.
pub(crate) struct Planner<'a> {
    /// What is on record, with what was planned since.
    pub(crate) facts: &'a mut Facts,
    writes: Writes,
    ids: &'a mut Monotonic,
    clock: &'a dyn Clock,
}

/// What one commit changes, until it is known to be good.
struct Draft<'a> {
    commit: &'a Prepared,
    task: TaskRow,
    stamps: Vec<Stamp>,
    calls: HashMap<EventId, CallRow>,
    sums: Changes,
}

impl<'a> Planner<'a> {
    pub(crate) fn new(facts: &'a mut Facts, ids: &'a mut Monotonic, clock: &'a dyn Clock) -> Self {
        let writes = Writes {
            head: facts.head,
            ..Writes::default()
        };
        Self {
            facts,
            writes,
            ids,
            clock,
        }
    }

    /// What all commits that were not refused come to.
    pub(crate) fn into_writes(self) -> Writes {
        self.writes
    }

    /// Plans a commit; gives the stamps of its events.
    pub(crate) fn commit(&mut self, commit: &Prepared) -> Outcome {
        let task = self.facts.tasks.get(&commit.task_id);
        let mut draft = Draft {
            commit,
            task: task.cloned().unwrap_or_default(),
            stamps: Vec::with_capacity(commit.events.len()),
            calls: HashMap::new(),
            sums: Changes::default(),
        };
        for new in &commit.events {
            self.event(&mut draft, new)?;
        }
        // After the keys: who repeats a whole commit is told that it is a repetition.
        for artifact in &commit.artifacts {
            if self.facts.artifacts.contains(&artifact.artifact_id) {
                return Err(StoreError::ArtifactExists {
                    artifact_id: artifact.artifact_id.clone(),
                });
            }
        }
        Ok(self.take(draft))
    }

    fn event(&mut self, draft: &mut Draft<'_>, new: &PreparedEvent) -> Result<(), StoreError> {
        self.refuse_taken_key(draft, new)?;
        refuse(draft, new)?;
        let stamp = self.stamp(draft, new);
        let seen = stamp.seen(&draft.commit.task_id, new);
        self.project_call(draft, seen, &new.payload)?;
        draft.task.add(seen, Some(&new.payload), stamp.chain);
        draft.stamps.push(stamp);
        Ok(())
    }

    /// The commit is good: what follows in the group builds on it.
    fn take(&mut self, draft: Draft<'_>) -> Vec<Stamp> {
        let Draft {
            commit,
            task,
            stamps,
            calls,
            sums,
        } = draft;
        let task_id = &commit.task_id;
        let keys = commit
            .events
            .iter()
            .filter_map(|new| new.body.idempotency_key.as_ref());
        for key in keys {
            self.facts.keys.insert(key.clone(), task_id.clone());
        }
        for artifact in &commit.artifacts {
            self.facts.artifacts.insert(artifact.artifact_id.clone());
        }
        for (call_id, call) in calls {
            self.facts.calls.insert(call_id.clone(), call.clone());
            self.writes.calls.insert(call_id, call);
        }
        match self.facts.tasks.get_mut(task_id) {
            Some(known) => known.clone_from(&task),
            None => {
                self.facts.tasks.insert(task_id.clone(), task.clone());
            }
        }
        self.writes.tasks.insert(task_id.clone(), task);
        self.writes.sums.merge(sums);
        self.writes.head += count(&stamps);
        stamps
    }

    fn refuse_taken_key(&self, draft: &Draft<'_>, new: &PreparedEvent) -> Result<(), StoreError> {
        let Some(key) = &new.body.idempotency_key else {
            return Ok(());
        };
        let mut earlier = draft.commit.events.iter().take(draft.stamps.len());
        let own = earlier
            .any(|event| event.body.idempotency_key.as_ref() == Some(key))
            .then_some(&draft.commit.task_id);
        let owner = self.facts.keys.get(key).or(own);
        owner.map_or(Ok(()), |task_id| {
            Err(StoreError::Duplicate {
                task_id: task_id.clone(),
                key: key.clone(),
            })
        })
    }

    fn stamp(&mut self, draft: &Draft<'_>, new: &PreparedEvent) -> Stamp {
        let parent = match &new.parent {
            Parent::None => None,
            Parent::Event(parent) => Some(parent.clone()),
            Parent::InCommit(index) => draft.stamps.get(*index).map(|stamp| stamp.event_id.clone()),
        };
        let next = Next {
            task_seq: draft.task.last_seq + 1,
            position: self.writes.head + count(&draft.stamps) + 1,
            before: draft.task.chain,
        };
        Stamp::new(
            &draft.commit.task_id,
            new,
            parent,
            next,
            (self.ids, self.clock),
        )
    }

    /// Lets an event change its call.
    fn project_call(
        &self,
        draft: &mut Draft<'_>,
        event: Seen<'_>,
        payload: &Payload,
    ) -> Result<(), StoreError> {
        if let Payload::ModelCallStarted(_) = payload {
            let call = CallRow::started(event, Some(payload));
            draft.calls.insert(event.event_id.clone(), call);
            return Ok(());
        }
        if let Payload::CostCorrected(correction) = payload {
            return self.correct(draft, correction);
        }
        match Ending::of(event, Some(payload)) {
            Some(ending) => self.end(draft, event, ending),
            None => Ok(()),
        }
    }

    /// Exactly one end for each call, and an end says which call it ends.
    fn end(
        &self,
        draft: &mut Draft<'_>,
        event: Seen<'_>,
        ending: Ending,
    ) -> Result<(), StoreError> {
        let Some(before) = event.parent.and_then(|call_id| self.call(draft, call_id)) else {
            return Err(unknown_call(draft, event.parent));
        };
        if !before.is_open() {
            return Err(StoreError::CallAlreadyEnded {
                task_id: draft.commit.task_id.clone(),
                call_id: before.call.call_id,
            });
        }
        let mut after = before.clone();
        after.end(event, ending);
        draft.change(&before, after);
        Ok(())
    }

    /// A correction is of a call of the same task that has ended.
    fn correct(&self, draft: &mut Draft<'_>, correction: &CostCorrected) -> Result<(), StoreError> {
        let before = self.call(draft, &correction.call_id);
        let Some(before) = before.filter(|call| !call.is_open()) else {
            return Err(unknown_call(draft, Some(&correction.call_id)));
        };
        let mut after = before.clone();
        after.correct(correction);
        draft.change(&before, after);
        Ok(())
    }

    /// A call of the draft's task.
    fn call(&self, draft: &Draft<'_>, call_id: &EventId) -> Option<CallRow> {
        let call = draft
            .calls
            .get(call_id)
            .or_else(|| self.facts.calls.get(call_id))?;
        (call.call.task_id == draft.commit.task_id).then(|| call.clone())
    }
}

impl Draft<'_> {
    fn change(&mut self, before: &CallRow, after: CallRow) {
        self.sums.call(before, &after);
        self.calls.insert(after.id().clone(), after);
    }
}

/// Holds an event against the rules of its task.
fn refuse(draft: &Draft<'_>, new: &PreparedEvent) -> Result<(), StoreError> {
    let task_id = || draft.commit.task_id.clone();
    let status = match (draft.task.status, &new.payload) {
        (None, Payload::TaskCreated(_)) => return Ok(()),
        (None, _) => return Err(StoreError::UnknownTask { task_id: task_id() }),
        (Some(status), _) => status,
    };
    match &new.payload {
        Payload::TaskCreated(_) => Err(StoreError::TaskExists { task_id: task_id() }),
        Payload::TaskPruned(_) => Err(StoreError::InvalidCommit {
            task_id: task_id(),
            reason: format!("{} is for the store alone", new.body.event_type),
        }),
        Payload::StateTransition(transition) => legal(draft, status, transition),
        // An end may come late, a start may not: nobody who follows the task would see it.
        Payload::ModelCallStarted(_) if status.is_terminal() => Err(StoreError::TaskEnded {
            task_id: task_id(),
            status,
        }),
        _ => Ok(()),
    }
}

fn unknown_call(draft: &Draft<'_>, parent: Option<&EventId>) -> StoreError {
    StoreError::UnknownCall {
        task_id: draft.commit.task_id.clone(),
        parent: parent.cloned(),
    }
}

fn legal(
    draft: &Draft<'_>,
    current: TaskStatus,
    transition: &StateTransition,
) -> Result<(), StoreError> {
    let (from, wanted) = (transition.from_status, transition.to_status);
    if from == current && current.may_become(wanted) {
        return Ok(());
    }
    Err(StoreError::IllegalTransition {
        task_id: draft.commit.task_id.clone(),
        current,
        from,
        wanted,
    })
}

/// How many they are, as positions count.
fn count(stamps: &[Stamp]) -> u64 {
    u64::try_from(stamps.len()).unwrap_or(u64::MAX)
}
