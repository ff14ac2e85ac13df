//! The one thread that writes. It takes all commits that wait into one transaction, so that they
//! share one sync of the disk: the more callers, the larger the group, with no timer to tune.

use std::sync::Arc;

use event_payloads::Event;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::apply::apply;
use super::failure::Failure;
use super::lock::DatabaseLock;
use super::rebuild;
use crate::id::Monotonic;
use crate::live::Hub;
use crate::prepared::Prepared;
use crate::{Clock, Rebuilt, StoreError};

/// The most commits of one transaction: bounds how long the first of them waits for the others.
const MAX_GROUP: usize = 256;

pub(crate) type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// What the writer is asked to do.
#[derive(Debug)]
pub(crate) enum Job {
    Append(Append),
    Check(Reply<()>),
    Rebuild(Reply<Rebuilt>),
    /// A reader of the log has come to a position.
    SaveCursor(String, u64, Reply<()>),
    /// Do what waits already, then end.
    Close,
}

/// A commit and who waits for it.
#[derive(Debug)]
pub(crate) struct Append {
    pub(crate) commit: Prepared,
    pub(crate) reply: Reply<Vec<Event>>,
}

/// What the thread owns. The lock is among it, so that nobody else opens the database for writing
/// before the last commit is done.
pub(crate) struct Writer {
    pub(crate) conn: Connection,
    pub(crate) ids: Monotonic,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) lock: DatabaseLock,
}

impl Writer {
    /// Works until the queue is closed and empty. Then every commit is on disk.
    pub(crate) fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut put_back = None;
        while let Some(job) = put_back.take().or_else(|| jobs.blocking_recv()) {
            match job {
                Job::Append(first) => {
                    let mut group = vec![first];
                    put_back = gather(&mut jobs, &mut group);
                    self.record(group);
                }
                // A caller that no longer waits for the answer does not need it.
                Job::Check(reply) => drop(reply.send(self.check())),
                Job::Rebuild(reply) => drop(reply.send(self.rebuild())),
                Job::SaveCursor(reader, position, reply) => {
                    drop(reply.send(self.save_cursor(&reader, position)));
                }
                Job::Close => jobs.close(),
            }
        }
        self.hub.close();
        self.shut();
    }

    /// Records a group. A commit that is refused does not touch the others.
    fn record(&mut self, mut group: Vec<Append>) {
        tracing::trace!(commits = group.len(), "recording a group");
        let results = match self.transaction(&mut group) {
            Ok(results) => results,
            // The first commit that the full disk has no room for takes the whole transaction with
            // it; smaller ones may still fit.
            Err(error) if error.is_full() && group.len() > 1 => {
                for append in group {
                    self.record(vec![append]);
                }
                return;
            }
            Err(error) => vec![Err(error); group.len()],
        };
        match super::read::head(&self.conn) {
            Ok(head) => self.hub.reach(head),
            Err(error) => {
                tracing::error!(error = ?error, "the log's followers wait for the next commit")
            }
        }
        for (mut append, result) in group.into_iter().zip(results) {
            if let Ok(events) = &result {
                append.commit.keep();
                self.hub.publish(events);
            }
            // Files of a refused commit vanish before its caller hears of it.
            drop(append.commit);
            let _ = append.reply.send(result);
        }
    }

    /// One transaction over a group. An error means that nothing of it is stored.
    fn transaction(
        &mut self,
        group: &mut [Append],
    ) -> Result<Vec<Result<Vec<Event>, StoreError>>, StoreError> {
        self.sql("BEGIN IMMEDIATE")?;
        let mut results = Vec::with_capacity(group.len());
        for append in group {
            match self.one(&mut append.commit) {
                Ok(result) => results.push(result),
                Err(error) => {
                    self.roll_back();
                    return Err(error);
                }
            }
        }
        if let Err(error) = self.sql("COMMIT") {
            self.roll_back();
            return Err(error);
        }
        Ok(results)
    }

    /// One commit in its savepoint. The outer error means that the transaction is lost.
    fn one(&mut self, commit: &mut Prepared) -> Result<Result<Vec<Event>, StoreError>, StoreError> {
        self.sql("SAVEPOINT one")?;
        let result = apply(&self.conn, &mut self.ids, self.clock.as_ref(), commit);
        let result = result.map_err(StoreError::from);
        if self.conn.is_autocommit() {
            // SQLite has rolled everything back: no space, or the disk failed.
            return result.map(Ok);
        }
        if result.is_err() {
            self.sql("ROLLBACK TO one")?;
        }
        self.sql("RELEASE one")?;
        Ok(result)
    }

    fn check(&self) -> Result<(), StoreError> {
        self.sql("BEGIN IMMEDIATE")?;
        self.sql("ROLLBACK")
    }

    fn save_cursor(&self, reader: &str, position: u64) -> Result<(), StoreError> {
        let save = || -> Result<(), Failure> {
            self.conn
                .prepare_cached(
                    "INSERT INTO log_cursors (reader, position) VALUES (?1, ?2)
                     ON CONFLICT (reader) DO UPDATE SET position = excluded.position",
                )?
                .execute(rusqlite::params![reader, super::row::to_sql(position)])?;
            Ok(())
        };
        save().map_err(StoreError::from)
    }

    fn rebuild(&self) -> Result<Rebuilt, StoreError> {
        self.sql("BEGIN IMMEDIATE")?;
        let rebuilt = rebuild::everything(&self.conn)
            .map_err(StoreError::from)
            .and_then(|rebuilt| self.sql("COMMIT").map(|()| rebuilt));
        if rebuilt.is_err() {
            self.roll_back();
        }
        rebuilt
    }

    fn sql(&self, statement: &str) -> Result<(), StoreError> {
        let run = || -> Result<(), Failure> {
            self.conn.prepare_cached(statement)?.execute([])?;
            Ok(())
        };
        run().map_err(StoreError::from)
    }

    fn roll_back(&self) {
        if self.conn.is_autocommit() {
            return;
        }
        if let Err(error) = self.sql("ROLLBACK") {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "can not roll back"
            );
        }
    }

    /// Leaves one file without a log beside it, where no reader is in the way.
    fn shut(self) {
        let Self { conn, lock, .. } = self;
        let checkpoint = conn
            .busy_timeout(std::time::Duration::ZERO)
            .and_then(|()| conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())));
        if let Err(error) = checkpoint {
            tracing::warn!(%error, "the write-ahead log stays beside the database, nothing is lost");
        }
        if let Err((_, error)) = conn.close() {
            tracing::warn!(%error, "the database did not close cleanly, nothing is lost");
        }
        drop(lock);
    }
}

/// Takes what waits already; gives back the first job that is no commit.
fn gather(jobs: &mut mpsc::Receiver<Job>, group: &mut Vec<Append>) -> Option<Job> {
    while group.len() < MAX_GROUP {
        match jobs.try_recv() {
            Ok(Job::Append(append)) => group.push(append),
            Ok(other) => return Some(other),
            Err(_) => return None,
        }
    }
    None
}
