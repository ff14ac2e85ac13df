//! What is left of a task whose events are removed.

use std::collections::BTreeMap;

use event_payloads::{Actor, EventType, Payload, TaskId, TaskPruned, TaskStatus};

use super::call::CallRow;
use super::chain::{Hash, StoredEvent};
use super::stamp::{Next, Stamp};
use super::sums::{SumKey, Sums, hour};
use super::task::TaskRow;
use crate::id::Monotonic;
use crate::prepared::PreparedEvent;
use crate::rows::{from_sql, to_sql};
use crate::{Clock, NewEvent, PruneQuery, StoreError};

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
    /// What pruning it comes to; `None` if there is nothing to remove, one of its events stands behind the position
    /// that may go, a call is still open, or the start that stays has calls or artifacts.
    ///
    /// The start of its log stays, up to the last event with an idempotency key: the same request must find
    /// the same task for ever.
    pub(crate) fn prune(
        &self,
        query: PruneQuery,
        position: u64,
        ids: &mut Monotonic,
        clock: &dyn Clock,
    ) -> Result<Option<Pruning>, StoreError> {
        // What came since it was looked for, too.
        let waits = |event: &StoredEvent| event.position.is_none_or(|at| at > to_sql(query.up_to));
        if self.events.iter().any(waits) {
            return Ok(None);
        }
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
            before: query.before,
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

#[cfg(test)]
mod tests {
    use event_payloads::Timestamp;

    use super::*;
    use crate::SystemClock;

    fn event(task_seq: i64, position: i64) -> StoredEvent {
        StoredEvent {
            event_id: format!("event-{task_seq}"),
            task_id: "task".to_owned(),
            task_seq,
            ts: "2026-03-01T12:00:00.000000+00:00".to_owned(),
            event_type: EventType::UserMessage.to_string(),
            schema_version: 1,
            actor: "user".to_owned(),
            payload: "{}".to_owned(),
            trace_id: String::new(),
            span_id: String::new(),
            parent_event_id: None,
            idempotency_key: None,
            position: Some(position),
            hash: None,
        }
    }

    /// As if one had come since the task was looked for, wherever it stands in the task.
    #[test]
    fn a_task_stays_whole_if_one_of_its_events_stands_behind_the_position() {
        let task_id = "task".parse().unwrap();
        let now = "2026-04-01T12:00:00Z".parse::<Timestamp>().unwrap();
        for positions in [[7, 8, 9], [7, 9, 8]] {
            let events: Vec<_> = (1..)
                .zip(positions)
                .map(|(seq, at)| event(seq, at))
                .collect();
            let candidate = Candidate {
                task_id: &task_id,
                status: TaskStatus::Succeeded,
                events: &events,
                calls: &[],
                artifacts: 0,
            };
            let is_pruned = |query| {
                let pruning = candidate.prune(query, 10, &mut Monotonic::default(), &SystemClock);
                pruning.unwrap().is_some()
            };
            let all = PruneQuery::before(now);
            assert!(is_pruned(all));
            assert!(is_pruned(all.up_to(9)));
            assert!(!is_pruned(all.up_to(8)));
        }
    }
}
