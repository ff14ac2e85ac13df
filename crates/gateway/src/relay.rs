//! Events on their way to NATS, beside the server.

use std::time::Duration;

use event_relay::NatsRelay;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::app::App;

/// The relay has a shorter limit of its own; this holds if NATS takes its time with everything.
const END_LIMIT: Duration = Duration::from_secs(10);

/// The relay at work, if one is configured. Dropping it stops it; nothing is lost by that.
#[derive(Debug)]
pub(crate) struct Relay {
    closing: CancellationToken,
    running: JoinSet<()>,
}

impl Relay {
    /// Does not wait for NATS, and nothing else does.
    pub(crate) fn start(app: &App) -> Self {
        let closing = CancellationToken::new();
        let mut running = JoinSet::new();
        if let Some(config) = app.config.nats.clone() {
            let relay = NatsRelay::new(config, app.store.clone());
            let told = closing.clone();
            running.spawn(async move { relay.run(told).await });
        }
        Self { closing, running }
    }

    /// Publishes what is in the log, if NATS takes it at once; the rest goes out after the next start.
    pub(crate) async fn end(mut self) {
        self.closing.cancel();
        let ended = async { while self.running.join_next().await.is_some() {} };
        if tokio::time::timeout(END_LIMIT, ended).await.is_err() {
            tracing::warn!(
                "NATS does not answer; what it has not got is published after the next start"
            );
        }
    }
}
