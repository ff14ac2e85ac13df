//! Who hears an answer while it comes.

use std::sync::Arc;

use async_trait::async_trait;
use event_payloads::{EventId, ModelCallChunk, TaskId};
use event_store::{Clock, EventStore, SystemClock};
use provider_core::{AnswerStream, Chunk};

/// Hears an answer while it comes.
#[async_trait]
pub(crate) trait Listener: Send {
    /// The answer begins.
    fn begins(&mut self, stream: &dyn AnswerStream);

    /// A piece of it. Waits until there is room for it: a slow listener slows the model's sender down.
    async fn hear(&mut self, chunk: Chunk) -> Result<(), Gone>;

    /// Resolves when nobody listens any more.
    async fn gone(&mut self);
}

/// Nobody listens any more.
#[derive(Debug)]
pub(crate) struct Gone;

/// Tells the followers of a task. It goes on without any.
pub(crate) struct Followers {
    pub(crate) store: Arc<dyn EventStore>,
    pub(crate) task_id: TaskId,
    pub(crate) call_id: EventId,
    pub(crate) heard: u64,
}

#[async_trait]
impl Listener for Followers {
    fn begins(&mut self, _: &dyn AnswerStream) {}

    async fn hear(&mut self, chunk: Chunk) -> Result<(), Gone> {
        if chunk.text.is_empty() {
            return Ok(());
        }
        let index = self.heard;
        self.heard += 1;
        self.store.announce(&self.task_id, &mut || ModelCallChunk {
            task_id: self.task_id.clone(),
            call_id: self.call_id.clone(),
            ts: SystemClock.now(),
            index,
            text: chunk.text.clone(),
        });
        Ok(())
    }

    async fn gone(&mut self) {
        std::future::pending::<()>().await;
    }
}
