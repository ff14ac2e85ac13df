//! How far long work has come.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts what long work has done, for whoever watches it. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<AtomicU64>);

impl Progress {
    /// How much is done: events, or rows where there are no events.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }
}
