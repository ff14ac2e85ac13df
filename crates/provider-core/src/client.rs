//! One way to have a model answer.

use async_trait::async_trait;
use bytes::Bytes;
use event_payloads::RuntimeGroup;

use crate::{ChatRequest, ModelCallResult, ProviderError};

/// One call: who was asked for, which group that is, and what is asked.
#[derive(Clone, Debug)]
pub struct ModelCall {
    /// The alias (or group) as the caller wrote it.
    pub model_alias: String,
    /// The proxy's model group that it resolved to.
    pub runtime_group: RuntimeGroup,
    /// What is asked.
    pub request: ChatRequest,
}

/// An answer, read and as it came.
#[derive(Clone, Debug)]
pub struct Completion {
    /// What the call gave and cost.
    pub result: ModelCallResult,
    /// The OpenAI-shaped JSON body, byte for byte as the upstream sent it.
    pub body: Bytes,
}

/// Has a model answer. Implementations hold no state that a failed call could leave broken.
#[async_trait]
pub trait ModelClient: Send + Sync {
    /// A word for logs and reasons: `litellm`, `echo`.
    fn name(&self) -> &'static str;

    /// Makes one call, within the client's own time and size limits.
    ///
    /// Dropping the future ends the call: its connection is closed and not used again.
    ///
    /// # Errors
    /// Every way in which no usable answer came back; see [`ProviderError`].
    async fn complete(&self, call: &ModelCall) -> Result<Completion, ProviderError>;
}
