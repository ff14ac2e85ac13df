//! Rows of the three tables as their types.

use event_payloads::{Causality, Event, EventId, EventType, TaskId, TaskStatus, Timestamp};
use rusqlite::Row;
use serde_json::Value;

use super::failure::{Failure, corrupt};
use crate::{Artifact, StoreError, Task};

pub(crate) const EVENT_COLUMNS: &str = "event_id, task_id, task_seq, ts, type, schema_version, \
     actor, payload, trace_id, span_id, parent_event_id, idempotency_key";
pub(crate) const TASK_COLUMNS: &str = "task_id, created_at, updated_at, status, title, thread_id, \
     scope_id, requester, risk_level, pointers";
pub(crate) const ARTIFACT_COLUMNS: &str = "artifact_id, task_id, ts, name, description, parts, \
     storage_ref, size, hash, version";

/// A count for a column: SQL has 63 bits, and nothing that we count needs more.
pub(crate) fn to_sql(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A count from a column. None of ours is negative.
pub(crate) fn from_sql(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}

/// Reads a column that has a text form.
pub(crate) fn parsed<T>(row: &Row<'_>, column: &str) -> Result<T, Problem>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    let text: String = row.get(column)?;
    text.parse()
        .map_err(|error: T::Err| Problem(format!("its {column}: {error}")))
}

/// What is wrong with a row.
pub(crate) struct Problem(String);

impl From<rusqlite::Error> for Problem {
    fn from(error: rusqlite::Error) -> Self {
        Self(error.to_string())
    }
}

/// Names the row in what went wrong with it.
pub(crate) fn named<T>(
    row: &Row<'_>,
    kind: &str,
    key: &str,
    read: impl FnOnce(&Row<'_>) -> Result<T, Problem>,
) -> Result<T, StoreError> {
    read(row).map_err(|Problem(problem)| {
        let id = row
            .get::<_, String>(key)
            .unwrap_or_else(|_| "without a readable identifier".to_owned());
        let id = event_payloads::first_chars(&id, 128)
            .escape_debug()
            .to_string();
        corrupt(format!("{kind} {id}"), problem)
    })
}

/// A moment. Rows that other programs wrote may separate it by a space or leave the offset out.
pub(crate) fn moment(row: &Row<'_>, column: &str) -> Result<Timestamp, Problem> {
    let text: String = row.get(column)?;
    let with_t = text.replacen(' ', "T", 1);
    [&text, &with_t, &format!("{with_t}+00:00")]
        .into_iter()
        .find_map(|text| text.parse().ok())
        .ok_or_else(|| {
            let shown = event_payloads::first_chars(&text, 40).escape_debug();
            Problem(format!("its {column} `{shown}` is no time"))
        })
}

pub(crate) fn event(row: &Row<'_>) -> Result<Event, StoreError> {
    named(row, "event", "event_id", |row| {
        let payload: String = row.get("payload")?;
        let parent: Option<String> = row.get("parent_event_id")?;
        Ok(Event {
            event_id: parsed(row, "event_id")?,
            task_id: parsed(row, "task_id")?,
            task_seq: from_sql(row.get("task_seq")?),
            ts: moment(row, "ts")?,
            event_type: EventType::from(row.get::<_, String>("type")?),
            schema_version: row.get("schema_version")?,
            actor: row.get::<_, String>("actor")?.into(),
            // What is no JSON is handed on as the text that it is: the event did happen.
            payload: serde_json::from_str(&payload).unwrap_or(Value::String(payload)),
            trace_id: row.get("trace_id")?,
            span_id: row.get("span_id")?,
            causality: Causality {
                // A parent that is no identifier names nothing.
                parent_event_id: parent.and_then(|id| id.parse::<EventId>().ok()),
                idempotency_key: row.get("idempotency_key")?,
            },
        })
    })
}

pub(crate) fn task(row: &Row<'_>) -> Result<Task, StoreError> {
    named(row, "task", "task_id", |row| {
        Ok(Task {
            task_id: parsed::<TaskId>(row, "task_id")?,
            created_at: moment(row, "created_at")?,
            updated_at: moment(row, "updated_at")?,
            status: parsed::<TaskStatus>(row, "status")?,
            title: row.get("title")?,
            thread_id: row.get("thread_id")?,
            scope_id: row.get("scope_id")?,
            requester: json(row, "requester")?,
            risk_level: row.get("risk_level")?,
            pointers: json(row, "pointers")?,
        })
    })
}

pub(crate) fn artifact(row: &Row<'_>) -> Result<Artifact, StoreError> {
    named(row, "artifact", "artifact_id", |row| {
        Ok(Artifact {
            artifact_id: parsed(row, "artifact_id")?,
            task_id: parsed(row, "task_id")?,
            ts: moment(row, "ts")?,
            name: row.get("name")?,
            description: row.get("description")?,
            parts: json(row, "parts")?,
            storage_ref: row.get("storage_ref")?,
            size: from_sql(row.get("size")?),
            hash: row.get("hash")?,
            version: row.get("version")?,
        })
    })
}

fn json<T: serde::de::DeserializeOwned>(row: &Row<'_>, column: &str) -> Result<T, Problem> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text).map_err(|error| Problem(format!("its {column}: {error}")))
}

/// All rows of a query.
pub(crate) fn all<T>(
    conn: &rusqlite::Connection,
    sql: &str,
    params: impl rusqlite::Params,
    read: impl Fn(&Row<'_>) -> Result<T, StoreError>,
) -> Result<Vec<T>, Failure> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(row)?);
    }
    Ok(found)
}

/// The first row of a query, if there is one.
pub(crate) fn first<T>(
    conn: &rusqlite::Connection,
    sql: &str,
    params: impl rusqlite::Params,
    read: impl Fn(&Row<'_>) -> Result<T, StoreError>,
) -> Result<Option<T>, Failure> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    Ok(rows.next()?.map(read).transpose()?)
}
