//! A group of commits: the rules, and what is to be written.

use std::collections::{BTreeMap, HashMap};

use event_payloads::{
    Causality, CostCorrected, Event, EventId, Payload, StateTransition, TaskId, TaskStatus,
    trace_id,
};

use super::call::CallRow;
use super::chain::{Hash, StoredEvent};
use super::ending::Ending;
use super::facts::Facts;
use super::sums::Changes;
use super::task::TaskRow;
use crate::id::Monotonic;
use crate::prepared::{Prepared, PreparedEvent};
use crate::rows::to_sql;
use crate::{Clock, Parent, StoreError};

/// What a group of commits comes to, all of it to be written in one transaction.
#[derive(Debug, Default)]
pub(crate) struct Writes {
    /// In the order of their positions.
    pub(crate) events: Vec<StoredEvent>,
    pub(crate) tasks: BTreeMap<TaskId, TaskRow>,
    pub(crate) calls: BTreeMap<EventId, CallRow>,
    pub(crate) sums: Changes,
    /// The position of the log's last event after it.
    pub(crate) head: u64,
}

/// Plans one commit after the other. One that is refused leaves no trace.
pub(crate) struct Planner<'a> {
    /// What is on record, with what was planned since.
    pub(crate) facts: Facts,
    writes: Writes,
    ids: &'a mut Monotonic,
    clock: &'a dyn Clock,
}

/// What one commit changes, until it is known to be good.
struct Draft {
    task_id: TaskId,
    task: TaskRow,
    head: u64,
    events: Vec<Event>,
    stored: Vec<StoredEvent>,
    calls: HashMap<EventId, CallRow>,
    sums: Changes,
}

