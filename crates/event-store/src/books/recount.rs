//! What a log adds up to, from its events alone.

use event_payloads::{EventType, Payload, TaskId};

use super::call::CallRow;
use super::chain::{Hash, StoredEvent};
use super::ending::Ending;
use super::stamp::Seen;
use super::sums::Changes;
use super::task::TaskRow;
use crate::rows;

/// What the events of one task add up to.
#[derive(Debug)]
pub(crate) struct Recounted {
    pub(crate) task_id: TaskId,
    pub(crate) task: TaskRow,
    /// In the order of their starts.
    pub(crate) calls: Vec<CallRow>,
    pub(crate) sums: Changes,
    pub(crate) events: u64,
    pub(crate) undecodable: u64,
    /// The artifacts that its events speak of.
    pub(crate) artifacts: Vec<String>,
    /// What is wrong with its events: gaps, broken links.
    pub(crate) problems: Vec<String>,
}

/// Goes over the events of a log, task by task, each in its order.
#[derive(Debug, Default)]
pub(crate) struct Recount {
    current: Option<Recounted>,
}

impl Recount {
    /// Takes the next event; the task before it is done when it is another's.
    pub(crate) fn add(&mut self, stored: &StoredEvent) -> Option<Recounted> {
        let Ok(task_id) = stored.task_id.parse::<TaskId>() else {
            tracing::warn!(event_id = stored.event_id, "event of no task left out");
            return None;
        };
        let done = self.current.take_if(|current| current.task_id != task_id);
        let current = self.current.get_or_insert_with(|| Recounted::new(task_id));
        current.add(stored);
        done
    }

    /// The last task.
    pub(crate) fn finish(self) -> Option<Recounted> {
        self.current
    }
}

impl Recounted {
    fn new(task_id: TaskId) -> Self {
        Self {
            task_id,
            task: TaskRow::default(),
            calls: Vec::new(),
            sums: Changes::default(),
            events: 0,
            undecodable: 0,
            artifacts: Vec::new(),
            problems: Vec::new(),
        }
    }

    fn add(&mut self, stored: &StoredEvent) {
        self.events += 1;
        let event = match rows::to_event(stored) {
            Ok(event) => event,
            Err(error) => {
                tracing::warn!(%error, "event left out of the projections");
                self.undecodable += 1;
                self.link(stored, None);
                return;
            }
        };
        let payload = match event.decode() {
            Ok(payload) => Some(payload),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "event without its payload in the projections");
                self.undecodable += 1;
                None
            }
        };
        let chain = self.link(stored, payload.as_ref());
        let event = Seen::from(&event);
        self.project_call(event, payload.as_ref());
        self.task.add(event, payload.as_ref(), chain);
    }

    /// Checks the place and the hash of an event; gives the link that the next goes on from.
    fn link(&mut self, stored: &StoredEvent, payload: Option<&Payload>) -> Hash {
        let mut expected = i64::try_from(self.task.last_seq + 1).unwrap_or(i64::MAX);
        let mut before = self.task.chain;
        if let Some(Payload::TaskPruned(pruned)) = payload {
            if pruned.first_seq != self.task.last_seq + 1 {
                self.problem(stored, "its tombstone does not follow what is left");
            }
            expected = i64::try_from(pruned.last_seq.saturating_add(1)).unwrap_or(i64::MAX);
            before = Hash::from_hex(&pruned.chain_hash).unwrap_or(before);
        }
        if stored.task_seq != expected {
            self.problem(
                stored,
                &format!("it stands at {} where {expected} is due", stored.task_seq),
            );
        }
        let link = stored.link(before);
        match stored.hash {
            Some(hash) if hash == link => {}
            Some(_) => self.problem(
                stored,
                "its hash is another: it, or an event before it, was changed",
            ),
            None => self.problem(stored, "it has no hash"),
        }
        if stored.position.is_none_or(|position| position <= 0) {
            self.problem(
                stored,
                "it has no position in the log that a reader would come to",
            );
        }
        // The next is held against what is stored, so that one change is told once.
        let chain = stored.hash.unwrap_or(link);
        self.task.chain = chain;
        self.task.last_seq = u64::try_from(stored.task_seq).unwrap_or(self.task.last_seq);
        chain
    }

    fn problem(&mut self, stored: &StoredEvent, problem: &str) {
        let id = event_payloads::first_chars(&stored.event_id, 128).escape_debug();
        self.problems.push(format!(
            "event {id} of task {} (task_seq {}): {problem}",
            self.task_id, stored.task_seq
        ));
    }

    fn project_call(&mut self, event: Seen<'_>, payload: Option<&Payload>) {
        if *event.event_type == EventType::ModelCallStarted {
            self.calls.push(CallRow::started(event, payload));
            return;
        }
        match payload {
            Some(Payload::CostCorrected(correction)) => {
                let call = self
                    .calls
                    .iter_mut()
                    .find(|call| call.call.call_id == correction.call_id && !call.is_open());
                if let Some(call) = call {
                    let before = call.clone();
                    call.correct(correction);
                    let after = call.clone();
                    self.sums.call(&before, &after);
                }
            }
            Some(Payload::ArtifactCreated(created)) => {
                self.artifacts.push(created.artifact_id.to_string());
            }
            Some(Payload::TaskPruned(pruned)) => {
                for sums in &pruned.calls {
                    self.sums.pruned(&self.task_id, sums);
                }
            }
            _ => {
                if let Some(ending) = Ending::of(event, payload) {
                    self.end(event, ending);
                }
            }
        }
    }

    fn end(&mut self, event: Seen<'_>, ending: Ending) {
        let index = self.call_of(event).unwrap_or_else(|| {
            self.calls.push(CallRow::nameless(event));
            self.calls.len() - 1
        });
        if let Some(call) = self.calls.get_mut(index) {
            let before = call.clone();
            call.end(event, ending);
            self.sums.call(&before, call);
        }
    }

    /// The call that an end belongs to. Logs of the Python version name no parent: it is the oldest open
    /// call of the task then, and a call of its own if none is open.
    fn call_of(&self, event: Seen<'_>) -> Option<usize> {
        let named = self
            .calls
            .iter()
            .position(|call| call.is_open() && Some(call.id()) == event.parent);
        named.or_else(|| self.calls.iter().position(CallRow::is_open))
    }
}
