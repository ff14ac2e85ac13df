//! Alias → group → call → end.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use alias_registry::AliasRegistry;
use bytes::Bytes;
use event_payloads::Cost;
use event_store::{IdSource, SystemClock};
use futures_util::FutureExt;
use provider_core::{
    AnswerStream, Closed, Completion, ModelCall, ModelCallResult, ModelRequest, ModelStream,
    ProviderError,
};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::call::{CallEnd, PlannedCall, StopReason, Used};
use crate::listener::{Gone, Listener};
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
    pub(crate) fn plan(&self, alias: &str, request: ModelRequest) -> PlannedCall {
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
    pub(crate) async fn run(
        &self,
        planned: &PlannedCall,
        policy: FallbackPolicy,
        stop: &Stop,
    ) -> Ended {
        let started = Instant::now();
        let calling = async {
            // An answer that is there wins over a stop that came at the same moment: it is paid for.
            tokio::select! {
                biased;
                outcome = self.clients.call(&planned.call, policy) => match outcome {
                    Ok(Completion { result, body }) => Ended::completed(result, body),
                    Err(error) => Ended::failed(error, Used::since(started)),
                },
                reason = stop.stopped() => Ended::stopped(reason, Used::since(started)),
            }
        };
        accounted(calling, started)
            .instrument(span_of(planned))
            .await
    }

    /// Makes the call, and has a listener hear the answer while it comes. Ends early if it is told to stop
    /// or the listener goes.
    pub(crate) async fn stream(
        &self,
        planned: &PlannedCall,
        policy: FallbackPolicy,
        stop: &Stop,
        listener: &mut dyn Listener,
    ) -> Ended {
        let started = Instant::now();
        let streaming = async {
            let opened = tokio::select! {
                biased;
                opened = self.clients.stream(&planned.call, policy) => opened,
                reason = left(stop, listener) => {
                    return Ended::stopped(reason, Used::since(started));
                }
            };
            match opened {
                Ok(stream) => hand_on(stream, stop, listener, started).await,
                Err(error) => Ended::failed(error, Used::since(started)),
            }
        };
        accounted(streaming, started)
            .instrument(span_of(planned))
            .await
    }
}

/// How a call ended, and what is still to be handed to who asked.
#[derive(Debug)]
pub(crate) struct Ended {
    /// How.
    pub(crate) end: CallEnd,
    /// The whole answer, or the last frames of a stream; to be handed on once the end is recorded.
    pub(crate) body: Bytes,
}

impl Ended {
    fn completed(result: ModelCallResult, body: Bytes) -> Self {
        let end = CallEnd::Completed(Box::new(result));
        Self { end, body }
    }

    fn failed(error: CallError, used: Used) -> Self {
        let end = CallEnd::Failed(Box::new(error), used);
        let body = Bytes::new();
        Self { end, body }
    }

    fn stopped(reason: StopReason, used: Used) -> Self {
        let end = CallEnd::Stopped(reason, used);
        let body = Bytes::new();
        Self { end, body }
    }
}

/// Runs a call to its end. A client that panics must not leave it without one.
async fn accounted(calling: impl Future<Output = Ended>, started: Instant) -> Ended {
    let ended = AssertUnwindSafe(calling).catch_unwind().await;
    let ended = ended.unwrap_or_else(|_panic| Ended::failed(fault_of_ours(), Used::since(started)));
    log(&ended.end);
    ended
}

/// Why a stream ends before its answer does.
enum Interruption {
    Broken(ProviderError),
    Stopped(StopReason),
}

/// Hands the pieces on until the answer is whole or something ends it. The stream is closed either way:
/// what it has used up is paid for.
async fn hand_on(
    mut stream: ModelStream,
    stop: &Stop,
    listener: &mut dyn Listener,
    started: Instant,
) -> Ended {
    listener.begins(stream.as_ref());
    let interrupted = pieces(stream.as_mut(), stop, listener).await.err();
    let Closed {
        result,
        is_whole,
        tail,
        last_words,
    } = stream.close().await;
    let used = |result: ModelCallResult| Used {
        duration: started.elapsed(),
        so_far: Some(Box::new(result)),
    };
    match interrupted {
        None => Ended::completed(result, tail),
        // All of it had come: who leaves before the end is said has what was asked for.
        Some(Interruption::Stopped(StopReason::CallerGone)) if is_whole => {
            Ended::completed(result, tail)
        }
        Some(Interruption::Broken(error)) => Ended {
            body: last_words,
            ..Ended::failed(CallError::Primary(error), used(result))
        },
        Some(Interruption::Stopped(reason)) => Ended::stopped(reason, used(result)),
    }
}

async fn pieces(
    stream: &mut dyn AnswerStream,
    stop: &Stop,
    listener: &mut dyn Listener,
) -> Result<(), Interruption> {
    loop {
        let chunk = tokio::select! {
            biased;
            reason = left(stop, listener) => return Err(Interruption::Stopped(reason)),
            next = stream.next() => next.map_err(Interruption::Broken)?,
        };
        let Some(chunk) = chunk else { return Ok(()) };
        tokio::select! {
            biased;
            reason = stop.stopped() => return Err(Interruption::Stopped(reason)),
            heard = listener.hear(chunk) => {
                heard.map_err(|Gone| Interruption::Stopped(StopReason::CallerGone))?;
            }
        }
    }
}

/// Waits until the call has to stop, or nobody listens any more.
async fn left(stop: &Stop, listener: &mut dyn Listener) -> StopReason {
    tokio::select! {
        reason = stop.stopped() => reason,
        () = listener.gone() => StopReason::CallerGone,
    }
}

fn span_of(planned: &PlannedCall) -> tracing::Span {
    tracing::info_span!(
        "model_call",
        gen_ai.operation.name = planned.call.request.endpoint().operation(),
        gen_ai.request.model = %planned.call.runtime_group,
        octo.alias = %planned.call.model_alias,
        gen_ai.response.model = tracing::field::Empty,
        gen_ai.usage.input_tokens = tracing::field::Empty,
        gen_ai.usage.output_tokens = tracing::field::Empty,
        octo.cost_usd = tracing::field::Empty,
    )
}

fn fault_of_ours() -> CallError {
    CallError::Primary(ProviderError::InvalidAnswer {
        reason: "reading it hit a fault in octo itself; please report it with the log".to_owned(),
        source: None,
    })
}

fn log(end: &CallEnd) {
    let span = tracing::Span::current();
    match end {
        CallEnd::Completed(result) => {
            span.record("gen_ai.response.model", result.model_name.as_str());
            if let Some(usage) = result.token_usage {
                span.record("gen_ai.usage.input_tokens", usage.prompt_tokens);
                span.record("gen_ai.usage.output_tokens", usage.completion_tokens);
            }
            if let Some(usd) = result.cost.usd() {
                span.record("octo.cost_usd", tracing::field::display(usd));
            }
            if let Cost::Known {
                drift: Some(drift), ..
            } = result.cost
            {
                // A counter, by the name that tracing-opentelemetry's metrics layer reads.
                tracing::warn!(
                    monotonic_counter.octo_cost_drift = 1_u64,
                    model = result.model_name,
                    proxy_usd = %drift.proxy_usd,
                    price_book_usd = %drift.price_book_usd,
                    "the proxy's figure and the price book's differ"
                );
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
pub(crate) struct Stop {
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
