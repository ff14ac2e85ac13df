//! Why a call gave no answer, told apart by what can be done about it.

use std::fmt;
use std::time::Duration;

/// The source of an error.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a call gave no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProviderError {
    /// No connection, or it broke.
    #[error(
        "cannot reach the LiteLLM Proxy at {address} ({detail}); check that it runs and that LITELLM_PROXY_URL is right"
    )]
    Unreachable {
        /// The address tried: scheme, host and port.
        address: String,
        /// What happened, in a few words: `connection refused`, `connection reset after the request was sent`.
        detail: String,
        /// True if the request may have reached the proxy before the connection broke.
        request_sent: bool,
        /// The cause.
        #[source]
        source: BoxError,
    },

    /// A limit ran out.
    #[error("the LiteLLM Proxy did not answer in time: the {phase} limit of {limit} ms ran out after {elapsed} ms; {setting} sets it", limit = limit.as_millis(), elapsed = elapsed.as_millis(), setting = phase.setting())]
    Timeout {
        /// Which limit.
        phase: TimeoutPhase,
        /// The limit.
        limit: Duration,
        /// The time that had passed.
        elapsed: Duration,
    },

    /// The proxy does not accept our key.
    #[error("the LiteLLM Proxy rejects our key (status {}: {}); check LITELLM_PROXY_KEY", .0.status, .0.message)]
    KeyRejected(ProxyReply),

    /// The proxy or every model behind the group failed: 408, 429, 5xx.
    #[error("the LiteLLM Proxy could not get an answer from a model (status {}: {})", .reply.status, .reply.message)]
    Upstream {
        /// What the proxy said.
        reply: ProxyReply,
        /// How long to wait before trying again, if the proxy said so.
        retry_after: Option<Duration>,
    },

    /// An answer came, and can not be used: cut short, not JSON, over the size limit.
    #[error("the answer of the LiteLLM Proxy can not be used: {reason}")]
    InvalidAnswer {
        /// What is wrong with it.
        reason: String,
        /// The cause, if another error showed it.
        #[source]
        source: Option<BoxError>,
    },

    /// The request itself is at fault: nobody else would answer it either.
    #[error("{fault}: {}", .reply.message)]
    Caller {
        /// What kind of fault.
        fault: CallerFault,
        /// What the proxy said.
        reply: ProxyReply,
    },
}

/// An error as the proxy wrote it: `{"error": {"message", "type", "param", "code"}}`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProxyReply {
    /// The HTTP status.
    pub status: u16,
    /// What the proxy says happened. Shortened, and without anything that looks like a key.
    pub message: String,
    /// `error.type`, if any.
    pub error_type: Option<String>,
    /// `error.param`, if any.
    pub param: Option<String>,
    /// `error.code`, if any.
    pub code: Option<String>,
}

/// Which limit ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TimeoutPhase {
    /// Setting up the connection.
    Connect,
    /// The whole call, or the first piece of a stream.
    Call,
    /// Nothing came for too long in the middle of a stream.
    Idle,
    /// The whole stream.
    Stream,
}

impl TimeoutPhase {
    /// The setting that holds the limit.
    const fn setting(self) -> &'static str {
        match self {
            Self::Connect => "proxy.connect_timeout_s",
            Self::Call => "OCTOAGENT_LLM_TIMEOUT_S",
            Self::Idle => "proxy.stream_idle_timeout_s",
            Self::Stream => "proxy.stream_timeout_s",
        }
    }
}

impl fmt::Display for TimeoutPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "connect",
            Self::Call => "whole-call",
            Self::Idle => "idle",
            Self::Stream => "whole-stream",
        })
    }
}

/// What is wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CallerFault {
    /// A field is wrong or missing.
    InvalidRequest,
    /// The prompt does not fit the model.
    ContextWindowExceeded,
    /// The provider refuses the content.
    ContentPolicy,
}

impl fmt::Display for CallerFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InvalidRequest => "the request is not valid",
            Self::ContextWindowExceeded => "the prompt is larger than the model's context window",
            Self::ContentPolicy => "the provider refuses the content of the request",
        })
    }
}

impl ProviderError {
    /// True if somebody else could answer the same request: the fallback may be tried.
    ///
    /// False for the caller's own fault, which a fallback would only hide.
    #[must_use]
    pub const fn is_recoverable(&self) -> bool {
        !matches!(self, Self::Caller { .. })
    }

