//! What is left of a task whose events are removed.

use std::collections::BTreeMap;

use event_payloads::{Actor, EventType, Payload, TaskId, TaskPruned, TaskStatus, Timestamp};

use super::call::CallRow;
use super::chain::{Hash, StoredEvent};
use super::stamp::{Next, Stamp};
use super::sums::{SumKey, Sums, hour};
use super::task::TaskRow;
use crate::id::Monotonic;
use crate::prepared::PreparedEvent;
use crate::rows::{from_sql, to_sql};
use crate::{Clock, NewEvent, StoreError};

/// How many tasks one transaction prunes: it takes some milliseconds, in which no commit is recorded.
pub(crate) const TASKS: i64 = 25;

/// By what tasks are gone through: when one was created, and its name.
pub(crate) type TaskKey = (String, String);

/// A task as it is before its events are removed.
pub(crate) struct Candidate<'a> {
    pub(crate) task_id: &'a TaskId,
    pub(crate) status: TaskStatus,
    /// All its events, in order.
    pub(crate) events: &'a [StoredEvent],
    pub(crate) calls: &'a [CallRow],
    pub(crate) artifacts: u64,
}

/// What is to be done with it.
#[derive(Debug)]
pub(crate) struct Pruning {
    /// Events from this position on, up to the last, are removed; calls and artifacts with them.
    pub(crate) first_seq: i64,
    pub(crate) last_seq: i64,
    pub(crate) tombstone: PreparedEvent,
    pub(crate) stamp: Stamp,
    /// Its row afterwards.
    pub(crate) task: TaskRow,
}

impl Candidate<'_> {
    /// What pruning it comes to; `None` if there is nothing to remove, a call is still open, or the start that
    /// stays has calls or artifacts.
    ///
    /// The start of its log stays, up to the last event with an idempotency key: the same request must find
    /// the same task for ever.
    pub(crate) fn prune(
        &self,
        before: Timestamp,
        position: u64,
        ids: &mut Monotonic,
        clock: &dyn Clock,
    ) -> Result<Option<Pruning>, StoreError> {
        let stays = |event: &&StoredEvent| {
            event.idempotency_key.is_some() || event.event_type == EventType::TaskPruned.as_str()
        };
        let keyed = self.events.iter().filter(stays).map(|event| event.task_seq);
        let kept = keyed.max().unwrap_or(0).max(1);
        let Some(last) = self.events.last().filter(|last| last.task_seq > kept) else {
            return Ok(None);
        };
        // What the start that stays speaks of has to stay too: such a task is left as it is.
        let speaks = |event: &StoredEvent| {
            event.task_seq <= kept && event.event_type == EventType::ArtifactCreated.as_str()
        };
        let stays = |call: &CallRow| call.is_open() || to_sql(call.task_seq) <= kept;
        if self.calls.iter().any(stays) || self.events.iter().any(speaks) {
            return Ok(None);
        }
        let chain = last.hash.unwrap_or_default();
        let pruned = TaskPruned {
            before,
            first_seq: from_sql(kept + 1),
            last_seq: from_sql(last.task_seq),
            artifacts: self.artifacts,
            status: self.status,
            chain_hash: chain.to_string(),
            calls: self.sums()?,
        };
        self.bury(pruned, chain, position, ids, clock).map(Some)
    }

    fn sums(&self) -> Result<Vec<event_payloads::PrunedCalls>, StoreError> {
        let mut sums: BTreeMap<SumKey, Sums> = BTreeMap::new();
        for row in self.calls {
            let key = SumKey::of_hour(&hour(row.call.started_at), row);
            sums.entry(key).or_default().add(&Sums::of(row), 1);
        }
        sums.iter().map(|(key, sums)| sums.to_pruned(key)).collect()
    }

    fn bury(
        &self,
        pruned: TaskPruned,
        chain: Hash,
        position: u64,
        ids: &mut Monotonic,
        clock: &dyn Clock,
    ) -> Result<Pruning, StoreError> {
        let (first_seq, last_seq) = (to_sql(pruned.first_seq), to_sql(pruned.last_seq));
        let tombstone = NewEvent::new(Actor::System, Payload::TaskPruned(Box::new(pruned)));
        let tombstone = PreparedEvent::new(tombstone, self.task_id)?;
        let next = Next {
            task_seq: from_sql(last_seq) + 1,
            position,
            before: chain,
        };
        let stamp = Stamp::new(self.task_id, &tombstone, None, next, (ids, clock));
        let mut task = TaskRow::default();
        let seen = stamp.seen(self.task_id, &tombstone);
        task.add(seen, Some(&tombstone.payload), stamp.chain);
        Ok(Pruning {
            first_seq,
            last_seq,
            tombstone,
            stamp,
            task,
        })
    }
}
