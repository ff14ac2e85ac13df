//! Removes the events of tasks that ended long ago.

use std::collections::HashMap;
use std::time::Duration;

use event_payloads::{Event, TaskId, Timestamp};
use tokio_postgres::{Row, Transaction};

use super::connect::{Conn, Connector};
use super::facts::LOCK;
use super::failure::Failure;
use super::feed::tell;
use super::pipeline;
use super::pool::Params;
use super::records::head;
use super::repair::Repairer;
use super::statements::{ANY, Writing};
use super::write;
use crate::books::prune::{Candidate, Pruning, TASKS, TaskKey};
use crate::id::Monotonic;
use crate::rows::{self, Row as _, to_sql};
use crate::sql::{self, CALL_COLUMNS, EVENT_COLUMNS, TASK_COLUMNS};
use crate::{Clock, PruneQuery, Pruned, StoreError, Task};

/// The longest that one transaction may take.
const LIMIT: Duration = Duration::from_secs(600);

/// A connection to prune with. The server gives up when we do.
pub(crate) async fn open(connector: &Connector) -> Result<Repairer, Failure> {
    let repairer = Repairer::open(connector).await?;
    let limit = format!("SET statement_timeout = {}", LIMIT.as_millis());
    let set = async { Ok(repairer.conn.client.batch_execute(&limit).await?) };
    Conn::within(connector.answer_limit(), set).await?;
    Ok(repairer)
}

/// What was done in one transaction.
#[derive(Debug, Default)]
pub(crate) struct Part {
    pub(crate) pruned: Pruned,
    /// The tombstones, to be told to followers.
    pub(crate) events: Vec<Event>,
    /// The position of the log's last event.
    pub(crate) head: u64,
}

/// Looks for some tasks after a place that ended so long ago. Only reads, and holds no lock: among a million it takes
/// its time. Not on a reader's connection, which may sort all tasks for it.
pub(crate) async fn candidates(
    conn: &Conn,
    query: PruneQuery,
    (created_at, task_id): &TaskKey,
) -> Result<Vec<TaskKey>, Failure> {
    let (before, up_to) = (query.before.to_string(), to_sql(query.up_to));
    let place: Params<'_> = &[&before, created_at, task_id, &up_to, &TASKS];
    let sql = sql::to_prune();
    let found = async { Ok(conn.client.query(&sql, place).await?) };
    let found = Conn::within(LIMIT, Box::pin(found)).await?;
    let text = |row: &Row, column| row.text(column).unwrap_or_default();
    let places = found.iter();
    Ok(places
        .map(|row| (text(row, "created_at"), text(row, "task_id")))
        .collect())
}

/// Prunes tasks, unless one has not ended so long ago any more. One of which a row can not be read stays.
pub(crate) async fn some(
    repairer: &mut Repairer,
    gateway_id: &str,
    query: PruneQuery,
    tasks: &[TaskKey],
    clock: &dyn Clock,
) -> Result<Part, Failure> {
    let part = async {
        let tx = repairer.conn.client.transaction().await?;
        tx.batch_execute(LOCK).await?;
        let from = head(&tx).await?;
        let tasks = ended(&tx, query.before, tasks).await?;
        let mut part = Part {
            head: from,
            ..Part::default()
        };
        let prunings = plan(&tx, query, &tasks, &mut part, clock).await?;
        if prunings.is_empty() {
            return Ok(part);
        }
        remove(&tx, &repairer.writing, &prunings).await?;
        tx.batch_execute(&tell(gateway_id, from, part.head)).await?;
        tx.commit().await?;
        part.events = prunings
            .into_iter()
            .map(|(task_id, each)| each.stamp.event(task_id, each.tombstone.into_body()))
            .collect();
        Ok(part)
    };
    Conn::within(LIMIT, Box::pin(part)).await
}

/// Those of some tasks that ended so long ago, in their order.
async fn ended(
    tx: &Transaction<'_>,
    before: Timestamp,
    tasks: &[TaskKey],
) -> Result<Vec<Task>, Failure> {
    let ids: Vec<&str> = tasks.iter().map(|(_, task_id)| task_id.as_str()).collect();
    let sql = format!(
        "SELECT {TASK_COLUMNS} FROM tasks WHERE task_id = ANY($1) AND {}
         ORDER BY created_at, task_id",
        sql::ended_before()
    );
    let found = tx.query(&sql, &[&ids, &before.to_string()]).await?;
    Ok(rows::readable(found.iter().map(rows::task).collect()))
}

