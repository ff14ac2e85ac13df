//! Reading tasks, events and artifacts.

use event_payloads::{ArtifactId, Event, EventId, EventPage, LoggedEvent, TaskId};
use rusqlite::{Connection, OptionalExtension, params};

use super::failure::Failure;
use super::row::InOrder;
use super::{row, schema};
use crate::files::{self, ArtifactFiles};
use crate::rows::{self, corrupt, from_sql, to_sql};
use crate::sql::{self, OPEN_COLUMNS, TASK_COLUMNS};
use crate::{
    Artifact, LogQuery, OpenCall, Orphans, Overview, Position, PruneQuery, Pruned, StoreError,
    Task, TaskQuery,
};

fn limit(rows: usize) -> i64 {
    to_sql(u64::try_from(rows).unwrap_or(u64::MAX))
}

pub(crate) fn task(conn: &Connection, task_id: &TaskId) -> Result<Option<Task>, Failure> {
    row::first(conn, &sql::task(), [task_id.as_str()], |row| {
        rows::task(row)
    })
}

/// True if an artifact of a task is on record.
pub(crate) fn has_artifact(
    conn: &Connection,
    task_id: &TaskId,
    artifact_id: &ArtifactId,
) -> Result<bool, Failure> {
    let sql = "SELECT EXISTS (SELECT 1 FROM artifacts WHERE artifact_id = ?1 AND task_id = ?2)";
    let params = [artifact_id.as_str(), task_id.as_str()];
    Ok(conn
        .prepare_cached(sql)?
        .query_row(params, |row| row.get(0))?)
}

pub(crate) fn task_by_key(conn: &Connection, key: &str) -> Result<Option<Task>, Failure> {
    row::first(conn, &sql::task_by_key(), [key], |row| rows::task(row))
}

pub(crate) fn tasks(conn: &Connection, query: TaskQuery) -> Result<Vec<Task>, Failure> {
    let limit = limit(query.limit);
    match query.status {
        Some(status) => {
            let params = params![status.as_str(), limit];
            readable(conn, &sql::tasks_by_status(), params)
        }
        None => readable(conn, &sql::tasks(), [limit]),
    }
}

/// Calls without an end and tasks in no terminal state whose first event stands at or before a position.
pub(crate) fn orphans(conn: &Connection, until: u64) -> Result<Orphans, Failure> {
    let calls = format!(
        "SELECT {OPEN_COLUMNS} FROM model_calls WHERE status = 'started'
           AND coalesce((SELECT position FROM events WHERE event_id = call_id), 0) <= ?1
         ORDER BY started_at, call_id"
    );
    Ok(Orphans {
        tasks: readable(conn, &orphaned_tasks(), [to_sql(until)])?,
        calls: rows::readable(row::all(conn, &calls, [to_sql(until)], |row| {
            Ok(rows::open_call(row))
        })?),
    })
}

fn orphaned_tasks() -> String {
    format!(
        "SELECT {TASK_COLUMNS} FROM tasks WHERE status IN ({})
           AND coalesce((SELECT position FROM events
                         WHERE events.task_id = tasks.task_id ORDER BY task_seq LIMIT 1), 0) <= ?1
         ORDER BY created_at, task_id",
        sql::open_states()
    )
}

/// Calls without an end, their tasks, and tasks that never came to a call.
pub(crate) fn unfinished(conn: &Connection) -> Result<Orphans, Failure> {
    let calls = row::all(conn, &sql::unfinished_calls(""), [], |row| {
        Ok(rows::open_call(row))
    })?;
    Ok(Orphans {
        tasks: readable(conn, &sql::unfinished_tasks(""), [])?,
        calls: rows::readable(calls),
    })
}

pub(crate) fn open_calls(conn: &Connection) -> Result<Vec<OpenCall>, Failure> {
    row::all(conn, &sql::open_calls(), [], |row| rows::open_call(row))
}

fn readable(
    conn: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
) -> Result<Vec<Task>, Failure> {
    let tasks = row::all(conn, sql, params, |row| Ok(rows::task(row)))?;
    Ok(rows::readable(tasks))
}

/// The most events that one page of the log looks at.
const LOOK_AT: i64 = 10_000;

/// A part of the log of all tasks.
pub(crate) fn log(conn: &Connection, query: &LogQuery) -> Result<EventPage, Failure> {
    let mut page = EventPage {
        next: query.after,
        ..EventPage::default()
    };
    let mut statement = conn.prepare_cached(&sql::log())?;
    let mut found = statement.query(params![to_sql(query.after), LOOK_AT])?;
    let mut seen = 0;
    while page.events.len() < query.limit {
        let Some(row) = found.next()? else {
            page.caught_up = seen < LOOK_AT;
            break;
        };
        seen += 1;
        page.next = from_sql(row.get("position")?);
        match rows::event(&InOrder::new(row)) {
            Ok(event) if query.wants(event.event_type.as_str()) => {
                page.events.push(LoggedEvent {
                    cursor: page.next,
                    event,
                });
            }
            Ok(_) => {}
            // Nobody can read it; those behind it must not wait for that for ever.
            Err(error) => tracing::error!(%error, "event left out of the log"),
        }
    }
    Ok(page)
}

