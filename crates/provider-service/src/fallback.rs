//! The proxy first, every time; the fallback only when that failed and somebody else could answer.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use event_payloads::Cost;
use provider_core::{
    AnswerStream, Chunk, Closed, Completion, FallbackReason, ModelCall, ModelCallResult,
    ModelClient, ModelStream, ProviderError,
};

/// Whether a fallback may answer in the place of the model that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FallbackPolicy {
    /// It may; the answer says so.
    Allow,
    /// It may not: the caller is a program that would take the echo for an answer.
    Refuse,
}

/// Tries the primary client on every call, so there is no state to get stuck in: when the proxy is
/// back, the next call uses it.
#[derive(Clone)]
pub struct FallbackManager {
    primary: Arc<dyn ModelClient>,
    fallback: Option<Arc<dyn ModelClient>>,
}

impl fmt::Debug for FallbackManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FallbackManager")
            .field("primary", &self.primary.name())
            .field(
                "fallback",
                &self.fallback.as_ref().map(|client| client.name()),
            )
            .finish()
    }
}

/// Nobody answered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The primary client failed, and no fallback was tried.
    #[error("{0}")]
    Primary(#[source] ProviderError),
    /// Both failed.
    #[error("{primary}; the fallback failed too: {fallback}")]
    Both {
        /// Why the primary client failed.
        #[source]
        primary: ProviderError,
        /// Why the fallback failed.
        fallback: ProviderError,
    },
}

impl CallError {
    /// Why the primary client failed.
    #[must_use]
    pub const fn primary(&self) -> &ProviderError {
        match self {
            Self::Primary(error) | Self::Both { primary: error, .. } => error,
        }
    }

    /// True if the fallback had been tried too.
    #[must_use]
    pub const fn tried_fallback(&self) -> bool {
        matches!(self, Self::Both { .. })
    }
}

impl FallbackManager {
    /// A primary client and who answers when it can not.
    #[must_use]
    pub fn new(primary: Arc<dyn ModelClient>, fallback: Arc<dyn ModelClient>) -> Self {
        Self {
            primary,
            fallback: Some(fallback),
        }
    }

    /// A primary client alone.
    #[must_use]
    pub fn without_fallback(primary: Arc<dyn ModelClient>) -> Self {
        Self {
            primary,
            fallback: None,
        }
    }

    /// Makes one call.
    ///
    /// # Errors
    /// The primary client failed and the fallback was not allowed, could not help, or failed too.
    pub async fn call(
        &self,
        call: &ModelCall,
        policy: FallbackPolicy,
    ) -> Result<Completion, CallError> {
        let error = match self.primary.complete(call).await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let Some(fallback) = self.instead_of(&error, policy) else {
            return Err(CallError::Primary(error));
        };
        match fallback.complete(call).await {
            Ok(mut answer) => {
                Mark::of(&error).put_on(&mut answer.result);
                Ok(answer)
            }
            Err(fallback) => Err(CallError::Both {
                primary: error,
                fallback,
            }),
        }
    }

    /// Makes one call whose answer comes in pieces, and waits for the first of them. Once that is there,
    /// nobody else can answer any more.
    ///
    /// # Errors
    /// As [`call`](Self::call), before the first piece.
    pub async fn stream(
        &self,
        call: &ModelCall,
        policy: FallbackPolicy,
    ) -> Result<ModelStream, CallError> {
        let error = match self.primary.stream(call).await {
            Ok(stream) => return Ok(stream),
            Err(error) => error,
        };
        let Some(fallback) = self.instead_of(&error, policy) else {
            return Err(CallError::Primary(error));
        };
        match fallback.stream(call).await {
            Ok(stream) => Ok(Box::new(Marked {
                stream,
                mark: Mark::of(&error),
            })),
            Err(fallback) => Err(CallError::Both {
                primary: error,
                fallback,
            }),
        }
    }

    /// Who may answer instead of the primary client, after this error.
    fn instead_of(
        &self,
        error: &ProviderError,
        policy: FallbackPolicy,
    ) -> Option<&dyn ModelClient> {
        let fallback = self.fallback.as_deref()?;
        if policy == FallbackPolicy::Refuse || !error.is_recoverable() {
            return None;
        }
        tracing::warn!(%error, fallback = fallback.name(), "the primary client failed, using the fallback");
        Some(fallback)
    }
}

/// What marks the fallback's answer as what it is.
///
/// The answer itself was free, but if the failed call reached a model its provider may still bill:
/// then the cost of the whole is not known, and 0 would be a lie.
struct Mark {
    reason: FallbackReason,
    cost: Option<Cost>,
}

impl Mark {
    fn of(error: &ProviderError) -> Self {
        let cost = error.may_be_billed().then(|| {
            Cost::Unavailable(format!(
                "the fallback answered for free, but the failed call ({}) may have reached a model, whose provider may bill for it",
                error.kind()
            ))
        });
        Self {
            reason: FallbackReason::new(&error.to_string()),
            cost,
        }
    }

    fn put_on(self, result: &mut ModelCallResult) {
        result.fallback = Some(self.reason);
        if let Some(cost) = self.cost {
            result.cost = cost;
        }
    }
}

/// The fallback's answer in pieces.
struct Marked {
    stream: ModelStream,
    mark: Mark,
}

