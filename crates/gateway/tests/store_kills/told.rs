//! What the clients were told. All of it has to be in the books, whatever is killed afterwards.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard};

use crate::check::{Rule, Violation};

/// What the clients of one data folder were told, over all of its kills.
#[derive(Default)]
pub(crate) struct Told(Mutex<Record>);

#[derive(Clone, Default)]
pub(crate) struct Record {
    /// Keys that were sent, answered or not.
    pub tried: Vec<String>,
    /// The task of each key that was answered.
    pub keys: BTreeMap<String, String>,
    /// Every task that a client was told of, oldest first.
    pub tasks: Vec<String>,
    /// Tasks whose cancellation was acknowledged.
    pub cancelled: BTreeSet<String>,
    /// Whole answers of `/v1`.
    pub answers: Vec<Answer>,
    /// Every event that a stream brought: its identifier and its data, to the letter.
    pub seen: BTreeMap<String, String>,
    /// How far each followed task was seen.
    pub followed: BTreeMap<String, Progress>,
    /// What a client saw that must not be.
    pub complaints: Vec<Violation>,
    /// Requests that got no answer: octo was killed before.
    pub unanswered: u64,
    /// Answers that said that the store does not work.
    pub refusals: Vec<String>,
    known_tasks: BTreeSet<String>,
}

/// A whole answer of `/v1`.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub task_id: String,
    /// `answer 17`: each answer of the upstream has a number of its own.
    pub mark: String,
    /// In USD; none of a call whose cost was said to be unknown, and of a stream.
    pub cost: Option<String>,
}

/// Up to where a task was seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress {
    pub seq: u64,
    pub event_id: Option<String>,
    pub ended: bool,
}

impl Told {
    pub(crate) fn record(&self) -> MutexGuard<'_, Record> {
        self.0.lock().unwrap()
    }
}

impl Record {
    pub(crate) fn complain(&mut self, rule: Rule, what: String) {
        self.complaints.push(Violation { rule, what });
    }

    pub(crate) fn task(&mut self, task_id: &str) {
        if self.known_tasks.insert(task_id.to_owned()) {
            self.tasks.push(task_id.to_owned());
        }
    }

    /// An answer that is none. Only a server that was killed may make octo say that its store does not work.
    pub(crate) fn refused(&mut self, place: &str, status: u16, body: &str) {
        let what = format!("{place}: {status} {body}");
        if status >= 500 {
            self.refusals.push(what);
        } else {
            self.complain(Rule::Runs, what);
        }
    }

    /// A message was taken: the same key is the same task for ever, and is made once.
    pub(crate) fn taken(&mut self, key: &str, task_id: &str, created: bool) {
        self.task(task_id);
        let Some(known) = self.keys.get(key).cloned() else {
            self.keys.insert(key.to_owned(), task_id.to_owned());
            return;
        };
        // Two clients may hear of one key at once, in either order; of two tasks they must not.
        if known != task_id {
            let what = format!("key {key} was task {known} and is now {task_id} (new: {created})");
            self.complain(Rule::OneTaskPerKey, what);
        }
    }

    /// An event came, as the one after `after` of its task.
    pub(crate) fn saw(&mut self, task_id: &str, event_id: &str, seq: u64, data: &str) {
        let progress = self.followed.entry(task_id.to_owned()).or_default();
        if seq > progress.seq {
            progress.seq = seq;
            progress.event_id = Some(event_id.to_owned());
            progress.ended |= data.ends_with(r#""final":true}"#);
        }
        let before = self.seen.insert(event_id.to_owned(), data.to_owned());
        if let Some(before) = before.filter(|before| before != data) {
            let what = format!("event {event_id} was {before} and is now {data}");
            self.complain(Rule::AsItWasSeen, what);
        }
    }
}
