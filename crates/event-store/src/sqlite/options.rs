//! How a SQLite store is set up.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::options::{Limits, limit_setters};

/// Where a [`SqliteStore`](crate::SqliteStore) keeps its data, and its limits.
#[derive(Clone, Debug)]
pub struct SqliteOptions {
    pub(crate) path: PathBuf,
    pub(crate) artifacts_dir: PathBuf,
    pub(crate) limits: Limits,
    pub(crate) max_database_bytes: Option<u64>,
    pub(crate) busy_timeout: Duration,
}

impl SqliteOptions {
    /// A database file and a folder for the contents that do not fit into it. Both are made if they
    /// are not there. The limits are the usual ones, the clock is the machine's.
    #[must_use]
    pub fn new(path: impl AsRef<Path>, artifacts_dir: impl AsRef<Path>) -> Self {
        Self {
            path: path.as_ref().to_owned(),
            artifacts_dir: artifacts_dir.as_ref().to_owned(),
            limits: Limits::default(),
            max_database_bytes: None,
            busy_timeout: Duration::from_secs(5),
        }
    }

    limit_setters!();

    /// The largest database, in bytes (rounded down to whole pages); as large as the disk unless
    /// set. At the limit commits fail with [`StoreError::Full`](crate::StoreError::Full).
    #[must_use]
    pub const fn max_database_bytes(mut self, bytes: u64) -> Self {
        self.max_database_bytes = Some(bytes);
        self
    }

    /// How long to wait for a database that another program has locked; 5 s unless set.
    #[must_use]
    pub const fn busy_timeout(mut self, timeout: Duration) -> Self {
        self.busy_timeout = timeout;
        self
    }
}
