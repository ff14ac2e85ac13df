//! A relay at work.

use std::sync::Arc;

use event_relay::{NatsConfig, NatsRelay};
use event_store::EventStore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::LIMIT;

/// A relay on a task of its own; gone at once when dropped, as in a process that is killed.
pub(crate) struct Running {
    relay: Arc<NatsRelay>,
    closing: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    pub(crate) fn start(config: NatsConfig, store: &Arc<dyn EventStore>) -> Self {
        let relay = Arc::new(NatsRelay::new(config, store.clone()));
        let closing = CancellationToken::new();
        let (running, told) = (relay.clone(), closing.clone());
        #[expect(
            clippy::disallowed_methods,
            reason = "joined by `end`, aborted by drop"
        )]
        let task = tokio::spawn(async move { running.run(told).await });
        Self {
            relay,
            closing,
            task,
        }
    }

    /// Where in the log it stands.
    pub(crate) fn published(&self) -> u64 {
        self.relay.published()
    }

    /// Ends it gracefully; says where it stands then.
    pub(crate) async fn end(mut self) -> u64 {
        self.closing.cancel();
        let ended = tokio::time::timeout(LIMIT, &mut self.task).await;
        ended.unwrap().unwrap();
        self.published()
    }

    /// Ends it in the middle of whatever it does.
    pub(crate) async fn abort(mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}
