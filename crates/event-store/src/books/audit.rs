//! Holds what a database keeps against what its events say.

use std::fmt::Display;

use event_payloads::TaskId;

use super::call::CallRow;
use super::chain::Hash;
use super::recount::Recounted;
use super::sums::Changes;
use crate::{Requester, StoreError, Task, Verified};

/// How many problems are told in words; the others are counted.
const TOLD: usize = 100;

/// What a database keeps about a task beside its events.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    pub(crate) task: Option<KeptTask>,
    /// In the order of their starts.
    pub(crate) calls: Vec<CallRow>,
    /// The sums of the task.
    pub(crate) sums: Changes,
    /// The artifacts that its events speak of and that are not there.
    pub(crate) missing_artifacts: Vec<String>,
}

#[derive(Debug)]
pub(crate) struct KeptTask {
    pub(crate) task: Task,
    pub(crate) last_seq: u64,
    pub(crate) chain: Hash,
}

/// A check that goes on.
#[derive(Debug, Default)]
pub(crate) struct Audit {
    verified: Verified,
    /// The sums that tasks share.
    shared: Changes,
}

impl Audit {
    pub(crate) fn problem(&mut self, problem: impl Into<String>) {
        self.verified.problem_count += 1;
        if self.verified.problems.len() < TOLD {
            self.verified.problems.push(problem.into());
        }
    }

    /// A content that was looked at; with what is wrong with it.
    pub(crate) fn artifact(&mut self, damage: Option<String>) {
        self.verified.artifacts += 1;
        if let Some(damage) = damage {
            self.problem(damage);
        }
    }

    /// A task, with what is kept about it.
    pub(crate) fn task(&mut self, done: Recounted, kept: &Kept) {
        self.verified.tasks += 1;
        self.verified.events += done.events;
        self.verified.undecodable += done.undecodable;
        self.verified.calls += u64::try_from(kept.calls.len()).unwrap_or(u64::MAX);
        for problem in &done.problems {
            self.problem(problem.clone());
        }
        match &kept.task {
            Some(task) => self.task_row(&done, task),
            None => self.problem(format!("task {} has events and no row", done.task_id)),
        }
        self.calls(&done, &kept.calls);
        for artifact in &kept.missing_artifacts {
            self.problem(format!(
                "artifact {artifact} of task {} is spoken of and not there",
                done.task_id
            ));
        }
        let (own, shared) = done.sums.split();
        self.sums(&own, &kept.sums);
        self.shared.merge(shared);
    }

    /// A task of which something that is kept can not be read. Its events count all the same.
    pub(crate) fn unreadable(&mut self, done: Recounted, error: &StoreError) {
        self.verified.tasks += 1;
        self.verified.events += done.events;
        self.verified.undecodable += done.undecodable;
        self.verified.calls += u64::try_from(done.calls.len()).unwrap_or(u64::MAX);
        for problem in done.problems {
            self.problem(problem);
        }
        self.problem(error.to_string());
        let (_, shared) = done.sums.split();
        self.shared.merge(shared);
    }

    fn task_row(&mut self, done: &Recounted, kept: &KeptTask) {
        let said = &done.task;
        let mut field = Field {
            audit: self,
            row: format!("task {}", done.task_id),
        };
        field.same("last_seq", &said.last_seq, &kept.last_seq);
        field.same("chain", &said.chain, &kept.chain);
        if let Some(status) = said.status {
            field.same("status", &status, &kept.task.status);
        }
        if let Some((updated_at, latest)) = &said.latest {
            field.same("updated_at", updated_at, &kept.task.updated_at);
            let pointer = kept.task.pointers.latest_event_id.as_ref();
            let pointer = pointer.map(ToString::to_string).unwrap_or_default();
            field.same("latest event", &latest.to_string(), &pointer);
        }
        // Not `created_at`: the Python version took the time of the row a moment before that of the event.
        if let Some((_, created)) = said.created.as_deref() {
            field.same("title", &created.title, &kept.task.title);
            field.same("thread_id", &created.thread_id, &kept.task.thread_id);
            field.same("scope_id", &created.scope_id, &kept.task.scope_id);
            field.same("risk_level", &created.risk_level, &kept.task.risk_level);
            let requester = Requester {
                channel: created.channel.clone(),
                sender_id: created.sender_id.clone(),
            };
            if requester != kept.task.requester {
                field.differs("requester");
            }
        }
    }

    fn calls(&mut self, done: &Recounted, kept: &[CallRow]) {
        if done.calls.len() != kept.len() {
            self.problem(format!(
                "task {} has {} model calls by its events and {} rows of them",
                done.task_id,
                done.calls.len(),
                kept.len()
            ));
            return;
        }
        for (said, kept) in done.calls.iter().zip(kept) {
            if said != kept {
                self.problem(format!(
                    "the row of model call {} of task {} is not what its events say",
                    said.id(),
                    done.task_id
                ));
            }
        }
    }

    fn sums(&mut self, said: &Changes, kept: &Changes) {
        self.verified.sums += u64::try_from(kept.0.len()).unwrap_or(u64::MAX);
        let keys = said
            .0
            .keys()
            .chain(kept.0.keys().filter(|key| !said.0.contains_key(key)));
        for key in keys {
            let (said, kept) = (said.0.get(key), kept.0.get(key));
            if said.copied().unwrap_or_default() != kept.copied().unwrap_or_default() {
                self.problem(format!(
                    "the sums of {} `{}` ({}, {}, {}, {}) are not what the calls add up to",
                    key.kind.as_str(),
                    key.scope,
                    key.alias,
                    key.category,
                    key.model,
                    key.provider
                ));
            }
        }
    }

    /// How many model calls were held against their events so far.
    pub(crate) const fn calls_seen(&self) -> u64 {
        self.verified.calls
    }

    /// Holds the sums that tasks share against what is kept, and ends.
    pub(crate) fn finish(mut self, kept: &Changes) -> Verified {
        let shared = std::mem::take(&mut self.shared);
        self.sums(&shared, kept);
        self.verified
    }

    /// A row about something that no event speaks of.
    pub(crate) fn stranger(&mut self, kind: &str, count: u64) {
        if count > 0 {
            self.problem(format!("{count} {kind} that no event speaks of"));
        }
    }

    /// A task whose row has no events.
    pub(crate) fn eventless(&mut self, task_id: &TaskId) {
        self.problem(format!("task {task_id} has a row and no events"));
    }
}

struct Field<'a> {
    audit: &'a mut Audit,
    row: String,
}

impl Field<'_> {
    fn same<T: PartialEq + Display>(&mut self, name: &str, said: &T, kept: &T) {
        if said != kept {
            let shown = |value: &T| {
                event_payloads::first_chars(&value.to_string(), 80)
                    .escape_debug()
                    .to_string()
            };
            self.audit.problem(format!(
                "{}: its {name} is `{}`, by its events it is `{}`",
                self.row,
                shown(kept),
                shown(said)
            ));
        }
    }

    fn differs(&mut self, name: &str) {
        self.audit.problem(format!(
            "{}: its {name} is not what its events say",
            self.row
        ));
    }
}
