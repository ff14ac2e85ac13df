//! How far the stream has come, for the log.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// How far the stream has come, written by the one who publishes, read by everybody else.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    position: AtomicU64,
    connected: AtomicBool,
    moved: AtomicBool,
}

impl Progress {
    /// The stream was asked; it ends here.
    pub(crate) fn connected(&self, position: u64) {
        self.position.store(position, Ordering::Relaxed);
        if !self.connected.swap(true, Ordering::Relaxed) {
            tracing::info!(position, "publishing events to NATS");
        }
    }

    /// An event was acknowledged.
    pub(crate) fn reached(&self, position: u64) {
        self.position.store(position, Ordering::Relaxed);
        self.moved.store(true, Ordering::Relaxed);
    }

    /// Whether something was acknowledged since this was asked last.
    pub(crate) fn take_moved(&self) -> bool {
        self.moved.swap(false, Ordering::Relaxed)
    }

    /// Publishing has stopped; true if it had not before.
    pub(crate) fn disconnected(&self) -> bool {
        self.connected.swap(false, Ordering::Relaxed)
    }

    /// Where in the log the stream ends; 0 until it was asked.
    fn position(&self) -> u64 {
        self.position.load(Ordering::Relaxed)
    }

    /// Events of the log that are not in the stream, about.
    pub(crate) fn behind(&self, head: u64) -> u64 {
        head.saturating_sub(self.position())
    }
}
