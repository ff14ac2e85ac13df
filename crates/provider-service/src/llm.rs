//! Alias → group → call → end.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use alias_registry::AliasRegistry;
use event_store::{IdSource, SystemClock};
use futures_util::FutureExt;
use provider_core::{ChatRequest, ModelCall, ProviderError};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::call::{CallEnd, PlannedCall, StopReason};
use crate::{CallError, FallbackManager, FallbackPolicy};

/// Longest `response_summary`, unless configured.
const DEFAULT_SUMMARY_BYTES: usize = 8192;

/// Plans and makes model calls. Knows nothing of tasks.
#[derive(Debug)]
pub struct LlmService {
    registry: AliasRegistry,
    clients: FallbackManager,
    ids: IdSource,
    pub(crate) summary_max_bytes: usize,
}

impl LlmService {
    /// A service over these aliases and clients.
    #[must_use]
    pub fn new(registry: AliasRegistry, clients: FallbackManager) -> Self {
        let ids = IdSource::new(Arc::new(SystemClock));
        Self {
            registry,
            clients,
            ids,
            summary_max_bytes: DEFAULT_SUMMARY_BYTES,
        }
    }

    /// Sets the longest `response_summary` of an event, in bytes.
    #[must_use]
    pub fn with_summary_bytes(mut self, max: usize) -> Self {
        self.summary_max_bytes = max;
        self
    }

    /// The aliases.
    #[must_use]
    pub fn aliases(&self) -> &AliasRegistry {
        &self.registry
    }

    /// Resolves the alias. Never fails: an unknown one goes to the default group.
    #[must_use]
    pub fn plan(&self, alias: &str, request: ChatRequest) -> PlannedCall {
        let found = self.registry.resolve(alias);
        PlannedCall {
            call: ModelCall {
                model_alias: event_payloads::first_chars(alias.trim(), 100).to_owned(),
                runtime_group: found.runtime_group,
                request,
            },
            category: found.category,
            matched: found.matched,
            artifact_id: self.ids.artifact_id(),
        }
    }

    /// Makes the call, in a span of its own. Ends early if it is told to stop.
    pub async fn run(&self, planned: &PlannedCall, policy: FallbackPolicy, stop: &Stop) -> CallEnd {
        let span = tracing::info_span!(
            "model_call",
            gen_ai.operation.name = "chat",
            gen_ai.request.model = %planned.call.runtime_group,
            octo.alias = %planned.call.model_alias,
            gen_ai.response.model = tracing::field::Empty,
            gen_ai.usage.input_tokens = tracing::field::Empty,
            gen_ai.usage.output_tokens = tracing::field::Empty,
            octo.cost_usd = tracing::field::Empty,
        );
        self.run_inner(planned, policy, stop).instrument(span).await
    }

    async fn run_inner(
        &self,
        planned: &PlannedCall,
        policy: FallbackPolicy,
        stop: &Stop,
    ) -> CallEnd {
        let started = Instant::now();
        // An answer that is there wins over a stop that came at the same moment: it is paid for.
        let end = tokio::select! {
            biased;
            result = AssertUnwindSafe(self.clients.call(&planned.call, policy)).catch_unwind() => {
                match result {
                    Ok(Ok(completion)) => CallEnd::Completed(Box::new(completion)),
                    Ok(Err(error)) => CallEnd::Failed(Box::new(error), started.elapsed()),
                    Err(_panic) => CallEnd::Failed(Box::new(fault_of_ours()), started.elapsed()),
                }
            }
            reason = stop.stopped() => CallEnd::Stopped(reason, started.elapsed()),
        };
        log(&end);
        end
    }
}

/// A client that panics must not leave a call without an end.
fn fault_of_ours() -> CallError {
    CallError::Primary(ProviderError::InvalidAnswer {
        reason: "reading it hit a fault in octo itself; please report it with the log".to_owned(),
        source: None,
    })
}

fn log(end: &CallEnd) {
    let span = tracing::Span::current();
    match end {
        CallEnd::Completed(completion) => {
            let result = &completion.result;
            span.record("gen_ai.response.model", result.model_name.as_str());
            if let Some(usage) = result.token_usage {
                span.record("gen_ai.usage.input_tokens", usage.prompt_tokens);
                span.record("gen_ai.usage.output_tokens", usage.completion_tokens);
            }
            if let Some(usd) = result.cost.usd() {
                span.record("octo.cost_usd", tracing::field::display(usd));
            }
            tracing::info!(
                duration_ms = result.duration_ms(),
                fallback = result.fallback.is_some(),
                "model call completed"
            );
        }
        CallEnd::Failed(error, _) => {
            tracing::warn!(kind = error.primary().kind(), %error, "model call failed");
        }
        CallEnd::Stopped(reason, _) => tracing::warn!(?reason, "model call stopped"),
    }
}

/// Tells a call to stop.
#[derive(Clone, Debug)]
pub struct Stop {
    pub(crate) cancel: CancellationToken,
    pub(crate) shutdown: CancellationToken,
}

impl Stop {
    /// Waits until the call has to stop.
    pub(crate) async fn stopped(&self) -> StopReason {
        tokio::select! {
            () = self.cancel.cancelled() => StopReason::Cancelled,
            () = self.shutdown.cancelled() => StopReason::Shutdown,
        }
    }
}
