//! Removes the events of tasks that ended long ago.

use event_payloads::{Event, TaskId, Timestamp};
use rusqlite::{Connection, params};

use super::failure::Failure;
use super::write::{self, Tasks};
use super::{read, row};
use crate::books::prune::{Candidate, Pruning};
use crate::files::Leaving;
use crate::id::Monotonic;
use crate::rows::{self, Row as _};
use crate::sql::{self, EVENT_COLUMNS};
use crate::{Artifact, Clock, Pruned, StoreError, Task};

/// How many tasks one transaction looks at: some milliseconds, in which no commit is recorded.
const TASKS: usize = 25;

/// Where the next part of the work goes on: after the task that was created then.
pub(crate) type Place = (String, String);

/// A task with its place, if its row can be read.
type Found = (Place, Result<Task, StoreError>);

/// A part of the work.
#[derive(Debug, Default)]
pub(crate) struct Part {
    pub(crate) pruned: Pruned,
    /// `None` if there is no more.
    pub(crate) next: Option<Place>,
    /// The tombstones, to be told to followers.
    pub(crate) events: Vec<Event>,
    /// Artifacts that lose their rows.
    pub(crate) artifacts: Vec<Artifact>,
    /// Their files, which go once that is recorded.
    pub(crate) leaving: Vec<Leaving>,
    /// The position of the log's last event.
    pub(crate) head: u64,
}

/// Looks at some tasks after a place, and prunes those that ended before a moment. One of which a row can not
/// be read stays.
pub(crate) fn some(
    conn: &Connection,
    before: Timestamp,
    after: &Place,
    ids: &mut Monotonic,
    clock: &dyn Clock,
) -> Result<Part, Failure> {
    let mut part = Part {
        head: read::head(conn)?,
        ..Part::default()
    };
    let tasks = candidates(conn, before, after)?;
    if tasks.len() == TASKS {
        part.next = tasks.last().map(|(place, _)| place.clone());
    }
    for (_, task) in tasks {
        let done = task
            .map_err(Failure::from)
            .and_then(|task| one(conn, before, &task, &mut part, ids, clock));
        match done {
            Err(Failure::Store(error)) => tracing::warn!(%error, "not pruned"),
            done => done?,
        }
    }
    Ok(part)
}

/// Tasks that ended before a moment, by their creation.
fn candidates(
    conn: &Connection,
    before: Timestamp,
    (created_at, task_id): &Place,
) -> Result<Vec<Found>, Failure> {
    let limit = i64::try_from(TASKS).unwrap_or(i64::MAX);
    let params = params![before.to_string(), created_at, task_id, limit];
    row::all(conn, &ended(), params, |row| {
        let place = (
            row.text("created_at").unwrap_or_default(),
            row.text("task_id").unwrap_or_default(),
        );
        Ok((place, rows::task(row)))
    })
}

/// Takes a moment, a place and the number of rows. The plus keeps SQLite from looking them up by their status:
/// it would sort nearly all tasks for each part of the work.
fn ended() -> String {
    format!(
        "SELECT {} FROM tasks
         WHERE created_at < ?1 AND updated_at < ?1 AND +status IN ({})
           AND (created_at, task_id) > (?2, ?3)
         ORDER BY created_at, task_id LIMIT ?4",
        sql::TASK_COLUMNS,
        sql::states(true)
    )
}

fn one(
    conn: &Connection,
    before: Timestamp,
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
    let Some(pruning) = candidate.prune(before, part.head + 1, ids, clock)? else {
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
    Ok(pruning.stamp.event(task_id.clone(), pruning.tombstone.body))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::schema;

    #[test]
    fn neither_a_part_of_the_work_nor_a_list_sorts_all_tasks() {
        let mut conn = Connection::open_in_memory().unwrap();
        schema::migrate(&mut conn, "memory".as_ref()).unwrap();
        for sql in [ended(), sql::tasks(), sql::tasks_by_status()] {
            let explain = format!("EXPLAIN QUERY PLAN {sql}");
            let mut plan = conn.prepare(&explain).unwrap();
            let unset = vec![rusqlite::types::Null; plan.parameter_count()];
            let steps = plan.query_map(rusqlite::params_from_iter(unset), |row| row.get(3));
            let steps: Vec<String> = steps.unwrap().collect::<Result<_, _>>().unwrap();
            let plan = steps.join("; ");
            assert!(plan.contains("USING INDEX idx_tasks_"), "{sql}: {plan}");
            assert!(!plan.contains("FOR ORDER BY"), "{sql}: {plan}");
        }
    }
}
