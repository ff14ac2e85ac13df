//! SQLite by itself, with the rows that the store would write and nothing around them.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use rusqlite::{Connection, params};

use super::work::{RawRow, Times};

/// A connection to a database of today's layout, set up for durability as the store's is.
pub(super) struct Raw {
    conn: Connection,
    row: RawRow,
    /// Makes identifiers and positions that only grow.
    next: i64,
}

impl Raw {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let conn = Connection::open(path)?;
        conn.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;
             INSERT OR IGNORE INTO tasks (task_id, created_at, updated_at)
                 VALUES ('raw', '2026-03-01', '2026-03-01');",
        )?;
        let next = conn.query_row(
            "SELECT coalesce(max(position), 0) + 1 FROM events",
            [],
            |row| row.get(0),
        )?;
        Ok(Self {
            conn,
            row: RawRow::new()?,
            next,
        })
    }

    /// Transactions of so many commits each, one event a commit.
    pub(super) fn commit_for(
        &mut self,
        batch: usize,
        time: Duration,
        times: &mut Times,
    ) -> Result<()> {
        let start = Instant::now();
        while start.elapsed() < time {
            let began = Instant::now();
            self.transaction(batch)?;
            times.record(began.elapsed(), u64::try_from(batch)?);
        }
        times.took(start.elapsed());
        Ok(())
    }

    fn transaction(&mut self, batch: usize) -> Result<()> {
        self.conn.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        for _ in 0..batch {
            self.commit()?;
        }
        self.conn.prepare_cached("COMMIT")?.execute([])?;
        Ok(())
    }

    fn commit(&mut self) -> Result<()> {
        let event_id = RawRow::event_id(self.next);
        let RawRow { payload, ts, hash } = &self.row;
        self.conn
            .prepare_cached(
                "INSERT INTO events (event_id, task_id, task_seq, ts, type, schema_version, actor,
                     payload, trace_id, span_id, position, hash)
                 VALUES (?1, 'raw', ?2, ?3, 'USER_MESSAGE', 1, 'user', ?4, 'trace-raw', '', ?2, ?5)",
            )?
            .execute(params![event_id, self.next, ts, payload, hash])?;
        self.conn
            .prepare_cached(
                "UPDATE tasks SET updated_at = ?1, pointers = ?2, last_seq = ?3, chain = ?4
                 WHERE task_id = 'raw'",
            )?
            .execute(params![
                ts,
                format!("{{\"latest_event_id\":\"{event_id}\"}}"),
                self.next,
                hash
            ])?;
        self.next += 1;
        Ok(())
    }
}