/// The position of the last event.
pub(crate) fn head(conn: &Connection) -> Result<u64, Failure> {
    let mut statement = conn.prepare_cached(sql::HEAD)?;
    Ok(statement.query_row([], |row| row.get(0).map(from_sql))?)
}

/// What the database holds.
pub(crate) fn overview(conn: &Connection) -> Result<Overview, Failure> {
    let overview = row::first(conn, sql::OVERVIEW, [], |row| rows::overview(row))?;
    let pragma = |name: &str| -> Result<u64, Failure> {
        Ok(conn.query_row(&format!("PRAGMA {name}"), [], |row| {
            row.get(0).map(from_sql)
        })?)
    };
    Ok(Overview {
        layout: schema::layout(conn)?,
        database_bytes: pragma("page_count")?.saturating_mul(pragma("page_size")?),
        ..overview.unwrap_or_default()
    })
}

/// What pruning would remove.
pub(crate) fn prunable(conn: &Connection, query: PruneQuery) -> Result<Pruned, Failure> {
    let params = params![query.before.to_string(), to_sql(query.up_to)];
    let counts = row::first(conn, &sql::prunable(), params, |row| rows::pruned(row))?;
    Ok(counts.unwrap_or_default())
}

/// How far a reader of the log has come.
pub(crate) fn cursor(conn: &Connection, reader: &str) -> Result<u64, Failure> {
    let position: Option<i64> = conn
        .prepare_cached(sql::CURSOR)?
        .query_row([reader], |row| row.get(0))
        .optional()?;
    Ok(position.map_or(0, from_sql))
}

pub(crate) fn events(
    conn: &Connection,
    task_id: &TaskId,
    after_seq: u64,
    rows: usize,
) -> Result<Vec<Event>, Failure> {
    let params = params![task_id.as_str(), to_sql(after_seq), limit(rows)];
    row::all(conn, &sql::events(), params, |row| rows::event(row))
}

pub(crate) fn position(conn: &Connection, event_id: &EventId) -> Result<Option<Position>, Failure> {
    row::first(conn, sql::POSITION, [event_id.as_str()], |row| {
        rows::position(row)
    })
}

pub(crate) fn artifacts(conn: &Connection, task_id: &TaskId) -> Result<Vec<Artifact>, Failure> {
    row::all(conn, &sql::artifacts(), [task_id.as_str()], |row| {
        rows::artifact(row)
    })
}

pub(crate) fn artifact_content(
    conn: &Connection,
    files: &ArtifactFiles,
    artifact_id: &ArtifactId,
) -> Result<Option<Vec<u8>>, Failure> {
    let found = row::first(conn, &sql::artifact(), [artifact_id.as_str()], |row| {
        rows::artifact(row)
    })?;
    let content = found.map(|artifact| content_of(&artifact, files));
    Ok(content.transpose()?)
}

pub(crate) fn content_of(
    artifact: &Artifact,
    files: &ArtifactFiles,
) -> Result<Vec<u8>, StoreError> {
    if let Some(reference) = artifact
        .storage_ref
        .as_deref()
        .filter(|text| !text.is_empty())
    {
        return files.read(artifact, reference);
    }
    let content = artifact.inline_content().ok_or_else(|| {
        corrupt(
            format!("artifact {}", artifact.artifact_id),
            "it has neither a content nor a file",
        )
    })?;
    files::verify(artifact, &content)?;
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::schema;

    fn plan(conn: &Connection, sql: &str) -> String {
        let explain = format!("EXPLAIN QUERY PLAN {sql}");
        let mut plan = conn.prepare(&explain).unwrap();
        let unset = vec![rusqlite::types::Null; plan.parameter_count()];
        let steps = plan.query_map(rusqlite::params_from_iter(unset), |row| row.get(3));
        let steps: Vec<String> = steps.unwrap().collect::<Result<_, _>>().unwrap();
        steps.join("; ")
    }

    #[test]
    fn no_question_about_tasks_sorts_or_reads_all_of_them() {
        let mut conn = Connection::open_in_memory().unwrap();
        schema::migrate(&mut conn, "memory".as_ref()).unwrap();
        for sql in [sql::tasks(), sql::tasks_by_status(), sql::to_prune()] {
            let plan = plan(&conn, &sql);
            assert!(plan.contains("USING INDEX idx_tasks_"), "{sql}: {plan}");
            assert!(!plan.contains("FOR ORDER BY"), "{sql}: {plan}");
        }
        // Those are few, so they may be sorted.
        let open = plan(&conn, &orphaned_tasks());
        assert!(open.contains("USING INDEX idx_tasks_status"), "{open}");
    }
}