    /// How long the proxy asks us to wait.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Upstream { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// The limit that ran out, if one did.
    #[must_use]
    pub const fn timeout(&self) -> Option<Duration> {
        match self {
            Self::Timeout { limit, .. } => Some(*limit),
            _ => None,
        }
    }

    /// What the proxy replied, if it did.
    #[must_use]
    pub const fn reply(&self) -> Option<&ProxyReply> {
        match self {
            Self::KeyRejected(reply)
            | Self::Upstream { reply, .. }
            | Self::Caller { reply, .. } => Some(reply),
            _ => None,
        }
    }

    /// True if a model may have worked, and its provider may bill, although we saw no answer.
    ///
    /// Then the cost of the call is unknown, not 0. It is 0 where the request can not have reached a
    /// model: no connection, a rejected key, a refused request, a rate limit.
    #[must_use]
    pub const fn may_be_billed(&self) -> bool {
        match self {
            Self::Unreachable { request_sent, .. } => *request_sent,
            Self::Timeout { phase, .. } => !matches!(phase, TimeoutPhase::Connect),
            Self::KeyRejected(_) => false,
            // Any other refusal says that no model was asked: a rate limit, the provider's own refusal.
            Self::Upstream { reply, .. } => matches!(reply.status, 408 | 500..),
            Self::InvalidAnswer { .. } => true,
            // A content filter can also act on an answer that was already written.
            Self::Caller { fault, .. } => matches!(fault, CallerFault::ContentPolicy),
        }
    }

    /// The kind in one word, for `MODEL_CALL_FAILED.error_type` and metrics.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "unreachable",
            Self::Timeout { .. } => "timeout",
            Self::KeyRejected(_) => "key_rejected",
            Self::Upstream { reply, .. } => match reply.status {
                408 => "upstream_timeout",
                429 => "rate_limited",
                _ => "upstream_error",
            },
            Self::InvalidAnswer { .. } => "invalid_answer",
            Self::Caller { fault, .. } => match fault {
                CallerFault::InvalidRequest => "invalid_request",
                CallerFault::ContextWindowExceeded => "context_window_exceeded",
                CallerFault::ContentPolicy => "content_policy",
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: u16) -> ProxyReply {
        ProxyReply {
            status,
            message: "m".into(),
            ..ProxyReply::default()
        }
    }

    #[test]
    fn only_the_callers_fault_is_not_recoverable() {
        let caller = ProviderError::Caller {
            fault: CallerFault::InvalidRequest,
            reply: reply(400),
        };
        assert!(!caller.is_recoverable());
        assert!(ProviderError::KeyRejected(reply(401)).is_recoverable());
        assert!(
            ProviderError::Upstream {
                reply: reply(500),
                retry_after: None
            }
            .is_recoverable()
        );
    }

    #[test]
    fn a_call_that_reached_nobody_costs_nothing_and_one_that_may_have_is_unknown() {
        let broken = |request_sent| ProviderError::Unreachable {
            address: "http://localhost:4000".into(),
            detail: "connection refused".into(),
            request_sent,
            source: "refused".into(),
        };
        assert!(!broken(false).may_be_billed());
        assert!(broken(true).may_be_billed());
        assert!(
            !ProviderError::Upstream {
                reply: reply(429),
                retry_after: None
            }
            .may_be_billed()
        );
        assert!(
            ProviderError::Upstream {
                reply: reply(408),
                retry_after: None
            }
            .may_be_billed()
        );
        let (limit, elapsed) = (Duration::from_secs(30), Duration::from_millis(30_001));
        assert!(
            ProviderError::Timeout {
                phase: TimeoutPhase::Call,
                limit,
                elapsed
            }
            .may_be_billed()
        );
        assert!(
            !ProviderError::Timeout {
                phase: TimeoutPhase::Connect,
                limit,
                elapsed
            }
            .may_be_billed()
        );
    }

    #[test]
    fn a_message_names_the_limit_and_the_setting() {
        let error = ProviderError::Timeout {
            phase: TimeoutPhase::Call,
            limit: Duration::from_secs(30),
            elapsed: Duration::from_millis(30_001),
        };
        insta::assert_snapshot!(error, @"the LiteLLM Proxy did not answer in time: the whole-call limit of 30000 ms ran out after 30001 ms; OCTOAGENT_LLM_TIMEOUT_S sets it");
    }
}
