//! Carries the write-ahead log over into the database, beside the writer.
//!
//! That takes a long log some milliseconds, in which the writer would answer nobody. So a thread with a
//! connection of its own carries over what is there; then the writer does so with the few pages that it
//! wrote meanwhile, and the log begins anew.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::hooks::Wal;
use rusqlite::wal::CheckpointMode;
use rusqlite::{Connection, OpenFlags};

use super::failure::Failure;
use crate::StoreError;

/// Pages of the log (16 MB) before they are carried over. A page that many commits change is carried once:
/// four times SQLite's own limit made 64 writers a fifth faster.
const LOG_PAGES: i32 = 4_000;

/// The thread.
#[derive(Debug)]
pub(crate) struct Checkpoints {
    thread: JoinHandle<()>,
}

impl Checkpoints {
    /// Has the log of the writer's connection carried over from now on.
    pub(crate) fn start(writer: &mut Connection, path: &Path) -> Result<Self, StoreError> {
        let conn = open(path)?;
        let (ask, asked) = sync_channel(1);
        let (tell, told) = sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("event-store-log".to_owned())
            .spawn(move || carry_over(&conn, &asked, &tell))
            .map_err(|error| StoreError::Io {
                doing: "start the thread that carries the log over".to_owned(),
                source: Arc::new(error),
            })?;
        let mut log = Log {
            ask,
            told,
            is_carried: false,
        };
        let hook = move |wal: &mut Wal, pages| {
            log.grew(pages, || wal.checkpoint());
            Ok(())
        };
        writer.wal_hook(Some(hook)).map_err(Failure::from)?;
        Ok(Self { thread })
    }

    /// Ends the thread: from now on the log grows.
    pub(crate) fn end(self, writer: &mut Connection) {
        let none: Option<fn(&mut Wal, i32) -> rusqlite::Result<()>> = None;
        if let Err(error) = writer.wal_hook(none) {
            // Then the thread would wait for work forever.
            tracing::warn!(%error, "the thread that carries the log over goes on");
            return;
        }
        if self.thread.join().is_err() {
            tracing::warn!("the thread that carries the log over had failed, nothing is lost");
        }
    }
}

fn open(path: &Path) -> Result<Connection, Failure> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    // Who else carries it over does the same work.
    conn.busy_timeout(Duration::ZERO)?;
    // The log is on disk before the database changes, and the database before the log begins anew.
    conn.pragma_update(None, "synchronous", "FULL")?;
    Ok(conn)
}

/// Carries over what is there whenever it is asked to, until nobody can ask any more.
fn carry_over(conn: &Connection, asked: &Receiver<()>, tell: &SyncSender<()>) {
    while asked.recv().is_ok() {
        let done = conn.wal_checkpoint_v2(None::<&str>, CheckpointMode::PASSIVE);
        if let Err(error) = done {
            tracing::warn!(%error, "cannot carry the log over into the database yet, nothing is lost");
        }
        // Nobody is told once the writer is gone.
        let _ = tell.try_send(());
    }
}

/// The log as the writer sees it.
struct Log {
    ask: SyncSender<()>,
    told: Receiver<()>,
    /// True while the thread is at work.
    is_carried: bool,
}

impl Log {
    /// A commit made the log so long. `carry` carries the whole of it over.
    fn grew(&mut self, pages: i32, carry: impl FnOnce() -> rusqlite::Result<()>) {
        if self.is_carried {
            if matches!(self.told.try_recv(), Err(TryRecvError::Empty)) {
                return;
            }
            self.is_carried = false;
        } else if pages >= LOG_PAGES {
            self.is_carried = !matches!(self.ask.try_send(()), Err(TrySendError::Disconnected(())));
            if self.is_carried {
                return;
            }
        }
        if pages >= LOG_PAGES
            && let Err(error) = carry()
        {
            // The commit is on disk, and the next one tries again.
            tracing::debug!(%error, "the log goes on growing");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The log, and the thread's ends of it.
    fn log() -> (Log, Receiver<()>, SyncSender<()>) {
        let (ask, asked) = sync_channel(1);
        let (tell, told) = sync_channel(1);
        let is_carried = false;
        (
            Log {
                ask,
                told,
                is_carried,
            },
            asked,
            tell,
        )
    }

    /// Whether the writer carries the rest over when a commit makes the log so long.
    fn carries(log: &mut Log, pages: i32) -> bool {
        let mut carried = false;
        log.grew(pages, || {
            carried = true;
            Ok(())
        });
        carried
    }

    #[test]
    fn the_thread_is_asked_once_and_the_writer_does_the_rest() {
        let (mut log, asked, tell) = log();
        assert!(!carries(&mut log, LOG_PAGES - 1));
        assert!(asked.try_recv().is_err(), "it is short");
        assert!(!carries(&mut log, LOG_PAGES));
        assert!(asked.try_recv().is_ok());
        assert!(!carries(&mut log, LOG_PAGES + 10));
        assert!(asked.try_recv().is_err(), "the thread is at work");
        tell.send(()).unwrap();
        assert!(carries(&mut log, LOG_PAGES + 20));
        assert!(!carries(&mut log, 5));
        assert!(asked.try_recv().is_err(), "the log began anew");
    }

    #[test]
    fn a_log_that_began_anew_meanwhile_is_left_alone() {
        let (mut log, asked, tell) = log();
        carries(&mut log, LOG_PAGES);
        asked.recv().unwrap();
        tell.send(()).unwrap();
        assert!(!carries(&mut log, 3));
        assert!(!carries(&mut log, LOG_PAGES));
        assert!(asked.try_recv().is_ok(), "and is long again later");
    }

    #[test]
    fn without_the_thread_the_writer_does_it_all() {
        let (mut log, asked, tell) = log();
        drop((asked, tell));
        assert!(carries(&mut log, LOG_PAGES));
        assert!(carries(&mut log, LOG_PAGES));
    }

    #[test]
    fn commits_go_on_while_the_log_is_carried_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.db");
        let mut conn = Connection::open(&path).unwrap();
        conn.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (x BLOB)")
            .unwrap();
        let checkpoints = Checkpoints::start(&mut conn, &path).unwrap();
        // Five times as much as the log may hold.
        let page = [7_u8; 4_000];
        for _ in 0..5 * LOG_PAGES / 100 {
            let tx = conn.transaction().unwrap();
            for _ in 0..100 {
                tx.prepare_cached("INSERT INTO t VALUES (?1)")
                    .unwrap()
                    .execute([&page[..]])
                    .unwrap();
            }
            tx.commit().unwrap();
        }
        checkpoints.end(&mut conn);
        let length = |name: &str| std::fs::metadata(folder.path().join(name)).unwrap().len();
        assert!(length("log.db") > 4_000 * 4_000, "nothing was carried over");
        let rows: i64 = conn
            .query_row("SELECT count(*) FROM t", [], |row| row.get(0))
            .unwrap();
        assert_eq!(rows, i64::from(5 * LOG_PAGES / 100) * 100);
    }
}
