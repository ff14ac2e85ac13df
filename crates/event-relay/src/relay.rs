//! The relay: connecting, and connecting again.

use std::sync::Arc;
use std::time::Duration;

use event_store::{EventStore, StoreError};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::connection::Connection;
use crate::progress::Progress;
use crate::session::Session;
use crate::{NatsConfig, RelayError};

/// Between two tries to connect: doubled each time, up to the longest.
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_LONGEST: Duration = Duration::from_secs(10);
/// A session that held for so long was a good one.
const GOOD: Duration = Duration::from_secs(30);
/// How often the log says how far behind the stream is, if it is.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// Publishes the log of a store to a stream.
#[derive(Debug)]
pub struct NatsRelay {
    config: NatsConfig,
    store: Arc<dyn EventStore>,
    progress: Progress,
}

impl NatsRelay {
    /// Nothing is connected before [`run`](Self::run).
    #[must_use]
    pub fn new(config: NatsConfig, store: Arc<dyn EventStore>) -> Self {
        Self {
            config,
            store,
            progress: Progress::default(),
        }
    }

    /// Publishes every event of the log, and each new one as it is recorded, until `closing` is cancelled or
    /// the store is closed. Then what is in the log goes out for up to three seconds.
    ///
    /// Whatever goes wrong is logged and tried again, for ever: events wait in the log meanwhile. Can be
    /// dropped at any point; the next run goes on where the stream ends.
    pub async fn run(&self, closing: CancellationToken) {
        tokio::select! {
            () = self.publish(&closing) => {}
            () = self.tell() => {}
        }
    }

    async fn publish(&self, closing: &CancellationToken) {
        let mut pause = RETRY_FIRST;
        let mut told = String::new();
        loop {
            let began = Instant::now();
            let Err(error) = self.session(closing).await else {
                return;
            };
            if matches!(error, RelayError::Store(StoreError::Closed)) {
                return;
            }
            let message = error.to_string();
            // Once when it goes down, and when the reason changes; not for each try.
            if self.progress.disconnected() || message != told {
                tracing::warn!(error = %message, "events wait for NATS; trying again");
            }
            told = message;
            if self.progress.take_moved() || began.elapsed() >= GOOD {
                pause = RETRY_FIRST;
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = closing.cancelled() => return,
            }
            pause = (2 * pause).min(RETRY_LONGEST);
        }
    }

    async fn session(&self, closing: &CancellationToken) -> Result<(), RelayError> {
        let connection = tokio::select! {
            connection = Connection::open(&self.config) => connection?,
            () = closing.cancelled() => return Ok(()),
        };
        let session = Session {
            config: &self.config,
            store: &self.store,
            closing,
            progress: &self.progress,
            connection,
        };
        session.run().await
    }

    async fn tell(&self) {
        let head = self.store.head();
        let mut every = tokio::time::interval_at(Instant::now() + TELL_EVERY, TELL_EVERY);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            every.tick().await;
            let behind = self.progress.behind(*head.borrow());
            if behind > 0 {
                tracing::warn!(behind, "NATS has not got all events yet");
            }
        }
    }
}
