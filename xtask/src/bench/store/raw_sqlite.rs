//! SQLite by itself, with the rows that the store has written and nothing around them.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use rusqlite::{Connection, params};

use super::rows::{Batch, HASH, NewTask, Row};
use super::work::Times;

/// A connection to a database of today's layout, set up as the store's is but that it carries its log over
/// itself.
pub(super) struct Raw(Connection);

impl Raw {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let conn = Connection::open(path)?;
        // For as long as all others need, several times over.
        conn.busy_timeout(Duration::from_secs(60))?;
        conn.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;
             PRAGMA wal_autocheckpoint = 4000;",
        )?;
        Ok(Self(conn))
    }

    /// A transaction for each batch, until the time is over.
    pub(super) fn commit_for(
        &self,
        batches: &[Batch],
        time: Duration,
        times: &mut Times,
    ) -> Result<()> {
        let start = Instant::now();
        for batch in batches {
            let began = Instant::now();
            if began - start >= time {
                break;
            }
            self.transaction(batch)?;
            times.record(began.elapsed(), batch.events());
        }
        times.took(start.elapsed());
        Ok(())
    }

    fn transaction(&self, batch: &Batch) -> Result<()> {
        self.0.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        for (row, task) in batch.new_tasks() {
            self.begin_task(row, task)?;
        }
        for row in &batch.rows {
            self.event(row)?;
        }
        for row in &batch.changes {
            self.change_task(row)?;
        }
        self.0.prepare_cached("COMMIT")?.execute([])?;
        Ok(())
    }

    fn begin_task(&self, row: &Row, task: &NewTask) -> Result<()> {
        let NewTask { created, requester } = task;
        self.0
            .prepare_cached(
                "INSERT INTO tasks (task_id, created_at, updated_at, status, title, thread_id,
                     scope_id, requester, risk_level, pointers, last_seq, chain)
                 VALUES (?1, ?2, ?2, 'CREATED', ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            )?
            .execute(params![
                row.task_id,
                row.ts,
                created.title,
                created.thread_id,
                created.scope_id,
                requester,
                created.risk_level,
                row.pointers,
                row.task_seq,
                HASH
            ])?;
        Ok(())
    }

    fn event(&self, row: &Row) -> Result<()> {
        self.0
            .prepare_cached(
                "INSERT INTO events (event_id, task_id, task_seq, ts, type, schema_version, actor,
                     payload, trace_id, span_id, position, hash)
                 VALUES (?1, ?2, ?3, ?4, ?5, 1, ?6, ?7, ?8, '', ?9, ?10)",
            )?
            .execute(params![
                row.event_id,
                row.task_id,
                row.task_seq,
                row.ts,
                row.event_type,
                row.actor,
                row.payload,
                row.trace_id,
                row.position,
                HASH
            ])?;
        Ok(())
    }

    fn change_task(&self, row: &Row) -> Result<()> {
        self.0
            .prepare_cached(
                "UPDATE tasks SET updated_at = ?2, pointers = ?3, last_seq = ?4, chain = ?5
                 WHERE task_id = ?1",
            )?
            .execute(params![
                row.task_id,
                row.ts,
                row.pointers,
                row.task_seq,
                HASH
            ])?;
        Ok(())
    }
}

/// A connection for each share, all at once: what writers come to that do not share a transaction.
pub(super) fn at_once(
    raws: Vec<Raw>,
    shares: &[Vec<Batch>],
    time: Duration,
    times: &mut Times,
) -> Result<Vec<Raw>> {
    let start = Instant::now();
    let back: Vec<_> = std::thread::scope(|scope| {
        let each = raws.into_iter().zip(shares);
        let running: Vec<_> = each
            .map(|(raw, share)| {
                scope.spawn(move || {
                    let mut own = Times::new()?;
                    raw.commit_for(share, time, &mut own)?;
                    Ok((raw, own))
                })
            })
            .collect();
        running
            .into_iter()
            .map(|thread| thread.join().map_err(|_| anyhow!("a writer panicked"))?)
            .collect::<Result<_>>()
    })?;
    times.took(start.elapsed());
    let mut raws = Vec::new();
    for (raw, own) in back {
        times.merge(&own)?;
        raws.push(raw);
    }
    Ok(raws)
}