/// What is to be done with each task.
async fn plan(
    tx: &Transaction<'_>,
    query: PruneQuery,
    tasks: &[Task],
    part: &mut Part,
    clock: &dyn Clock,
) -> Result<Vec<(TaskId, Pruning)>, Failure> {
    let ids: Vec<&str> = tasks.iter().map(|task| task.task_id.as_str()).collect();
    let events = of_tasks(tx, "events", EVENT_COLUMNS, &ids).await?;
    let calls = of_tasks(tx, "model_calls", CALL_COLUMNS, &ids).await?;
    let artifacts = artifacts(tx, &ids).await?;
    // The others' identifiers are not known here: they need not sort after one another.
    let mut ulids = Monotonic::default();
    let mut prunings = Vec::new();
    for task in tasks {
        let id = task.task_id.as_str();
        let (events, calls) = (events.get(id), calls.get(id));
        let all = || -> Result<_, StoreError> {
            let events = events.into_iter().flatten().map(rows::stored_event);
            let calls = calls.into_iter().flatten().map(rows::call);
            Ok((
                events.collect::<Result<Vec<_>, _>>()?,
                calls.collect::<Result<Vec<_>, _>>()?,
            ))
        };
        let artifacts = artifacts.get(id).copied().unwrap_or_default();
        let pruning = all().and_then(|(events, calls)| {
            let candidate = Candidate {
                task_id: &task.task_id,
                status: task.status,
                events: &events,
                calls: &calls,
                artifacts,
            };
            candidate.prune(query, part.head + 1, &mut ulids, clock)
        });
        let pruning = match pruning {
            Ok(Some(pruning)) => pruning,
            Ok(None) => continue,
            Err(error) => {
                tracing::warn!(%error, "not pruned");
                continue;
            }
        };
        part.head += 1;
        part.pruned.add(Pruned {
            tasks: 1,
            events: rows::from_sql(pruning.last_seq - pruning.first_seq + 1),
            calls: u64::try_from(calls.map_or(0, Vec::len)).unwrap_or(u64::MAX),
            artifacts,
        });
        prunings.push((task.task_id.clone(), pruning));
    }
    Ok(prunings)
}

/// The rows of some tasks in a table, in the order of each task.
async fn of_tasks(
    tx: &Transaction<'_>,
    table: &str,
    columns: &str,
    ids: &[&str],
) -> Result<HashMap<String, Vec<Row>>, Failure> {
    let sql =
        format!("SELECT {columns} FROM {table} WHERE task_id = ANY($1) ORDER BY task_id, task_seq");
    let mut all: HashMap<String, Vec<Row>> = HashMap::new();
    for row in tx.query(&sql, &[&ids]).await? {
        let task_id = row.try_get("task_id")?;
        all.entry(task_id).or_default().push(row);
    }
    Ok(all)
}

async fn artifacts(tx: &Transaction<'_>, ids: &[&str]) -> Result<HashMap<String, u64>, Failure> {
    let sql = "SELECT task_id, count(*) AS artifacts FROM artifacts WHERE task_id = ANY($1)
               GROUP BY task_id";
    let mut all = HashMap::new();
    for row in tx.query(sql, &[&ids]).await? {
        all.insert(row.try_get(0)?, row.count("artifacts").unwrap_or_default());
    }
    Ok(all)
}

/// Removes what is to go, and puts the tombstones in its place.
async fn remove(
    tx: &Transaction<'_>,
    writing: &Writing,
    prunings: &[(TaskId, Pruning)],
) -> Result<(), Failure> {
    let ids: Vec<&str> = prunings.iter().map(|(id, _)| id.as_str()).collect();
    let first: Vec<i64> = prunings.iter().map(|(_, each)| each.first_seq).collect();
    let last: Vec<i64> = prunings.iter().map(|(_, each)| each.last_seq).collect();
    let contents = "DELETE FROM artifact_contents WHERE artifact_id IN
                        (SELECT artifact_id FROM artifacts WHERE task_id = ANY($1))";
    for sql in [
        contents,
        "DELETE FROM artifacts WHERE task_id = ANY($1)",
        "DELETE FROM model_calls WHERE task_id = ANY($1)",
    ] {
        tx.execute(sql, &[&ids]).await?;
    }
    let sql = "DELETE FROM events
               USING unnest($1::text[], $2::int8[], $3::int8[]) AS gone(task_id, first, last)
               WHERE events.task_id = gone.task_id AND task_seq BETWEEN first AND last";
    tx.execute(sql, &[&ids, &first, &last]).await?;
    let tombstones: Vec<_> = prunings
        .iter()
        .map(|(id, each)| each.stamp.row(id, &each.tombstone))
        .collect();
    let rows = tx
        .query(
            "SELECT task_id, pointers FROM tasks WHERE task_id = ANY($1)",
            &[&ids],
        )
        .await?;
    let pointers = rows.iter().filter_map(|row| {
        let task_id = row.try_get::<_, &str>(0).ok()?.parse().ok()?;
        Some((task_id, row.try_get(1).ok()?))
    });
    let pointers: HashMap<TaskId, String> = pointers.collect();
    let tasks = prunings
        .iter()
        .map(|(id, each)| write::Task::new(id, &each.task, pointers.get(id)));
    let tasks: Vec<_> = tasks.collect();
    let tasks = || write::tasks(&tasks);
    let steps = vec![
        write::event_step(tx.client(), writing, ANY, &tombstones, None),
        write::step(tx.client(), &writing.tasks, ANY, tasks),
    ];
    let written = pipeline::run(steps).await;
    written.map_err(|broken| Failure::from(broken.error))?;
    Ok(())
}
