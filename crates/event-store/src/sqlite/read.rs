//! Reading tasks, events and artifacts.

use event_payloads::{ArtifactId, Event, EventId, EventPage, LoggedEvent, TaskId, TaskStatus};
use rusqlite::{Connection, OptionalExtension, params};

use super::costs;
use super::failure::{Failure, corrupt};
use super::row::{self, ARTIFACT_COLUMNS, EVENT_COLUMNS, TASK_COLUMNS, from_sql, to_sql};
use crate::files::{self, ArtifactFiles};
use crate::{Artifact, LogQuery, Orphans, Position, StoreError, Task, TaskQuery};

fn limit(rows: usize) -> i64 {
    to_sql(u64::try_from(rows).unwrap_or(u64::MAX))
}

pub(crate) fn task(conn: &Connection, task_id: &TaskId) -> Result<Option<Task>, Failure> {
    let sql = format!("SELECT {TASK_COLUMNS} FROM tasks WHERE task_id = ?1");
    row::first(conn, &sql, [task_id.as_str()], row::task)
}

pub(crate) fn task_by_key(conn: &Connection, key: &str) -> Result<Option<Task>, Failure> {
    let sql = format!(
        "SELECT {TASK_COLUMNS} FROM tasks
         WHERE task_id = (SELECT task_id FROM events WHERE idempotency_key = ?1)"
    );
    row::first(conn, &sql, [key], row::task)
}

pub(crate) fn tasks(conn: &Connection, query: TaskQuery) -> Result<Vec<Task>, Failure> {
    let filter = query.status.map_or("", |_| "WHERE status = ?2");
    let sql = format!(
        "SELECT {TASK_COLUMNS} FROM tasks {filter} ORDER BY created_at DESC, task_id DESC LIMIT ?1"
    );
    let limit = limit(query.limit);
    match query.status {
        Some(status) => readable(conn, &sql, params![limit, status.as_str()]),
        None => readable(conn, &sql, params![limit]),
    }
}

/// Calls without an end and tasks in no terminal state whose first event stands at or before a position.
pub(crate) fn orphans(conn: &Connection, until: u64) -> Result<Orphans, Failure> {
    let terminal: Vec<String> = TaskStatus::ALL
        .into_iter()
        .filter(|status| status.is_terminal())
        .map(|status| format!("'{status}'"))
        .collect();
    let sql = format!(
        "SELECT {TASK_COLUMNS} FROM tasks WHERE status NOT IN ({})
           AND coalesce((SELECT position FROM events
                         WHERE events.task_id = tasks.task_id ORDER BY task_seq LIMIT 1), 0) <= ?1
         ORDER BY created_at, task_id",
        terminal.join(", ")
    );
    Ok(Orphans {
        tasks: readable(conn, &sql, [to_sql(until)])?,
        calls: costs::orphans(conn, until)?,
    })
}

/// The most events that one page looks at.
const LOOK_AT: i64 = 10_000;

/// A part of the log of all tasks.
pub(crate) fn log(conn: &Connection, query: &LogQuery) -> Result<EventPage, Failure> {
    let sql = format!(
        "SELECT {EVENT_COLUMNS}, position FROM events WHERE position > ?1 ORDER BY position LIMIT ?2"
    );
    let mut page = EventPage {
        next: query.after,
        ..EventPage::default()
    };
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query(params![to_sql(query.after), LOOK_AT])?;
    let mut seen = 0;
    while page.events.len() < query.limit {
        let Some(row) = rows.next()? else {
            page.caught_up = seen < LOOK_AT;
            break;
        };
        seen += 1;
        page.next = from_sql(row.get("position")?);
        if query.wants(&row.get::<_, String>("type")?) {
            page.events.push(LoggedEvent {
                cursor: page.next,
                event: row::event(row)?,
            });
        }
    }
    Ok(page)
}

/// The position of the last event.
pub(crate) fn head(conn: &Connection) -> Result<u64, Failure> {
    let sql = "SELECT coalesce(max(position), 0) FROM events";
    Ok(conn.query_row(sql, [], |row| row.get(0).map(from_sql))?)
}

/// How far a reader of the log has come.
pub(crate) fn cursor(conn: &Connection, reader: &str) -> Result<u64, Failure> {
    let sql = "SELECT position FROM log_cursors WHERE reader = ?1";
    let position: Option<i64> = conn
        .prepare_cached(sql)?
        .query_row([reader], |row| row.get(0))
        .optional()?;
    Ok(position.map_or(0, from_sql))
}

/// The tasks of a list that can be read. One damaged row must not take all others with it; asked
/// for by its name it gives its error.
fn readable(
    conn: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
) -> Result<Vec<Task>, Failure> {
    let rows = row::all(conn, sql, params, |row| Ok(row::task(row)))?;
    let read = rows.into_iter().filter_map(|task| {
        task.inspect_err(|error| tracing::warn!(%error, "task left out of a list"))
            .ok()
    });
    Ok(read.collect())
}

pub(crate) fn events(
    conn: &Connection,
    task_id: &TaskId,
    after_seq: u64,
    rows: usize,
) -> Result<Vec<Event>, Failure> {
    let sql = format!(
        "SELECT {EVENT_COLUMNS} FROM events WHERE task_id = ?1 AND task_seq > ?2
         ORDER BY task_seq LIMIT ?3"
    );
    let params = params![task_id.as_str(), to_sql(after_seq), limit(rows)];
    row::all(conn, &sql, params, row::event)
}

pub(crate) fn position(conn: &Connection, event_id: &EventId) -> Result<Option<Position>, Failure> {
    let sql = "SELECT event_id, task_id, task_seq FROM events WHERE event_id = ?1";
    row::first(conn, sql, [event_id.as_str()], |row| {
        row::named(row, "event", "event_id", |row| {
            Ok(Position {
                task_id: row::parsed(row, "task_id")?,
                task_seq: from_sql(row.get("task_seq")?),
            })
        })
    })
}

pub(crate) fn artifacts(conn: &Connection, task_id: &TaskId) -> Result<Vec<Artifact>, Failure> {
    let sql = format!(
        "SELECT {ARTIFACT_COLUMNS} FROM artifacts WHERE task_id = ?1 ORDER BY ts, artifact_id"
    );
    row::all(conn, &sql, [task_id.as_str()], row::artifact)
}

pub(crate) fn artifact_content(
    conn: &Connection,
    files: &ArtifactFiles,
    artifact_id: &ArtifactId,
) -> Result<Option<Vec<u8>>, Failure> {
    let sql = format!("SELECT {ARTIFACT_COLUMNS} FROM artifacts WHERE artifact_id = ?1");
    let Some(artifact) = row::first(conn, &sql, [artifact_id.as_str()], row::artifact)? else {
        return Ok(None);
    };
    Ok(Some(content_of(&artifact, files)?))
}

fn content_of(artifact: &Artifact, files: &ArtifactFiles) -> Result<Vec<u8>, StoreError> {
    if let Some(reference) = artifact
        .storage_ref
        .as_deref()
        .filter(|text| !text.is_empty())
    {
        return files.read(artifact, reference);
    }
    let texts: Vec<&str> = artifact
        .parts
        .iter()
        .filter_map(|part| part.content.as_deref())
        .collect();
    if texts.is_empty() {
        return Err(corrupt(
            format!("artifact {}", artifact.artifact_id),
            "it has neither a content nor a file",
        ));
    }
    let content = texts.concat().into_bytes();
    files::verify(artifact, &content)?;
    Ok(content)
}
