//! Is the proxy there, and does it take our key?

use provider_core::{ProviderError, ProxyReply};

use crate::refusal::refusal;
use crate::transport::{Reply, Transport};

/// What a probe found wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProbeError {
    /// Nobody answers.
    #[error("{0}")]
    Unreachable(#[source] ProviderError),
    /// The proxy does not accept our key.
    #[error("the LiteLLM Proxy rejects our key (status {}); check LITELLM_PROXY_KEY", .0.status)]
    KeyRejected(ProxyReply),
    /// It answers, but not as a proxy that works.
    #[error("{0}")]
    Other(#[source] ProviderError),
}

/// An answer with a success status, or what is wrong.
pub(crate) fn checked(
    transport: &Transport,
    outcome: Result<Reply, ProviderError>,
) -> Result<Reply, ProbeError> {
    let error = match outcome {
        Ok(reply) if reply.head.status.is_success() => return Ok(reply),
        Ok(reply) => refusal(&reply, transport.key()),
        Err(error) => error,
    };
    Err(match error {
        ProviderError::KeyRejected(reply) => ProbeError::KeyRejected(reply),
        error @ (ProviderError::Unreachable { .. } | ProviderError::Timeout { .. }) => {
            ProbeError::Unreachable(error)
        }
        error => ProbeError::Other(error),
    })
}
