//! Removes the events of tasks that ended long ago.

use event_payloads::{Event, TaskId, Timestamp};
use rusqlite::{Connection, params};

use super::failure::Failure;
use super::write::{self, Tasks};
use super::{read, row};
use crate::books::prune::{Candidate, Pruning, TASKS, TaskKey};
use crate::files::Leaving;
use crate::id::Monotonic;
use crate::rows::{self, to_sql};
use crate::sql::{self, EVENT_COLUMNS, TASK_COLUMNS};
use crate::{Artifact, Clock, PruneQuery, Pruned, Task};

/// A part of the work.
#[derive(Debug, Default)]
pub(crate) struct Part {
    pub(crate) pruned: Pruned,
    /// The tombstones, to be told to followers.
    pub(crate) events: Vec<Event>,
    /// Artifacts that lose their rows.
    pub(crate) artifacts: Vec<Artifact>,
    /// Their files, which go once that is recorded.
    pub(crate) leaving: Vec<Leaving>,
    /// The position of the log's last event.
    pub(crate) head: u64,
}

/// Looks for some tasks after a place that ended so long ago. Only reads: among a million it takes its time.
pub(crate) fn candidates(
    conn: &Connection,
    query: PruneQuery,
    (created_at, task_id): &TaskKey,
) -> Result<Vec<TaskKey>, Failure> {
    let params = params![
        query.before.to_string(),
        created_at,
        task_id,
        to_sql(query.up_to),
        TASKS
    ];
    let mut statement = conn.prepare_cached(&sql::to_prune())?;
    let found = statement.query_map(params, |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// Prunes tasks, unless one has not ended so long ago any more. One of which a row can not be read stays.
pub(crate) fn some(
    conn: &Connection,
    query: PruneQuery,
    tasks: &[TaskKey],
    ids: &mut Monotonic,
    clock: &dyn Clock,
) -> Result<Part, Failure> {
    let mut part = Part {
        head: read::head(conn)?,
        ..Part::default()
    };
    for (_, task_id) in tasks {
        let task = ended(conn, query.before, task_id);
        let done = task.and_then(|task| match task {
            Some(task) => one(conn, query, &task, &mut part, ids, clock),
            None => Ok(()),
        });
        match done {
            Err(Failure::Store(error)) => tracing::warn!(%error, "not pruned"),
            done => done?,
        }
    }
    Ok(part)
}

fn ended(conn: &Connection, before: Timestamp, task_id: &str) -> Result<Option<Task>, Failure> {
    let sql = format!(
        "SELECT {TASK_COLUMNS} FROM tasks WHERE task_id = $1 AND {}",
        sql::ended_before()
    );
    row::first(conn, &sql, [task_id, &before.to_string()], |row| {
        rows::task(row)
    })
}

fn one(
    conn: &Connection,
    query: PruneQuery,
    task: &Task,
    part: &mut Part,
    ids: &mut Monotonic,
    clock: &dyn Clock,
) -> Result<(), Failure> {
    let task_id = task.task_id.as_str();
    let sql = format!("SELECT {EVENT_COLUMNS} FROM events WHERE task_id = ?1 ORDER BY task_seq");
    let events = row::all(conn, &sql, [task_id], |row| rows::stored_event(row))?;
    let calls = row::all(conn, &sql::calls(), [task_id], |row| rows::call(row))?;
    let artifacts = read::artifacts(conn, &task.task_id)?;
    let candidate = Candidate {
        task_id: &task.task_id,
        status: task.status,
        events: &events,
        calls: &calls,
        artifacts: count(artifacts.len()),
    };
    let Some(pruning) = candidate.prune(query, part.head + 1, ids, clock)? else {
        return Ok(());
    };
    part.head += 1;
    part.pruned.add(Pruned {
        tasks: 1,
        events: rows::from_sql(pruning.last_seq - pruning.first_seq + 1),
        calls: count(calls.len()),
        artifacts: count(artifacts.len()),
    });
    part.artifacts.extend(artifacts);
    part.events.push(remove(conn, &task.task_id, pruning)?);
    Ok(())
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

fn remove(conn: &Connection, task_id: &TaskId, pruning: Pruning) -> Result<Event, Failure> {
    let id = task_id.as_str();
    conn.prepare_cached("DELETE FROM model_calls WHERE task_id = ?1")?
        .execute([id])?;
    conn.prepare_cached("DELETE FROM artifacts WHERE task_id = ?1")?
        .execute([id])?;
    conn.prepare_cached("DELETE FROM events WHERE task_id = ?1 AND task_seq BETWEEN ?2 AND ?3")?
        .execute(params![id, pruning.first_seq, pruning.last_seq])?;
    write::events(conn, [pruning.stamp.row(task_id, &pruning.tombstone)])?;
    Tasks::prepare(conn)?.write(task_id, &pruning.task)?;
    Ok(pruning
        .stamp
        .event(task_id.clone(), pruning.tombstone.into_body()))
}
