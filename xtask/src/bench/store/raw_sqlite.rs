//! SQLite by itself, with the rows that the store would write and nothing around them.

use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use rusqlite::{Connection, params};

use super::work::{Load, RawRow, TITLE, Times};

/// A connection to a database of today's layout, set up as the store's is but that it carries its log over
/// itself, that writes for some writers.
pub(super) struct Raw {
    conn: Connection,
    row: RawRow,
    load: Load,
    writers: Range<usize>,
    /// Their tasks.
    tasks: Vec<String>,
    /// Transactions so far: each task has an event of each.
    transactions: u32,
    /// Positions are unique in the log: each connection has a range of its own.
    next: i64,
}

impl Raw {
    /// No two connections to a database may write for the same writer.
    pub(super) fn open(path: &Path, load: Load, writers: Range<usize>) -> Result<Self> {
        let conn = Connection::open(path)?;
        // For as long as all others need, several times over.
        conn.busy_timeout(Duration::from_secs(60))?;
        conn.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;
             PRAGMA wal_autocheckpoint = 4000;",
        )?;
        Ok(Self {
            conn,
            row: RawRow::new()?,
            next: (i64::try_from(writers.start)? + 1) << 32,
            load,
            writers,
            tasks: Vec::new(),
            transactions: 0,
        })
    }

    /// Transactions of a commit for each writer, one event a commit.
    pub(super) fn commit_for(&mut self, time: Duration, times: &mut Times) -> Result<()> {
        let commits = u64::try_from(self.writers.len())?;
        let start = Instant::now();
        while start.elapsed() < time {
            let began = Instant::now();
            self.transaction()?;
            times.record(began.elapsed(), commits);
        }
        times.took(start.elapsed());
        Ok(())
    }

    fn transaction(&mut self) -> Result<()> {
        let (tasks_before, seq) = (
            self.load.tasks(self.transactions),
            i64::from(self.load.seq(self.transactions)),
        );
        self.transactions += 1;
        self.conn.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        if seq == 1 {
            let writers = self.writers.clone();
            self.tasks = writers
                .map(|writer| RawRow::task_id(tasks_before, writer))
                .collect();
        }
        for task_id in &self.tasks {
            self.commit(task_id, seq)?;
            self.next += 1;
        }
        self.conn.prepare_cached("COMMIT")?.execute([])?;
        Ok(())
    }

    fn commit(&self, task_id: &str, seq: i64) -> Result<()> {
        if seq == 1 {
            self.conn
                .prepare_cached(RawRow::NEW_TASK)?
                .execute([task_id, RawRow::TS, TITLE])?;
        }
        let event_id = RawRow::event_id(self.next);
        let RawRow { payload, hash } = &self.row;
        self.conn
            .prepare_cached(
                "INSERT INTO events (event_id, task_id, task_seq, ts, type, schema_version, actor,
                     payload, trace_id, span_id, position, hash)
                 VALUES (?1, ?2, ?3, ?4, 'USER_MESSAGE', 1, 'user', ?5, 'trace-' || ?2, '', ?6, ?7)",
            )?
            .execute(params![
                event_id,
                task_id,
                seq,
                RawRow::TS,
                payload,
                self.next,
                hash
            ])?;
        self.conn
            .prepare_cached(
                "UPDATE tasks SET updated_at = ?2, pointers = ?3, last_seq = ?4, chain = ?5
                 WHERE task_id = ?1",
            )?
            .execute(params![
                task_id,
                RawRow::TS,
                RawRow::pointers(&event_id),
                seq,
                hash
            ])?;
        Ok(())
    }
}

/// So many connections, each with a transaction for each event: what writers come to that do not share one.
pub(super) fn connections_for(
    raws: Vec<Raw>,
    time: Duration,
    times: &mut Times,
) -> Result<Vec<Raw>> {
    let start = Instant::now();
    let back: Vec<_> = std::thread::scope(|scope| {
        let running: Vec<_> = raws
            .into_iter()
            .map(|mut raw| {
                scope.spawn(move || {
                    let mut own = Times::new()?;
                    raw.commit_for(time, &mut own)?;
                    Ok::<_, anyhow::Error>((raw, own))
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