#[async_trait]
impl AnswerStream for Marked {
    fn model_name(&self) -> &str {
        self.stream.model_name()
    }

    fn fallback(&self) -> Option<&FallbackReason> {
        Some(&self.mark.reason)
    }

    async fn next(&mut self) -> Result<Option<Chunk>, ProviderError> {
        self.stream.next().await
    }

    async fn close(self: Box<Self>) -> Closed {
        let mut closed = self.stream.close().await;
        self.mark.put_on(&mut closed.result);
        closed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use provider_core::{CallerFault, ModelRequest, ProxyReply, TimeoutPhase};
    use provider_echo::EchoClient;
    use std::time::Duration;

    /// Fails with whatever it is told to.
    struct Failing(fn() -> ProviderError);

    #[async_trait]
    impl ModelClient for Failing {
        fn name(&self) -> &'static str {
            "failing"
        }

        async fn complete(&self, _: &ModelCall) -> Result<Completion, ProviderError> {
            Err((self.0)())
        }

        async fn stream(&self, _: &ModelCall) -> Result<ModelStream, ProviderError> {
            Err((self.0)())
        }
    }

    fn refused() -> ProviderError {
        ProviderError::Unreachable {
            address: "http://localhost:1".into(),
            detail: "connection refused".into(),
            request_sent: false,
            source: "refused".into(),
        }
    }

    fn timed_out() -> ProviderError {
        let limit = Duration::from_secs(30);
        ProviderError::Timeout {
            phase: TimeoutPhase::Call,
            limit,
            elapsed: limit,
        }
    }

    fn callers_fault() -> ProviderError {
        let reply = ProxyReply {
            status: 400,
            message: "no messages".into(),
            ..ProxyReply::default()
        };
        ProviderError::Caller {
            fault: CallerFault::InvalidRequest,
            reply,
        }
    }

    async fn call(
        error: fn() -> ProviderError,
        policy: FallbackPolicy,
    ) -> Result<Completion, CallError> {
        let call = ModelCall {
            model_alias: "planner".into(),
            runtime_group: "main".parse().unwrap(),
            request: ModelRequest::from_prompt("hi"),
        };
        FallbackManager::new(Arc::new(Failing(error)), Arc::new(EchoClient))
            .call(&call, policy)
            .await
    }

    #[tokio::test]
    async fn an_unreachable_proxy_is_answered_by_the_echo_with_the_reason_at_no_cost() {
        let result = call(refused, FallbackPolicy::Allow).await.unwrap().result;
        assert_eq!(result.content, "Echo: hi");
        assert!(
            result
                .fallback
                .unwrap()
                .as_str()
                .contains("connection refused")
        );
        assert_eq!(result.cost, Cost::FREE);
    }

    #[tokio::test]
    async fn a_fallback_after_a_timeout_does_not_claim_that_nothing_was_billed() {
        let result = call(timed_out, FallbackPolicy::Allow).await.unwrap().result;
        assert!(matches!(result.cost, Cost::Unavailable(reason) if reason.contains("timeout")));
    }

    #[tokio::test]
    async fn a_stream_that_does_not_begin_is_echoed_with_the_same_mark() {
        let call = ModelCall {
            model_alias: "planner".into(),
            runtime_group: "main".parse().unwrap(),
            request: ModelRequest::from_prompt("hi"),
        };
        let clients = FallbackManager::new(Arc::new(Failing(timed_out)), Arc::new(EchoClient));
        let mut stream = clients.stream(&call, FallbackPolicy::Allow).await.unwrap();
        assert!(stream.fallback().is_some());
        let mut text = String::new();
        while let Some(chunk) = stream.next().await.unwrap() {
            text.push_str(&chunk.text);
        }
        assert_eq!(text, "Echo: hi");
        let result = stream.close().await.result;
        assert_eq!(result.content, text);
        assert!(matches!(result.cost, Cost::Unavailable(reason) if reason.contains("timeout")));
        assert!(result.fallback.unwrap().as_str().contains("30000 ms"));
        let refused = clients.stream(&call, FallbackPolicy::Refuse).await;
        assert!(matches!(refused, Err(CallError::Primary(_))));
    }

    #[tokio::test]
    async fn the_callers_fault_is_never_hidden_by_an_echo() {
        let error = call(callers_fault, FallbackPolicy::Allow)
            .await
            .unwrap_err();
        assert!(matches!(
            error,
            CallError::Primary(ProviderError::Caller { .. })
        ));
    }

    #[tokio::test]
    async fn a_policy_that_refuses_gets_the_primary_error() {
        let error = call(refused, FallbackPolicy::Refuse).await.unwrap_err();
        assert!(!error.tried_fallback());
        assert_eq!(error.primary().kind(), "unreachable");
    }

    #[tokio::test]
    async fn both_failing_shows_both_reasons() {
        let failing =
            FallbackManager::new(Arc::new(Failing(refused)), Arc::new(Failing(timed_out)));
        let call = ModelCall {
            model_alias: "planner".into(),
            runtime_group: "main".parse().unwrap(),
            request: ModelRequest::from_prompt("hi"),
        };
        let error = failing
            .call(&call, FallbackPolicy::Allow)
            .await
            .unwrap_err();
        let message = error.to_string();
        assert!(
            message.contains("connection refused") && message.contains("30000 ms"),
            "{message}"
        );
        assert!(error.tried_fallback());
    }
}
