//! Looks up what a group of commits needs to know, under the lock of all writers.

use std::collections::{BTreeSet, HashMap};

use event_payloads::{ArtifactId, EventId, TaskId, TaskStatus};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, Row, Statement};

use super::failure::{Failure, wrong_type};
use super::schema::{self, FOUND};
use crate::books::chain::Hash;
use crate::books::facts::{Facts, Needs};
use crate::books::task::TaskRow;
use crate::rows::{self, Row as _, corrupt};
use crate::sql::{CALL_COLUMNS, HEAD};

/// Names the lock that every commit of every program takes first: all commits come one after the other,
/// so that positions are the order of the commits and what is read under the lock stays true until its
/// end.
pub(crate) const LOCK: &str = "SELECT pg_advisory_xact_lock(8026386980994547714)";

/// Begins a transaction and takes the lock, in one statement of the protocol. Each statement of a
/// transaction sees what is committed when it begins, so that what is looked up after this is seen as the
/// last commit left it.
pub(crate) async fn begin(client: &Client) -> Result<(), Error> {
    client.batch_execute(&format!("BEGIN; {LOCK}")).await
}

/// Tasks, each with the layout, the log's head, the transaction's number and whether this program counts as
/// alive; without any task a row with these alone. In one statement: each costs the server and us a wake-up.
fn tasks() -> String {
    format!(
        "SELECT task_id, status, last_seq, chain, pointers, ({FOUND}) AS layout, ({HEAD}) AS head,
             txid_current() AS transaction,
             EXISTS (SELECT 1 FROM gateways
                     WHERE gateway_id = $2 AND expires_at > clock_timestamp()) AS alive
         FROM (VALUES (1)) AS once LEFT JOIN tasks ON task_id = ANY($1)"
    )
}

/// The look-ups, prepared.
#[derive(Debug)]
pub(crate) struct LookUps {
    tasks: Statement,
    keys: Statement,
    calls: Statement,
    artifacts: Statement,
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) facts: Facts,
    /// The pointers of the tasks, as their rows have them.
    pub(crate) pointers: HashMap<TaskId, String>,
    /// True if this program counts as alive.
    pub(crate) alive: bool,
    /// The number of the transaction that looked.
    pub(crate) transaction: i64,
}

impl LookUps {
    pub(crate) async fn prepare(client: &Client) -> Result<Self, Failure> {
        let tasks = tasks();
        let calls = format!("SELECT {CALL_COLUMNS} FROM model_calls WHERE call_id = ANY($1)");
        let (tasks, keys, calls, artifacts) = tokio::try_join!(
            client.prepare(&tasks),
            client.prepare(
                "SELECT idempotency_key, task_id FROM events WHERE idempotency_key = ANY($1)"
            ),
            client.prepare(&calls),
            client.prepare("SELECT artifact_id FROM artifacts WHERE artifact_id = ANY($1)"),
        )?;
        Ok(Self {
            tasks,
            keys,
            calls,
            artifacts,
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
        let of_tasks: [&(dyn ToSql + Sync); 2] = [&tasks, &gateway_id];
        // In the order of the arguments: each sends its statement when it is first polled.
        let ((), tasks, keys, calls, artifacts) = tokio::try_join!(
            biased;
            begin(client),
            client.query(&self.tasks, &of_tasks),
            look_up(client, &self.keys, &keys),
            look_up(client, &self.calls, &calls),
            look_up(client, &self.artifacts, &artifacts),
        )?;
        let mut found = Found::default();
        for row in &tasks {
            // A newer version keeps sums that this one knows nothing of.
            schema::refuse_newer(row.try_get("layout")?)?;
            found.alive = row.try_get("alive")?;
            found.transaction = row.try_get("transaction")?;
            found.facts.head = row
                .count("head")
                .map_err(|problem| corrupt("the log", problem.0))?;
            if row.try_get::<_, Option<&str>>("task_id")?.is_some() {
                found.task(row)?;
            }
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
    /// This, and what was found after it while nobody else wrote.
    pub(crate) fn and(mut self, later: Self) -> Self {
        self.pointers.extend(later.pointers);
        self.facts.head = later.facts.head;
        self.facts.learn(later.facts);
        Self {
            facts: self.facts,
            pointers: self.pointers,
            ..later
        }
    }

    fn task(&mut self, row: &Row) -> Result<(), Failure> {
        let task_id: TaskId = parsed(row, 0, "a task")?;
        let damaged = |problem: String| corrupt(format!("task {task_id}"), problem);
        let status: &str = row.try_get("status")?;
        let status: TaskStatus = status
            .parse()
            .map_err(|error| damaged(format!("its status: {error}")))?;
        let chain: Option<&[u8]> = row.try_get("chain")?;
        let chain = chain.and_then(Hash::from_bytes);
        let task = TaskRow {
            status: Some(status),
            kept_status: Some(status),
            last_seq: row
                .count("last_seq")
                .map_err(|problem| damaged(problem.0))?,
            chain: chain.unwrap_or_default(),
            ..TaskRow::default()
        };
        self.pointers
            .insert(task_id.clone(), row.try_get("pointers")?);
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
    let text: &str = row.try_get(column).map_err(|error| wrong_type(&error))?;
    let id = text.parse();
    Ok(id.map_err(|error: T::Err| corrupt(what, error.to_string()))?)
}
