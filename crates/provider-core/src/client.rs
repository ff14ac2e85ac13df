//! One way to have a model answer.

use async_trait::async_trait;
use bytes::Bytes;
use event_payloads::RuntimeGroup;

use crate::{ModelCallResult, ModelRequest, ModelStream, ProviderError};

/// One call: who was asked for, which group that is, and what is asked.
#[derive(Clone, Debug)]
pub struct ModelCall {
    /// The alias (or group) as the caller wrote it.
    pub model_alias: String,
    /// The proxy's model group that it resolved to.
    pub runtime_group: RuntimeGroup,
    /// What is asked.
    pub request: ModelRequest,
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

    /// Makes one call and waits for the whole answer, within the client's own time and size limits.
    ///
    /// Dropping the future ends the call: its connection is closed and not used again.
    ///
    /// # Errors
    /// Every way in which no usable answer came back; see [`ProviderError`].
    async fn complete(&self, call: &ModelCall) -> Result<Completion, ProviderError>;

    /// Makes one call and waits for the first piece of its answer.
    ///
    /// The answer comes as a stream whatever the request's own `stream` says. Dropping the future or the
    /// stream ends the call, as above.
    ///
    /// # Errors
    /// No piece of an answer came; see [`ProviderError`].
    async fn stream(&self, call: &ModelCall) -> Result<ModelStream, ProviderError>;
}
