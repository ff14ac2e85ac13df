//! A relay at work.

use std::sync::Arc;

use event_relay::{NatsConfig, NatsRelay};
use event_store::EventStore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::LIMIT;

/// A relay on a task of its own; gone at once when dropped, as in a process that is killed.
pub(crate) struct Running {
    closing: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    pub(crate) fn start(config: NatsConfig, store: &Arc<dyn EventStore>) -> Self {
        let relay = NatsRelay::new(config, store.clone());
        let closing = CancellationToken::new();
        let told = closing.clone();
        #[expect(
            clippy::disallowed_methods,
            reason = "joined by `end`, aborted by drop"
        )]
        let task = tokio::spawn(async move { relay.run(told).await });
        Self { closing, task }
    }

    /// Ends it gracefully.
    pub(crate) async fn end(mut self) {
        self.closing.cancel();
        let ended = tokio::time::timeout(LIMIT, &mut self.task).await;
        ended.unwrap().unwrap();
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
