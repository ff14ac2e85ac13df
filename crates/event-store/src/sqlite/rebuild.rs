//! The projections, computed anew from the events.

use rusqlite::Connection;

use super::failure::Failure;
use super::row::InOrder;
use super::write::{self, Tasks};
use crate::books::chain::StoredEvent;
use crate::books::recount::{Recount, Recounted};
use crate::books::sums::Changes;
use crate::books::task::TaskRow;
use crate::rows;
use crate::sql::EVENT_COLUMNS;
use crate::{Rebuilt, StoreError};

/// Computes `model_calls` and the sums anew, and where each task's chain ends.
pub(crate) fn calls(conn: &Connection) -> Result<Rebuilt, Failure> {
    rebuild(conn, |task| TaskRow {
        status: None,
        created: None,
        ..task.clone()
    })
}

/// Computes `model_calls`, the sums and `tasks` anew.
pub(crate) fn everything(conn: &Connection) -> Result<Rebuilt, Failure> {
    rebuild(conn, TaskRow::clone)
}

/// `say` says which part of a task's row is written.
fn rebuild(conn: &Connection, say: impl Fn(&TaskRow) -> TaskRow) -> Result<Rebuilt, Failure> {
    conn.execute("DELETE FROM model_calls", [])?;
    conn.execute("DELETE FROM cost_sums", [])?;
    let mut tasks = Tasks::prepare(conn)?;
    let mut rebuilt = Rebuilt::default();
    let mut shared = Changes::default();
    let mut unreadable = 0;
    let left_out = |error: &StoreError| {
        tracing::warn!(%error, "event left out of the projections");
        unreadable += 1;
    };
    walk(conn, left_out, |done| {
        rebuilt.events += done.events;
        rebuilt.undecodable += done.undecodable;
        rebuilt.calls += rows::from_sql(i64::try_from(done.calls.len()).unwrap_or(i64::MAX));
        tasks.write(&done.task_id, &say(&done.task))?;
        for call in &done.calls {
            write::call(conn, call)?;
        }
        let (own, others) = done.sums.split();
        shared.merge(others);
        write::sums(conn, &own)
    })?;
    write::sums(conn, &shared)?;
    rebuilt.undecodable += unreadable;
    Ok(rebuilt)
}

/// Goes over all events, task by task, each in its order; rows that are no events are told.
pub(crate) fn walk(
    conn: &Connection,
    unreadable: impl FnMut(&StoreError),
    mut task_done: impl FnMut(Recounted) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut recount = Recount::default();
    each_event(conn, unreadable, |stored| {
        recount.add(stored).map_or(Ok(()), &mut task_done)
    })?;
    recount.finish().map_or(Ok(()), task_done)
}

fn each_event(
    conn: &Connection,
    mut unreadable: impl FnMut(&StoreError),
    mut each: impl FnMut(&StoredEvent) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut statement = conn.prepare(&format!(
        "SELECT {EVENT_COLUMNS} FROM events ORDER BY task_id, task_seq"
    ))?;
    let mut found = statement.query([])?;
    while let Some(row) = found.next()? {
        match rows::stored_event(&InOrder::new(row)) {
            Ok(stored) => each(&stored)?,
            Err(error) => unreadable(&error),
        }
    }
    Ok(())
}
