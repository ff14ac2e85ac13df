//! What the options of both stores have in common.

use std::sync::Arc;

use crate::prepared::ArtifactLimits;
use crate::{Clock, SystemClock};

/// Limits that have nothing to do with where the data is.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub(crate) artifacts: ArtifactLimits,
    pub(crate) queue: usize,
    pub(crate) readers: usize,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            artifacts: ArtifactLimits {
                inline: 4096,
                max: 64 << 20,
            },
            queue: 1024,
            readers: 4,
            clock: Arc::new(SystemClock),
        }
    }
}

/// The setters of [`Limits`], for options that hold them as `limits`.
macro_rules! limit_setters {
    () => {
        /// Artifacts up to this size stand in their row, larger ones beside it; in bytes, 4096 unless set.
        /// What is not UTF-8 never stands in the row.
        #[must_use]
        pub const fn inline_threshold(mut self, bytes: usize) -> Self {
            self.limits.artifacts.inline = bytes;
            self
        }

        /// The largest artifact, in bytes; 64 MiB unless set.
        #[must_use]
        pub const fn max_artifact_bytes(mut self, bytes: u64) -> Self {
            self.limits.artifacts.max = bytes;
            self
        }

        /// How many commits may wait for the writer before their callers wait for a place; 1024 unless
        /// set, at least 1.
        #[must_use]
        pub const fn queue(mut self, commits: usize) -> Self {
            self.limits.queue = commits;
            self
        }

        /// How many reads may run at once, each on a connection of its own; 4 unless set, at least 1.
        #[must_use]
        pub const fn readers(mut self, connections: usize) -> Self {
            self.limits.readers = connections;
            self
        }

        /// The clock that dates events.
        #[must_use]
        pub fn clock(mut self, clock: std::sync::Arc<dyn crate::Clock>) -> Self {
            self.limits.clock = clock;
            self
        }
    };
}
pub(crate) use limit_setters;
