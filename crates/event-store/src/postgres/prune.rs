//! Removes the events of tasks that ended long ago.

use std::collections::HashMap;

use event_payloads::{Event, TaskId, Timestamp};
use tokio_postgres::Transaction;

use super::facts::LOCK;
use super::failure::Failure;
use super::feed::tell;
use super::pipeline;
use super::records::head;
use super::repair::Repairer;
use super::statements::{ANY, Writing};
use super::write;
use crate::books::call::CallRow;
use crate::books::chain::StoredEvent;
use crate::books::prune::{Candidate, Pruning};
use crate::id::Monotonic;
use crate::rows::{self, Row as _};
use crate::sql::{self, CALL_COLUMNS, EVENT_COLUMNS};
use crate::{Clock, Pruned, Task};

/// How many tasks one transaction looks at: some milliseconds, in which no commit is recorded.
const TASKS: i64 = 25;

/// Where the next part of the work goes on: after the task that was created then.
pub(crate) type Place = (String, String);

/// What was done in one transaction.
#[derive(Debug, Default)]
pub(crate) struct Part {
    pub(crate) pruned: Pruned,
    /// `None` if there is no more.
    pub(crate) next: Option<Place>,
    /// The tombstones, to be told to followers.
    pub(crate) events: Vec<Event>,
    /// The position of the log's last event.
    pub(crate) head: u64,
}

/// Looks at some tasks after a place, and prunes those that ended before a moment.
pub(crate) async fn some(
    repairer: &mut Repairer,
    gateway_id: &str,
    before: Timestamp,
    after: &Place,
    clock: &dyn Clock,
) -> Result<Part, Failure> {
    let tx = repairer.conn.client.transaction().await?;
    tx.batch_execute(LOCK).await?;
    let from = head(&tx).await?;
    let (mut part, tasks) = candidates(&tx, before, after).await?;
    part.head = from;
    let prunings = plan(&tx, before, &tasks, &mut part, clock).await?;
    remove(&tx, &repairer.writing, &prunings).await?;
    tx.batch_execute(&tell(gateway_id, from, part.head)).await?;
    tx.commit().await?;
    part.events = prunings
        .into_iter()
        .map(|(task_id, each)| each.stamp.event(task_id, each.tombstone.body))
        .collect();
    Ok(part)
}

/// Tasks that ended before a moment, by their creation. A row that can not be read stays. What is added to the status
/// keeps the server from looking them up by it: it would sort nearly all tasks for each part of the work.
async fn candidates(
    tx: &Transaction<'_>,
    before: Timestamp,
    (created_at, task_id): &Place,
) -> Result<(Part, Vec<Task>), Failure> {
    let sql = format!(
        "SELECT {} FROM tasks
         WHERE created_at < $1 AND updated_at < $1 AND (status || '') IN ({})
           AND (created_at, task_id) > ($2, $3)
         ORDER BY created_at, task_id LIMIT {TASKS}",
        sql::TASK_COLUMNS,
        sql::states(true)
    );
    let before = before.to_string();
    let found = tx.query(&sql, &[&before, created_at, task_id]).await?;
    let mut part = Part::default();
    if found.len() == usize::try_from(TASKS).unwrap_or(usize::MAX) {
        part.next = found.last().map(|row| {
            let text = |column| row.text(column).unwrap_or_default();
            (text("created_at"), text("task_id"))
        });
    }
    let tasks = found
        .iter()
        .filter_map(|row| rows::task(row).ok())
        .collect();
    Ok((part, tasks))
}

/// What is to be done with each task.
async fn plan(
    tx: &Transaction<'_>,
    before: Timestamp,
    tasks: &[Task],
    part: &mut Part,
    clock: &dyn Clock,
) -> Result<Vec<(TaskId, Pruning)>, Failure> {
    let ids: Vec<&str> = tasks.iter().map(|task| task.task_id.as_str()).collect();
    let mut events = events(tx, &ids).await?;
    let mut calls = calls(tx, &ids).await?;
    let artifacts = artifacts(tx, &ids).await?;
    // The others' identifiers are not known here: they need not sort after one another.
    let mut ulids = Monotonic::default();
    let mut prunings = Vec::new();
    for task in tasks {
        let id = task.task_id.as_str();
        let events = events.remove(id).unwrap_or_default();
        let calls = calls.remove(id).unwrap_or_default();
        let artifacts = artifacts.get(id).copied().unwrap_or_default();
        let candidate = Candidate {
            task_id: &task.task_id,
            status: task.status,
            events: &events,
            calls: &calls,
            artifacts,
        };
        let Some(pruning) = candidate.prune(before, part.head + 1, &mut ulids, clock)? else {
            continue;
        };
        part.head += 1;
        part.pruned.add(Pruned {
            tasks: 1,
            events: rows::from_sql(pruning.last_seq - pruning.first_seq + 1),
            calls: u64::try_from(calls.len()).unwrap_or(u64::MAX),
            artifacts,
        });
        prunings.push((task.task_id.clone(), pruning));
    }
    Ok(prunings)
}

async fn events(
    tx: &Transaction<'_>,
    ids: &[&str],
) -> Result<HashMap<String, Vec<StoredEvent>>, Failure> {
    let sql = format!(
        "SELECT {EVENT_COLUMNS} FROM events WHERE task_id = ANY($1) ORDER BY task_id, task_seq"
    );
    let mut all: HashMap<String, Vec<StoredEvent>> = HashMap::new();
    for row in tx.query(&sql, &[&ids]).await? {
        let event = rows::stored_event(&row)?;
        all.entry(event.task_id.clone()).or_default().push(event);
    }
    Ok(all)
}

async fn calls(
    tx: &Transaction<'_>,
    ids: &[&str],
) -> Result<HashMap<String, Vec<CallRow>>, Failure> {
    let sql = format!(
        "SELECT {CALL_COLUMNS} FROM model_calls WHERE task_id = ANY($1) ORDER BY task_id, task_seq"
    );
    let mut all: HashMap<String, Vec<CallRow>> = HashMap::new();
    for row in tx.query(&sql, &[&ids]).await? {
        let call = rows::call(&row)?;
        all.entry(call.call.task_id.to_string())
            .or_default()
            .push(call);
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
    if prunings.is_empty() {
        return Ok(());
    }
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
    let tasks: Vec<_> = prunings.iter().map(|(id, each)| (id, &each.task)).collect();
    let events = || write::events(&tombstones);
    let tasks = || write::tasks(&tasks, &pointers);
    let steps = vec![
        write::step(tx.client(), &writing.events, ANY, events),
        write::step(tx.client(), &writing.tasks, ANY, tasks),
    ];
    let written = pipeline::run(steps).await;
    written.map_err(|broken| Failure::from(broken.error))?;
    Ok(())
}
