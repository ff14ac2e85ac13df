//! How a SQLite store is set up.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::{Clock, SystemClock};

/// Where a [`SqliteStore`](crate::SqliteStore) keeps its data, and its limits.
#[derive(Clone, Debug)]
pub struct SqliteOptions {
    pub(crate) path: PathBuf,
    pub(crate) artifacts_dir: PathBuf,
    pub(crate) inline_threshold: usize,
    pub(crate) max_artifact_bytes: u64,
    pub(crate) max_database_bytes: Option<u64>,
    pub(crate) queue: usize,
    pub(crate) readers: usize,
    pub(crate) busy_timeout: Duration,
    pub(crate) clock: Arc<dyn Clock>,
}

impl SqliteOptions {
    /// A database file and a folder for the contents that do not fit into it. Both are made if they
    /// are not there. The limits are the usual ones, the clock is the machine's.
    #[must_use]
    pub fn new(path: impl AsRef<Path>, artifacts_dir: impl AsRef<Path>) -> Self {
        Self {
            path: path.as_ref().to_owned(),
            artifacts_dir: artifacts_dir.as_ref().to_owned(),
            inline_threshold: 4096,
            max_artifact_bytes: 64 << 20,
            max_database_bytes: None,
            queue: 1024,
            readers: 4,
            busy_timeout: Duration::from_secs(5),
            clock: Arc::new(SystemClock),
        }
    }

    /// Artifacts up to this size stand in the database, larger ones in files; in bytes, 4096 unless
    /// set. What is not UTF-8 is always a file.
    #[must_use]
    pub const fn inline_threshold(mut self, bytes: usize) -> Self {
        self.inline_threshold = bytes;
        self
    }

    /// The largest artifact, in bytes; 64 MiB unless set.
    #[must_use]
    pub const fn max_artifact_bytes(mut self, bytes: u64) -> Self {
        self.max_artifact_bytes = bytes;
        self
    }

    /// The largest database, in bytes (rounded down to whole pages); as large as the disk unless
    /// set. At the limit commits fail with [`StoreError::Full`](crate::StoreError::Full).
    #[must_use]
    pub const fn max_database_bytes(mut self, bytes: u64) -> Self {
        self.max_database_bytes = Some(bytes);
        self
    }

    /// How many commits may wait for the writer before their callers wait for a place; 1024 unless
    /// set, at least 1.
    #[must_use]
    pub const fn queue(mut self, commits: usize) -> Self {
        self.queue = commits;
        self
    }

    /// How many reads may run at once; 4 unless set, at least 1.
    #[must_use]
    pub const fn readers(mut self, connections: usize) -> Self {
        self.readers = connections;
        self
    }

    /// How long to wait for a database that another program has locked; 5 s unless set.
    #[must_use]
    pub const fn busy_timeout(mut self, timeout: Duration) -> Self {
        self.busy_timeout = timeout;
        self
    }

    /// The clock that dates events.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }
}
