//! Looks up what a group of commits needs to know, and what of that is known from the group before.

use event_payloads::{EventId, TaskId, TaskStatus};
use rusqlite::{Connection, OptionalExtension};

use super::failure::Failure;
use super::{read, row};
use crate::books::chain::Hash;
use crate::books::facts::{Facts, Needs};
use crate::books::plan::Writes;
use crate::books::pointers::hold_no_more;
use crate::books::task::TaskRow;
use crate::rows::{self, corrupt, from_sql};
use crate::sql;

/// What is known from one group of commits to the next.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) facts: Facts,
    /// What the last group wrote, if that is not among them yet.
    written: Option<Writes>,
    /// Of the database as it is seen from here.
    version: i64,
}

impl Known {
    /// What is known when a transaction has begun: all that was, unless another program has written since. None
    /// should, but one that does not know of our lock can.
    pub(crate) fn begin(conn: &Connection, known: Option<Self>) -> Result<Self, Failure> {
        // Another one as soon as another connection has committed something:
        // https://www.sqlite.org/pragma.html#pragma_data_version
        let version = conn
            .prepare_cached("PRAGMA data_version")?
            .query_row([], |row| row.get(0))?;
        match known {
            Some(mut known) if known.version == version => {
                known.learn();
                Ok(known)
            }
            _ => Ok(Self {
                facts: Facts::of(read::head(conn)?),
                written: None,
                version,
            }),
        }
    }

    /// What is known when some writes, planned on this, are on record.
    pub(crate) fn after(self, writes: Writes) -> Self {
        Self {
            written: Some(writes),
            ..self
        }
    }

    /// Takes in what the last group wrote. The best time is when its callers are answered, until they come back.
    pub(crate) fn learn(&mut self) {
        if let Some(writes) = self.written.take() {
            self.facts = std::mem::take(&mut self.facts).after(&writes);
        }
    }
}

pub(crate) fn look_up(conn: &Connection, needs: &Needs) -> Result<Facts, Failure> {
    let mut facts = Facts::default();
    for task_id in &needs.tasks {
        if let Some(task) = task(conn, task_id)? {
            facts.tasks.insert(task_id.clone(), task);
        }
    }
    for key in &needs.keys {
        if let Some(owner) = owner(conn, key)? {
            facts.keys.insert(key.clone(), owner);
        }
    }
    for call_id in &needs.calls {
        if let Some(call) = call(conn, call_id)? {
            facts.calls.insert(call_id.clone(), call);
        }
    }
    for artifact_id in &needs.artifacts {
        let mut statement =
            conn.prepare_cached("SELECT 1 FROM artifacts WHERE artifact_id = ?1")?;
        if statement.exists([artifact_id.as_str()])? {
            facts.artifacts.insert(artifact_id.clone());
        }
    }
    Ok(facts)
}

fn task(conn: &Connection, task_id: &TaskId) -> Result<Option<TaskRow>, Failure> {
    let row: Option<(String, i64, Option<Vec<u8>>, bool)> = conn
        .prepare_cached("SELECT status, last_seq, chain, pointers FROM tasks WHERE task_id = ?1")?
        .query_row([task_id.as_str()], |row| {
            let pointers = row.get_ref(3)?.as_str();
            let no_other = pointers.is_ok_and(hold_no_more);
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, no_other))
        })
        .optional()?;
    let Some((status, last_seq, chain, has_no_other_pointer)) = row else {
        return Ok(None);
    };
    let status: TaskStatus = status
        .parse()
        .map_err(|error| corrupt(format!("task {task_id}"), format!("its status: {error}")))?;
    let chain = chain.and_then(|bytes| Hash::from_bytes(&bytes));
    Ok(Some(TaskRow {
        status: Some(status),
        kept_status: Some(status),
        last_seq: from_sql(last_seq),
        chain: chain.unwrap_or_default(),
        has_no_other_pointer,
        ..TaskRow::default()
    }))
}

fn owner(conn: &Connection, key: &str) -> Result<Option<TaskId>, Failure> {
    let owner: Option<String> = conn
        .prepare_cached("SELECT task_id FROM events WHERE idempotency_key = ?1")?
        .query_row([key], |row| row.get(0))
        .optional()?;
    let owner = owner.map(|owner| {
        owner
            .parse()
            .map_err(|error| corrupt(format!("the event with key `{key}`"), format!("{error}")))
    });
    Ok(owner.transpose()?)
}