impl<'a> Planner<'a> {
    pub(crate) fn new(facts: Facts, ids: &'a mut Monotonic, clock: &'a dyn Clock) -> Self {
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

    /// Plans a commit.
    pub(crate) fn commit(&mut self, commit: &Prepared) -> Result<Vec<Event>, StoreError> {
        let task = self.facts.tasks.get(&commit.task_id);
        let mut draft = Draft {
            task_id: commit.task_id.clone(),
            task: task.cloned().unwrap_or_default(),
            head: self.writes.head,
            events: Vec::with_capacity(commit.events.len()),
            stored: Vec::with_capacity(commit.events.len()),
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
        Ok(self.take(draft, commit))
    }

    fn event(&mut self, draft: &mut Draft, new: &PreparedEvent) -> Result<(), StoreError> {
        self.refuse_taken_key(draft, new)?;
        let event = self.dated(draft, new);
        refuse(draft, &event, &new.payload)?;
        self.project_call(draft, &event, &new.payload)?;
        draft.head += 1;
        let (stored, chain) = stored(&event, &new.json, draft.head, draft.task.chain);
        draft.task.add(&event, Some(&new.payload), chain);
        draft.stored.push(stored);
        draft.events.push(event);
        Ok(())
    }

    /// The commit is good: what follows in the group builds on it.
    fn take(&mut self, draft: Draft, commit: &Prepared) -> Vec<Event> {
        for event in &draft.events {
            if let Some(key) = &event.causality.idempotency_key {
                self.facts.keys.insert(key.clone(), draft.task_id.clone());
            }
        }
        for artifact in &commit.artifacts {
            self.facts.artifacts.insert(artifact.artifact_id.clone());
        }
        for (call_id, call) in draft.calls {
            self.facts.calls.insert(call_id.clone(), call.clone());
            self.writes.calls.insert(call_id, call);
        }
        self.facts
            .tasks
            .insert(draft.task_id.clone(), draft.task.clone());
        self.writes.tasks.insert(draft.task_id, draft.task);
        self.writes.events.extend(draft.stored);
        self.writes.sums.merge(draft.sums);
        self.writes.head = draft.head;
        draft.events
    }

    fn refuse_taken_key(&self, draft: &Draft, new: &PreparedEvent) -> Result<(), StoreError> {
        let Some(key) = &new.idempotency_key else {
            return Ok(());
        };
        let own = draft
            .events
            .iter()
            .find(|event| event.causality.idempotency_key.as_ref() == Some(key));
        let owner = self.facts.keys.get(key).or(own.map(|event| &event.task_id));
        owner.map_or(Ok(()), |task_id| {
            Err(StoreError::Duplicate {
                task_id: task_id.clone(),
                key: key.clone(),
            })
        })
    }

    /// The event with all that the store gives it.
    fn dated(&mut self, draft: &Draft, new: &PreparedEvent) -> Event {
        let ts = self.clock.now();
        let parent_event_id = match &new.parent {
            Parent::None => None,
            Parent::Event(parent) => Some(parent.clone()),
            Parent::InCommit(index) => draft.events.get(*index).map(|event| event.event_id.clone()),
        };
        Event {
            event_id: self.ids.next(ts).into(),
            task_id: draft.task_id.clone(),
            task_seq: draft.task.last_seq + 1,
            ts,
            event_type: new.event_type.clone(),
            schema_version: 1,
            actor: new.actor.clone(),
            payload: new.value.clone(),
            trace_id: trace_id(&draft.task_id),
            span_id: new.span_id.clone(),
            causality: Causality {
                parent_event_id,
                idempotency_key: new.idempotency_key.clone(),
            },
        }
    }

    /// Lets an event change its call.
    fn project_call(
        &self,
        draft: &mut Draft,
        event: &Event,
        payload: &Payload,
    ) -> Result<(), StoreError> {
        if let Payload::ModelCallStarted(_) = payload {
            let call = CallRow::started(event);
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
    fn end(&self, draft: &mut Draft, event: &Event, ending: Ending) -> Result<(), StoreError> {
        let parent = event.causality.parent_event_id.as_ref();
        let Some(before) = parent.and_then(|call_id| self.call(draft, call_id)) else {
            return Err(unknown_call(draft, parent));
        };
        if !before.is_open() {
            return Err(StoreError::CallAlreadyEnded {
                task_id: draft.task_id.clone(),
                call_id: before.call.call_id,
            });
        }
        let mut after = before.clone();
        after.end(event, ending);
        draft.change(&before, after);
        Ok(())
    }

    /// A correction is of a call of the same task that has ended.
    fn correct(&self, draft: &mut Draft, correction: &CostCorrected) -> Result<(), StoreError> {
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
    fn call(&self, draft: &Draft, call_id: &EventId) -> Option<CallRow> {
        let call = draft
            .calls
            .get(call_id)
            .or_else(|| self.facts.calls.get(call_id))?;
        (call.call.task_id == draft.task_id).then(|| call.clone())
    }
}

impl Draft {
    fn change(&mut self, before: &CallRow, after: CallRow) {
        self.sums.call(before, &after);
        self.calls.insert(after.id().clone(), after);
    }
}

/// Holds an event against the rules of its task.
fn refuse(draft: &Draft, event: &Event, payload: &Payload) -> Result<(), StoreError> {
    let task_id = || draft.task_id.clone();
    let status = match (draft.task.status, payload) {
        (None, Payload::TaskCreated(_)) => return Ok(()),
        (None, _) => return Err(StoreError::UnknownTask { task_id: task_id() }),
        (Some(status), _) => status,
    };
    match payload {
        Payload::TaskCreated(_) => Err(StoreError::TaskExists { task_id: task_id() }),
        Payload::TaskPruned(_) => Err(StoreError::InvalidCommit {
            task_id: task_id(),
            reason: format!("{} is for the store alone", event.event_type),
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

fn unknown_call(draft: &Draft, parent: Option<&EventId>) -> StoreError {
    StoreError::UnknownCall {
        task_id: draft.task_id.clone(),
        parent: parent.cloned(),
    }
}

fn legal(
    draft: &Draft,
    current: TaskStatus,
    transition: &StateTransition,
) -> Result<(), StoreError> {
    let (from, wanted) = (transition.from_status, transition.to_status);
    if from == current && current.may_become(wanted) {
        return Ok(());
    }
    Err(StoreError::IllegalTransition {
        task_id: draft.task_id.clone(),
        current,
        from,
        wanted,
    })
}

/// The event as its row, with its place in the log and its link of the chain.
pub(crate) fn stored(
    event: &Event,
    json: &str,
    position: u64,
    before: Hash,
) -> (StoredEvent, Hash) {
    let mut stored = StoredEvent {
        event_id: event.event_id.to_string(),
        task_id: event.task_id.to_string(),
        task_seq: to_sql(event.task_seq),
        ts: event.ts.to_string(),
        event_type: event.event_type.as_str().to_owned(),
        schema_version: i64::from(event.schema_version),
        actor: event.actor.as_str().to_owned(),
        payload: json.to_owned(),
        trace_id: event.trace_id.clone(),
        span_id: event.span_id.clone(),
        parent_event_id: event
            .causality
            .parent_event_id
            .as_ref()
            .map(ToString::to_string),
        idempotency_key: event.causality.idempotency_key.clone(),
        position: Some(to_sql(position)),
        hash: None,
    };
    let chain = stored.link(before);
    stored.hash = Some(chain);
    (stored, chain)
}
