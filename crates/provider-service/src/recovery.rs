//! After a crash: what was left open is closed.

use std::collections::{BTreeMap, HashSet};

use event_payloads::{Actor, ModelCallFailed, Payload, StateTransition, TaskId, TaskStatus};
use event_store::{Commit, EventStore, NewEvent, OpenCall, Orphans, Parent, StoreError, Task};

use crate::call::unknown_cost;
use crate::task::SESSION_CHANNEL;

/// The kind of failure of a call that nobody saw end.
const INTERRUPTED: &str = "interrupted";

/// What was closed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Calls that had a start and no end.
    pub calls: usize,
    /// Tasks that were ended with them, or that had never come to a call.
    pub tasks: usize,
}

/// What was found unfinished and worked on by nobody, the last time.
#[derive(Debug, Default)]
pub struct Suspects(HashSet<String>);

impl Suspects {
    /// What was found the last time as well. One look alone can meet a task between two of its steps.
    pub(crate) fn seen_again(&mut self, found: Orphans) -> Orphans {
        let before = std::mem::take(&mut self.0);
        let mut again = |id: &str| {
            self.0.insert(id.to_owned());
            before.contains(id)
        };
        let Orphans {
            mut calls,
            mut tasks,
        } = found;
        calls.retain(|call| again(call.call_id.as_str()));
        tasks.retain(|task| again(task.task_id.as_str()));
        Orphans { calls, tasks }
    }
}

/// Closes every call as FAILED that nobody works on any more, and with it its task. What can not be closed
/// is logged; the next look finds it again.
///
/// Several gateways on one store may come to the same call at the same moment: one of them closes it.
pub(crate) async fn close_all(store: &dyn EventStore, orphans: Orphans) -> Recovered {
    let mut dangling: BTreeMap<TaskId, Vec<OpenCall>> = BTreeMap::new();
    for call in orphans.calls {
        dangling.entry(call.task_id.clone()).or_default().push(call);
    }
    let mut unfinished: BTreeMap<TaskId, Task> = BTreeMap::new();
    for task in orphans.tasks {
        unfinished.insert(task.task_id.clone(), task);
    }
    let mut recovered = Recovered::default();
    for (task_id, calls) in dangling {
        let failed = calls.iter().map(interrupted);
        let end = unfinished.remove(&task_id).and_then(|task| ending(&task));
        let tasks = usize::from(end.is_some());
        if close(store, task_id, failed.chain(end)).await {
            recovered.calls += calls.len();
            recovered.tasks += tasks;
        }
    }
    for (task_id, task) in unfinished {
        let Some(end) = ending(&task) else { continue };
        recovered.tasks += usize::from(close(store, task_id, [end]).await);
    }
    recovered
}

/// False if somebody else was there first, or it can not be written. What is still open then is found the
/// next time.
async fn close(
    store: &dyn EventStore,
    task_id: TaskId,
    events: impl IntoIterator<Item = NewEvent>,
) -> bool {
    let commit = Commit::new(task_id.clone());
    let commit = events.into_iter().fold(commit, Commit::event);
    match store.append(commit).await {
        Ok(_) => true,
        Err(StoreError::CallAlreadyEnded { .. } | StoreError::IllegalTransition { .. }) => {
            tracing::debug!(%task_id, "closed by somebody else at the same moment");
            false
        }
        Err(error) => {
            tracing::error!(%task_id, %error, "what was left open can not be closed yet");
            false
        }
    }
}

fn interrupted(call: &OpenCall) -> NewEvent {
    let failed = ModelCallFailed {
        model_alias: call.alias.clone(),
        error_type: INTERRUPTED.to_owned(),
        error_message: "octo ended in the middle of the call; send the request again".to_owned(),
        category: call.category.clone(),
        runtime_group: call.runtime_group.clone(),
        ..ModelCallFailed::default()
    }
    .with_cost(&unknown_cost(INTERRUPTED));
    NewEvent::new(Actor::System, Payload::ModelCallFailed(Box::new(failed)))
        .parent(Parent::Event(call.call_id.clone()))
}

/// The transition that ends a task, if it is one that this gateway was working on.
///
/// A session stays open: its other calls have nothing to do with the one that was interrupted. A
/// task in a reserved state waits for somebody else.
fn ending(task: &Task) -> Option<NewEvent> {
    let ours = matches!(task.status, TaskStatus::Created | TaskStatus::Running);
    if !ours || task.requester.channel == SESSION_CHANNEL {
        return None;
    }
    let payload = Payload::StateTransition(StateTransition {
        from_status: task.status,
        to_status: TaskStatus::Failed,
        reason: INTERRUPTED.to_owned(),
    });
    Some(NewEvent::new(Actor::System, payload))
}
