//! How much may run and wait at once.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};

/// How much may run and wait at once.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Model calls in flight.
    pub max_running: usize,
    /// Tasks and calls that wait for one of those.
    pub max_queued: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_running: 512,
            max_queued: 1024,
        }
    }
}

/// Work that is not taken; nothing was created.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotAdmitted {
    /// Too much runs and waits already.
    #[error(
        "{max_running} calls run and {max_queued} wait already, which is the limit; try again in a second"
    )]
    Busy {
        /// The limit of calls in flight.
        max_running: usize,
        /// The limit of those that wait.
        max_queued: usize,
    },
    /// The gateway is ending.
    #[error("octo is shutting down; try again when it is back")]
    ShuttingDown,
}

impl NotAdmitted {
    /// When trying again makes sense.
    #[must_use]
    pub const fn retry_after(self) -> Duration {
        Duration::from_secs(1)
    }
}

/// The door: a slot to be in the house, and in it a place at the table.
#[derive(Clone, Debug)]
pub(crate) struct Admission {
    slots: Arc<Semaphore>,
    running: Arc<Semaphore>,
    limits: Limits,
}

/// Held from being admitted to the end.
#[derive(Debug)]
pub(crate) struct Slot {
    _slot: OwnedSemaphorePermit,
    running: Arc<Semaphore>,
}

impl Admission {
    pub(crate) fn new(limits: Limits) -> Self {
        let max_running = limits.max_running.clamp(1, Semaphore::MAX_PERMITS / 2);
        let max_queued = limits.max_queued.min(Semaphore::MAX_PERMITS / 2);
        Self {
            slots: Arc::new(Semaphore::new(max_running + max_queued)),
            running: Arc::new(Semaphore::new(max_running)),
            limits: Limits {
                max_running,
                max_queued,
            },
        }
    }

    /// A slot, at once or not at all.
    pub(crate) fn enter(&self) -> Result<Slot, NotAdmitted> {
        match self.slots.clone().try_acquire_owned() {
            Ok(slot) => Ok(Slot {
                _slot: slot,
                running: self.running.clone(),
            }),
            Err(TryAcquireError::Closed) => Err(NotAdmitted::ShuttingDown),
            Err(TryAcquireError::NoPermits) => Err(NotAdmitted::Busy {
                max_running: self.limits.max_running,
                max_queued: self.limits.max_queued,
            }),
        }
    }

    /// Lets nobody in any more. Who is in stays.
    pub(crate) fn close(&self) {
        self.slots.close();
    }
}

impl Slot {
    /// Waits for its turn. First come, first served.
    pub(crate) async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        // The semaphore is never closed; if it were, nothing may run.
        self.running.clone().acquire_owned().await.ok()
    }
}
