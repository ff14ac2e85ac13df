//! Connections that only read. In WAL mode the writer never holds them up.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use tokio::sync::Semaphore;

use super::failure::Failure;
use crate::StoreError;

/// How many prepared statements a connection keeps.
pub(crate) const STATEMENTS: usize = 64;

/// A few connections that are opened when they are first needed.
#[derive(Debug)]
pub(crate) struct Readers {
    shared: Arc<Shared>,
    places: Arc<Semaphore>,
    count: u32,
}

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    busy_timeout: Duration,
    idle: Mutex<Vec<Connection>>,
}

impl Shared {
    fn take(&self) -> Result<Connection, Failure> {
        let idle = self
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        idle.map_or_else(|| open(&self.path, self.busy_timeout), Ok)
    }

    fn give_back(&self, conn: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push(conn);
    }
}

/// A connection that can not write.
pub(crate) fn open(path: &Path, busy_timeout: Duration) -> Result<Connection, Failure> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    conn.busy_timeout(busy_timeout)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(conn)
}

impl Readers {
    pub(crate) fn new(path: PathBuf, count: usize, busy_timeout: Duration) -> Self {
        let count = u32::try_from(count.clamp(1, 256)).unwrap_or(1);
        Self {
            shared: Arc::new(Shared {
                path,
                busy_timeout,
                idle: Mutex::default(),
            }),
            places: Arc::new(Semaphore::new(usize::try_from(count).unwrap_or(1))),
            count,
        }
    }

    /// Runs a read on a thread that may block. If the caller goes away it still ends, and its
    /// connection comes back.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        let place = Arc::clone(&self.places).acquire_owned().await;
        let place = place.map_err(|_| StoreError::Closed)?;
        let shared = Arc::clone(&self.shared);
        let work = move || -> Result<T, Failure> {
            let conn = shared.take()?;
            let result = read(&conn);
            shared.give_back(conn);
            drop(place);
            result
        };
        blocking(work).await?.map_err(StoreError::from)
    }

    /// Lets running reads end and closes the connections. Later reads get [`StoreError::Closed`].
    pub(crate) async fn close(&self) {
        // An error means that it was closed before.
        if let Ok(all) = self.places.acquire_many(self.count).await {
            self.places.close();
            drop(all);
        }
        let mut idle = self
            .shared
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        idle.clear();
    }
}

/// Runs what may block on a thread for that.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| StoreError::Io {
            doing: "run work of the event store to its end".to_owned(),
            source: Arc::new(error),
        })
}