fn call(
    conn: &Connection,
    call_id: &EventId,
) -> Result<Option<crate::books::call::CallRow>, Failure> {
    row::first(conn, &sql::call(), [call_id.as_str()], |row| {
        rows::call(row)
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use event_payloads::{
        Actor, Cost, CostSource, EventType, ModelCallCompleted, Payload, TokenUsage,
    };
    use serde_json::{Value, json};

    use super::*;
    use crate::books::plan::Planner;
    use crate::books::stamp::{self, Accepted};
    use crate::id::Monotonic;
    use crate::prepared::{ArtifactLimits, Prepared};
    use crate::sqlite::{schema, write};
    use crate::{Commit, NewEvent, Parent, SystemClock};

    fn open(path: &Path) -> Connection {
        let mut conn = Connection::open(path).unwrap();
        conn.pragma_update(None, "journal_mode", "WAL").unwrap();
        schema::migrate(&mut conn, path).unwrap();
        conn
    }

    /// A group of one commit; gives the identifier of its last event.
    fn record(conn: &Connection, known: &mut Option<Known>, events: Vec<NewEvent>) -> EventId {
        let commit = Commit {
            events,
            ..Commit::new("task".parse().unwrap())
        };
        let limits = ArtifactLimits { inline: 0, max: 0 };
        let commit = Prepared::new(commit, limits, None).unwrap();
        conn.execute_batch("BEGIN IMMEDIATE").unwrap();
        let mut now = Known::begin(conn, known.take()).unwrap();
        now.facts
            .learn(look_up(conn, &now.facts.unknown([&commit])).unwrap());
        let mut ids = Monotonic::default();
        let mut planner = Planner::new(&mut now.facts, &mut ids, &SystemClock);
        let outcomes = [planner.commit(&commit)];
        let writes = planner.into_writes();
        let rows = stamp::accepted([&commit], &outcomes).flat_map(Accepted::rows);
        write::write(conn, &writes, rows).unwrap();
        conn.execute_batch("COMMIT").unwrap();
        let mut after = now.after(writes);
        after.learn();
        *known = Some(after);
        let stamps = outcomes[0].as_ref().unwrap();
        stamps[stamps.len() - 1].event_id.clone()
    }

    fn event(event_type: EventType, payload: Value) -> NewEvent {
        NewEvent::new(Actor::System, Payload::Unknown(event_type, payload))
    }

    fn running_task() -> Vec<NewEvent> {
        let created = json!({
            "title": "Hi", "thread_id": "default", "scope_id": "chat:web:default",
            "channel": "web", "sender_id": "owner", "risk_level": "low",
        });
        let moved = json!({"from_status": "CREATED", "to_status": "RUNNING", "reason": ""});
        vec![
            event(EventType::TaskCreated, created).key("key"),
            event(EventType::StateTransition, moved),
        ]
    }

    fn started() -> NewEvent {
        let call = json!({"model_alias": "planner", "request_summary": "Hi", "category": "main"});
        event(EventType::ModelCallStarted, call)
    }

    fn completed(call_id: &EventId, cost: &Cost) -> NewEvent {
        let call = ModelCallCompleted {
            model_name: "gpt-4o-mini".to_owned(),
            duration_ms: 420,
            token_usage: Some(TokenUsage::new(20, 2)),
            ..ModelCallCompleted::default()
        };
        let call = Payload::ModelCallCompleted(Box::new(call.with_cost(cost)));
        NewEvent::new(Actor::System, call).parent(Parent::Event(call_id.clone()))
    }

    fn corrected(call_id: &EventId) -> NewEvent {
        let correction = json!({
            "call_id": call_id, "cost_usd": 0.5, "cost_source": "proxy", "previous_cost_usd": 0,
        });
        event(EventType::CostCorrected, correction)
    }

    /// Else a store that stays open would go on from something other than what it finds when it is opened.
    #[test]
    fn what_is_known_after_a_group_is_what_a_look_up_gives() {
        let folder = tempfile::tempdir().unwrap();
        let conn = open(&folder.path().join("octo.db"));
        let mut known = None;
        let same = |known: &Option<Known>| {
            let facts = &known.as_ref().unwrap().facts;
            let needs = Needs {
                tasks: facts.tasks.keys().cloned().collect(),
                calls: facts.calls.keys().cloned().collect(),
                ..Needs::default()
            };
            let found = look_up(&conn, &needs).unwrap();
            let head = read::head(&conn).unwrap();
            assert_eq!(*facts, Facts { head, ..found });
            (facts.tasks.len(), facts.calls.len())
        };
        record(&conn, &mut known, running_task());
        assert_eq!(same(&known), (1, 0));
        let costs = [
            Cost::known("0.25".parse().unwrap(), CostSource::Proxy),
            Cost::Unavailable("no price".to_owned()),
        ];
        for (calls, cost) in costs.iter().enumerate() {
            let call_id = record(&conn, &mut known, vec![started()]);
            assert_eq!(same(&known), (1, calls + 1));
            record(&conn, &mut known, vec![completed(&call_id, cost)]);
            same(&known);
            record(&conn, &mut known, vec![corrected(&call_id)]);
            same(&known);
        }
    }

    #[test]
    fn what_is_known_outlives_own_commits_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("octo.db");
        let conn = open(&path);
        let mut known = None;
        record(&conn, &mut known, running_task());
        // Other writes of the same connection, and a log that is carried over, change nothing of it.
        conn.execute_batch(
            "INSERT INTO log_cursors (reader, position) VALUES ('r', 1); PRAGMA wal_checkpoint",
        )
        .unwrap();
        let kept = Known::begin(&conn, known).unwrap();
        assert_eq!((kept.facts.tasks.len(), kept.facts.head), (1, 2));
        open(&path)
            .execute_batch("UPDATE tasks SET status = 'CANCELLED'")
            .unwrap();
        let anew = Known::begin(&conn, Some(kept)).unwrap();
        assert_eq!(anew.facts, Facts::of(2));
    }
}
