//! Looks up what a group of commits needs to know, under the lock of all writers.

use std::collections::{BTreeSet, HashMap};

use event_payloads::{ArtifactId, EventId, TaskId, TaskStatus};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, Row, Statement};

use super::failure::{Failure, wrong_type};
use crate::books::chain::Hash;
use crate::books::facts::{Facts, Needs};
use crate::books::task::TaskRow;
use crate::rows::{self, Row as _, corrupt};
use crate::sql::CALL_COLUMNS;

/// Names the lock that every commit of every program takes first: all commits come one after the other,
/// so that positions are the order of the commits and what is read under the lock stays true until its
/// end.
pub(crate) const LOCK: &str = "SELECT pg_advisory_xact_lock(8026386980994547714)";

/// The look-ups, prepared.
#[derive(Debug)]
pub(crate) struct LookUps {
    lock: Statement,
    tasks: Statement,
    keys: Statement,
    calls: Statement,
    artifacts: Statement,
    head: Statement,
    alive: Statement,
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) facts: Facts,
    /// The pointers of the tasks, as their rows have them.
    pub(crate) pointers: HashMap<TaskId, String>,
    /// True if this program counts as alive.
    pub(crate) alive: bool,
}

impl LookUps {
    pub(crate) async fn prepare(client: &Client) -> Result<Self, Failure> {
        let calls = format!("SELECT {CALL_COLUMNS} FROM model_calls WHERE call_id = ANY($1)");
        let (lock, tasks, keys, calls, artifacts, head, alive) = tokio::try_join!(
            client.prepare(LOCK),
            client.prepare(
                "SELECT task_id, status, last_seq, chain, pointers FROM tasks
                 WHERE task_id = ANY($1)"
            ),
            client.prepare(
                "SELECT idempotency_key, task_id FROM events WHERE idempotency_key = ANY($1)"
            ),
            client.prepare(&calls),
            client.prepare("SELECT artifact_id FROM artifacts WHERE artifact_id = ANY($1)"),
            client.prepare(crate::sql::HEAD),
            client.prepare(
                "SELECT 1 FROM gateways WHERE gateway_id = $1 AND expires_at > clock_timestamp()"
            ),
        )?;
        Ok(Self {
            lock,
            tasks,
            keys,
            calls,
            artifacts,
            head,
            alive,
        })
    }

    /// Begins a transaction, takes the lock and looks everything up: one round trip.
    pub(crate) async fn begin(
        &self,
        client: &Client,
        needs: &Needs,
        gateway_id: &str,
    ) -> Result<Found, Failure> {
        let tasks = texts(&needs.tasks, TaskId::as_str);
        let calls = texts(&needs.calls, EventId::as_str);
        let keys = texts(&needs.keys, String::as_str);
        let artifacts = texts(&needs.artifacts, ArtifactId::as_str);
        let alive: [&(dyn ToSql + Sync); 1] = [&gateway_id];
        // In the order of the arguments: each sends its statement when it is first polled.
        let (_, _, tasks, keys, calls, artifacts, head, alive) = tokio::try_join!(
            biased;
            client.batch_execute("BEGIN"),
            client.execute(&self.lock, &[]),
            look_up(client, &self.tasks, &tasks),
            look_up(client, &self.keys, &keys),
            look_up(client, &self.calls, &calls),
            look_up(client, &self.artifacts, &artifacts),
            client.query_one(&self.head, &[]),
            client.query_opt(&self.alive, &alive),
        )?;
        let mut found = Found {
            alive: alive.is_some(),
            ..Found::default()
        };
        found.facts.head = head
            .count("head")
            .map_err(|problem| corrupt("the log", problem.0))?;
        for row in &tasks {
            found.task(row)?;
        }
        for row in &keys {
            let key: String = row.try_get(0)?;
            let owner = parsed(row, 1, "the event of an idempotency key")?;
            found.facts.keys.insert(key, owner);
        }
        for row in &calls {
            let call = rows::call(row)?;
            found.facts.calls.insert(call.id().clone(), call);
        }
        for row in &artifacts {
            let artifact = parsed(row, 0, "an artifact")?;
            found.facts.artifacts.insert(artifact);
        }
        Ok(found)
    }
}

impl Found {
    fn task(&mut self, row: &Row) -> Result<(), Failure> {
        let task_id: TaskId = parsed(row, 0, "a task")?;
        let damaged = |problem: String| corrupt(format!("task {task_id}"), problem);
        let status: String = row.try_get(1)?;
        let status: TaskStatus = status
            .parse()
            .map_err(|error| damaged(format!("its status: {error}")))?;
        let chain: Option<Vec<u8>> = row.try_get(3)?;
        let chain = chain.and_then(|bytes| Hash::from_bytes(&bytes));
        let task = TaskRow {
            status: Some(status),
            kept_status: Some(status),
            last_seq: row
                .count("last_seq")
                .map_err(|problem| damaged(problem.0))?,
            chain: chain.unwrap_or_default(),
            ..TaskRow::default()
        };
        self.pointers.insert(task_id.clone(), row.try_get(4)?);
        self.facts.tasks.insert(task_id, task);
        Ok(())
    }
}

fn texts<T>(all: &BTreeSet<T>, text: fn(&T) -> &str) -> Vec<&str> {
    all.iter().map(text).collect()
}

async fn look_up(client: &Client, statement: &Statement, ids: &[&str]) -> Result<Vec<Row>, Error> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let ids: &(dyn ToSql + Sync) = &ids;
    client.query(statement, &[ids]).await
}

fn parsed<T>(row: &Row, column: usize, what: &str) -> Result<T, Failure>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    let text: String = row.try_get(column).map_err(|error| wrong_type(&error))?;
    let id = text.parse();
    Ok(id.map_err(|error: T::Err| corrupt(what, error.to_string()))?)
}
