//! `tasks`: how events become rows of it.

use event_payloads::{EventId, TaskCreated, TaskId, TaskStatus, Timestamp};
use rusqlite::{Connection, OptionalExtension, params};

use super::failure::{Failure, corrupt};
use super::row::from_sql;
use crate::{Requester, StoreError};

/// Where a task stands, as far as a commit needs to know.
#[derive(Debug)]
pub(crate) struct Standing {
    /// `None` if there is no such task.
    pub(crate) status: Option<TaskStatus>,
    /// The position of its last event.
    pub(crate) last_seq: u64,
}

impl Standing {
    pub(crate) fn load(conn: &Connection, task_id: &TaskId) -> Result<Self, Failure> {
        let row: Option<(String, i64)> = conn
            .prepare_cached(
                "SELECT status, (SELECT coalesce(max(task_seq), 0) FROM events WHERE task_id = ?1)
                 FROM tasks WHERE task_id = ?1",
            )?
            .query_row([task_id.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((status, last_seq)) = row else {
            return Ok(Self {
                status: None,
                last_seq: 0,
            });
        };
        let status = status
            .parse()
            .map_err(|error| corrupt(format!("task {task_id}"), format!("its status: {error}")))?;
        Ok(Self {
            status: Some(status),
            last_seq: from_sql(last_seq),
        })
    }
}

/// A task exists from now on; in a rebuild, its row comes to say what its first event says.
pub(crate) fn create(
    conn: &Connection,
    task_id: &TaskId,
    ts: Timestamp,
    created: &TaskCreated,
) -> Result<(), Failure> {
    let requester = Requester {
        channel: created.channel.clone(),
        sender_id: created.sender_id.clone(),
    };
    conn.prepare_cached(
        "INSERT INTO tasks (task_id, created_at, updated_at, title, thread_id, scope_id, requester,
                            risk_level)
         VALUES (?1, ?2, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (task_id) DO UPDATE SET
             created_at = excluded.created_at, title = excluded.title,
             thread_id = excluded.thread_id, scope_id = excluded.scope_id,
             requester = excluded.requester, risk_level = excluded.risk_level",
    )?
    .execute(params![
        task_id.as_str(),
        ts.to_string(),
        created.title,
        created.thread_id,
        created.scope_id,
        to_json(&requester)?,
        created.risk_level,
    ])?;
    Ok(())
}

/// The row of a task whose first event is missing or can not be read: what is there stays.
pub(crate) fn ensure(conn: &Connection, task_id: &TaskId, ts: Timestamp) -> Result<(), Failure> {
    conn.prepare_cached(
        "INSERT INTO tasks (task_id, created_at, updated_at) VALUES (?1, ?2, ?2)
         ON CONFLICT (task_id) DO NOTHING",
    )?
    .execute([task_id.as_str(), &ts.to_string()])?;
    Ok(())
}

/// The task has a new latest event.
pub(crate) fn touch(
    conn: &Connection,
    task_id: &TaskId,
    ts: Timestamp,
    latest: &EventId,
) -> Result<(), Failure> {
    conn.prepare_cached(
        "UPDATE tasks SET
             updated_at = ?2,
             pointers = json_set(CASE WHEN json_valid(pointers) THEN pointers ELSE '{}' END,
                                 '$.latest_event_id', ?3)
         WHERE task_id = ?1",
    )?
    .execute([task_id.as_str(), &ts.to_string(), latest.as_str()])?;
    Ok(())
}

/// The task stands somewhere else. A statement of its own, because naming the column alone makes
/// SQLite write its index anew.
pub(crate) fn set_status(
    conn: &Connection,
    task_id: &TaskId,
    status: TaskStatus,
) -> Result<(), Failure> {
    conn.prepare_cached("UPDATE tasks SET status = ?2 WHERE task_id = ?1")?
        .execute([task_id.as_str(), status.as_str()])?;
    Ok(())
}

/// Our own structures as JSON: each has a JSON form.
pub(crate) fn to_json<T: serde::Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Database {
        source: std::sync::Arc::new(error),
    })
}
