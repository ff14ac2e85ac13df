//! Events that another program wrote: they get a position and their link of the chain.

use rusqlite::{Connection, params};

use super::failure::Failure;
use super::row;
use crate::books::chain::Hash;
use crate::rows;
use crate::sql::EVENT_COLUMNS;

/// True if there are events without a position.
pub(crate) fn has_strangers(conn: &Connection) -> Result<bool, Failure> {
    let sql = "SELECT EXISTS (SELECT 1 FROM events WHERE position IS NULL)";
    Ok(conn.query_row(sql, [], |row| row.get(0))?)
}

/// Gives events without a position their place: links task by task, positions in the order in which they
/// were written. Says how many there were.
///
/// Nobody can vouch for what they say: the chain holds them as they are from here on.
pub(crate) fn strangers(conn: &Connection) -> Result<usize, Failure> {
    let tasks: Vec<String> = conn
        .prepare("SELECT DISTINCT task_id FROM events WHERE position IS NULL")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    if tasks.is_empty() {
        return Ok(0);
    }
    for task_id in &tasks {
        link(conn, task_id)?;
    }
    place(conn)
}

/// Links the events of a task that have no hash to those before them.
fn link(conn: &Connection, task_id: &str) -> Result<(), Failure> {
    let sql = format!("SELECT {EVENT_COLUMNS} FROM events WHERE task_id = ?1 ORDER BY task_seq");
    let events = row::all(conn, &sql, [task_id], |row| Ok(rows::stored_event(row)))?;
    let readable = events.into_iter().filter_map(|event| {
        event
            .inspect_err(|error| tracing::warn!(%error, "event without a link of its chain"))
            .ok()
    });
    let mut chain = Hash::default();
    let mut update = conn.prepare_cached("UPDATE events SET hash = ?2 WHERE event_id = ?1")?;
    for event in readable {
        let hash = match event.hash {
            Some(hash) => hash,
            None => {
                let hash = event.link(chain);
                update.execute(params![event.event_id, &hash.0[..]])?;
                hash
            }
        };
        chain = hash;
    }
    Ok(())
}

fn place(conn: &Connection) -> Result<usize, Failure> {
    let mut position = super::read::head(conn)?;
    let strangers: Vec<i64> = conn
        .prepare("SELECT rowid FROM events WHERE position IS NULL ORDER BY rowid")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let mut update = conn.prepare("UPDATE events SET position = ?2 WHERE rowid = ?1")?;
    for rowid in &strangers {
        position += 1;
        update.execute([*rowid, rows::to_sql(position)])?;
    }
    Ok(strangers.len())
}
