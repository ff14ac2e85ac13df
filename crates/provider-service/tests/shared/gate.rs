//! A model that answers when the test lets it.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use event_payloads::Cost;
use provider_core::{
    Chunk, Closed, Completion, ModelCall, ModelCallResult, ModelClient, ModelStream, ProviderError,
    ReadyStream,
};
use tokio::sync::Semaphore;

/// Answers a call for each permit that the test gives, and says when a call has come in.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    pub(crate) arrived: Arc<Semaphore>,
    pub(crate) release: Arc<Semaphore>,
    cost: Cost,
}

impl Gate {
    /// Each answer costs this.
    pub(crate) fn new(cost: Cost) -> Self {
        Self {
            arrived: Arc::new(Semaphore::new(0)),
            release: Arc::new(Semaphore::new(0)),
            cost,
        }
    }

    pub(crate) async fn wait_for_calls(&self, count: u32) {
        self.arrived.acquire_many(count).await.unwrap().forget();
    }
}

/// A whole answer as a stream of one piece.
pub(crate) fn in_one_piece(answer: Completion) -> ModelStream {
    let Completion { result, body } = answer;
    let chunk = Chunk {
        frame: body,
        text: result.content.clone(),
    };
    Box::new(ReadyStream::new(
        [chunk],
        Closed::whole(result, Bytes::new()),
    ))
}

#[async_trait]
impl ModelClient for Gate {
    fn name(&self) -> &'static str {
        "gate"
    }

    async fn complete(&self, call: &ModelCall) -> Result<Completion, ProviderError> {
        self.arrived.add_permits(1);
        self.release.acquire().await.unwrap().forget();
        let cost = self.cost.clone();
        Ok(Completion {
            result: ModelCallResult::answered(call, "gate-1", "tests", "Through.", cost),
            body: "{}".into(),
        })
    }

    async fn stream(&self, call: &ModelCall) -> Result<ModelStream, ProviderError> {
        self.complete(call).await.map(in_one_piece)
    }
}
