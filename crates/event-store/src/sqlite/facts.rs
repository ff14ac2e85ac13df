//! Looks up what a group of commits needs to know.

use event_payloads::{EventId, TaskId, TaskStatus};
use rusqlite::{Connection, OptionalExtension};

use super::failure::Failure;
use super::{read, row};
use crate::books::chain::Hash;
use crate::books::facts::{Facts, Needs};
use crate::books::task::TaskRow;
use crate::rows::{self, corrupt, from_sql};
use crate::sql;

/// What is known from one group of commits to the next.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) facts: Facts,
    pub(crate) version: i64,
}

impl Known {
    /// What is known when a transaction has begun: all that was, unless another program has written since. None
    /// should, but one that does not know of our lock can.
    pub(crate) fn begin(conn: &Connection, known: Option<Self>) -> Result<Self, Failure> {
        // Another one as soon as another connection has committed something:
        // https://www.sqlite.org/pragma.html#pragma_data_version
        let version = conn
            .prepare_cached("PRAGMA data_version")?
            .query_row([], |row| row.get(0))?;
        match known {
            Some(known) if known.version == version => Ok(known),
            _ => Ok(Self {
                facts: Facts::of(read::head(conn)?),
                version,
            }),
        }
    }
}

pub(crate) fn look_up(conn: &Connection, needs: &Needs) -> Result<Facts, Failure> {
    let mut facts = Facts::default();
    for task_id in &needs.tasks {
        if let Some(task) = task(conn, task_id)? {
            facts.tasks.insert(task_id.clone(), task);
        }
    }
    for key in &needs.keys {
        if let Some(owner) = owner(conn, key)? {
            facts.keys.insert(key.clone(), owner);
        }
    }
    for call_id in &needs.calls {
        if let Some(call) = call(conn, call_id)? {
            facts.calls.insert(call_id.clone(), call);
        }
    }
    for artifact_id in &needs.artifacts {
        let mut statement =
            conn.prepare_cached("SELECT 1 FROM artifacts WHERE artifact_id = ?1")?;
        if statement.exists([artifact_id.as_str()])? {
            facts.artifacts.insert(artifact_id.clone());
        }
    }
    Ok(facts)
}

fn task(conn: &Connection, task_id: &TaskId) -> Result<Option<TaskRow>, Failure> {
    let row: Option<(String, i64, Option<Vec<u8>>)> = conn
        .prepare_cached("SELECT status, last_seq, chain FROM tasks WHERE task_id = ?1")?
        .query_row([task_id.as_str()], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .optional()?;
    let Some((status, last_seq, chain)) = row else {
        return Ok(None);
    };
    let status: TaskStatus = status
        .parse()
        .map_err(|error| corrupt(format!("task {task_id}"), format!("its status: {error}")))?;
    let chain = chain.and_then(|bytes| Hash::from_bytes(&bytes));
    Ok(Some(TaskRow {
        status: Some(status),
        kept_status: Some(status),
        last_seq: from_sql(last_seq),
        chain: chain.unwrap_or_default(),
        ..TaskRow::default()
    }))
}

fn owner(conn: &Connection, key: &str) -> Result<Option<TaskId>, Failure> {
    let owner: Option<String> = conn
        .prepare_cached("SELECT task_id FROM events WHERE idempotency_key = ?1")?
        .query_row([key], |row| row.get(0))
        .optional()?;
    let owner = owner.map(|owner| {
        owner
            .parse()
            .map_err(|error| corrupt(format!("the event with key `{key}`"), format!("{error}")))
    });
    Ok(owner.transpose()?)
}

fn call(
    conn: &Connection,
    call_id: &EventId,
) -> Result<Option<crate::books::call::CallRow>, Failure> {
    row::first(conn, &sql::call(), [call_id.as_str()], |row| {
        rows::call(row)
    })
}
