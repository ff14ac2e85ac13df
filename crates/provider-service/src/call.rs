//! One model call, from its plan to the events of its end.

use std::time::{Duration, Instant};

use alias_registry::Matched;
use event_payloads::{
    Actor, ArtifactCreated, ArtifactId, Category, Cost, EventId, ModelCallCompleted,
    ModelCallFailed, ModelCallStarted, Payload, summary,
};
use event_store::{NewArtifact, NewEvent, Parent};
use provider_core::{FallbackReason, ModelCall, ModelCallResult, ProviderError};

use crate::CallError;

/// Name of the artifact that holds a whole answer.
const RESPONSE_ARTIFACT: &str = "llm-response";

/// A call that is about to be made: the alias is resolved, nothing has left yet.
#[derive(Clone, Debug)]
pub(crate) struct PlannedCall {
    pub(crate) call: ModelCall,
    pub(crate) category: Category,
    pub(crate) matched: Matched,
    /// Made beforehand, so that one commit can hold both the artifact and the event that names it.
    pub(crate) artifact_id: ArtifactId,
}

/// How a call ended.
#[derive(Debug)]
pub(crate) enum CallEnd {
    /// Somebody answered.
    Completed(Box<ModelCallResult>),
    /// Nobody answered, or the answer broke off.
    Failed(Box<CallError>, Used),
    /// It was stopped before the whole answer was there.
    Stopped(StopReason, Used),
}

/// What a call without a whole answer took.
#[derive(Debug)]
pub(crate) struct Used {
    /// From sending the request to its end.
    pub(crate) duration: Duration,
    /// What had come of an answer in pieces, and what that cost.
    pub(crate) so_far: Option<Box<ModelCallResult>>,
}

impl Used {
    /// Time, and nothing that could be counted.
    pub(crate) fn since(started: Instant) -> Self {
        Self {
            duration: started.elapsed(),
            so_far: None,
        }
    }
}

/// Why a call was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// The user cancelled the task.
    Cancelled,
    /// The gateway ends, and its grace period is over.
    Shutdown,
    /// Who had asked hung up, or stopped reading, in the middle of the answer.
    CallerGone,
}

impl StopReason {
    /// The kind in one word, for events.
    pub(crate) const fn kind(self) -> &'static str {
        match self {
            Self::Cancelled => "cancelled",
            Self::Shutdown => "interrupted",
            Self::CallerGone => "caller_gone",
        }
    }

    /// Why, in a few words.
    pub(crate) const fn why(self) -> &'static str {
        match self {
            Self::Cancelled => "its task was cancelled",
            Self::Shutdown => "octo is shutting down",
            Self::CallerGone => "who had asked hung up",
        }
    }
}

/// What is written down at the end of a call.
#[derive(Debug)]
pub(crate) struct EndRecord {
    pub(crate) events: Vec<NewEvent>,
    pub(crate) artifact: Option<NewArtifact>,
}

impl PlannedCall {
    /// True if the alias that was asked for is not known and the default group stands in.
    pub(crate) fn is_unknown_alias(&self) -> bool {
        self.matched == Matched::Nothing
    }

    /// `MODEL_CALL_STARTED`, to be on disk before the request leaves.
    pub(crate) fn started(&self) -> NewEvent {
        let payload = Payload::ModelCallStarted(ModelCallStarted {
            model_alias: self.call.model_alias.clone(),
            request_summary: self.call.request.summary(),
            artifact_ref: None,
            category: self.category.to_string(),
            runtime_group: self.call.runtime_group.to_string(),
        });
        NewEvent::new(Actor::System, payload).span(self.span_id())
    }

    /// The one terminal event of the call, and its artifact if there is an answer.
    pub(crate) fn ended(
        &self,
        started: EventId,
        end: &CallEnd,
        summary_max_bytes: usize,
    ) -> EndRecord {
        let parent = Parent::Event(started);
        match end {
            CallEnd::Completed(result) => self.completed(parent, result, summary_max_bytes),
            CallEnd::Failed(error, used) => self.without_answer(parent, self.failed(error, used)),
            CallEnd::Stopped(reason, used) => {
                self.without_answer(parent, self.stopped(*reason, used))
            }
        }
    }

    fn completed(
        &self,
        parent: Parent,
        result: &ModelCallResult,
        summary_max_bytes: usize,
    ) -> EndRecord {
        let completed = ModelCallCompleted {
            model_alias: result.model_alias.clone(),
            response_summary: summary(&result.content, summary_max_bytes),
            duration_ms: result.duration_ms(),
            token_usage: result.token_usage,
            artifact_ref: Some(self.artifact_id.clone()),
            model_name: result.model_name.clone(),
            provider: result.provider.clone(),
            is_fallback: result.fallback.is_some(),
            fallback_reason: result
                .fallback
                .as_ref()
                .map_or("", FallbackReason::as_str)
                .to_owned(),
            category: self.category.to_string(),
            runtime_group: result.runtime_group.to_string(),
            finish_reason: result.finish_reason.clone().unwrap_or_default(),
            tool_call_count: u32::try_from(result.tool_calls.len()).unwrap_or(u32::MAX),
            attempted_retries: result.proxy.attempted_retries,
            attempted_fallbacks: result.proxy.attempted_fallbacks,
            proxy_call_id: result.proxy.call_id.clone().unwrap_or_default(),
            time_to_first_token_ms: result.time_to_first_token_ms(),
            usage_is_estimated: result.usage_is_estimated,
            cost_breakdown: result.cost_breakdown.as_deref().cloned(),
            ..ModelCallCompleted::default()
        }
        .with_cost(&result.cost);
        let artifact = self.artifact(result);
        let created = Payload::ArtifactCreated(ArtifactCreated {
            artifact_id: self.artifact_id.clone(),
            name: RESPONSE_ARTIFACT.to_owned(),
            size: u64::try_from(artifact.content.len()).unwrap_or(u64::MAX),
            part_count: 1,
        });
        let end = NewEvent::new(
            Actor::System,
            Payload::ModelCallCompleted(Box::new(completed)),
        );
        EndRecord {
            events: vec![
                end.span(self.span_id()).parent(parent),
                NewEvent::new(Actor::System, created)
                    .span(self.span_id())
                    .parent(Parent::InCommit(0)),
            ],
            artifact: Some(artifact),
        }
    }

    /// The whole answer: its text, or the tool calls where the model wrote none; of several answers, a list
    /// of all texts.
    fn artifact(&self, result: &ModelCallResult) -> NewArtifact {
        let (mime, content) = if !result.further_contents.is_empty() {
            let texts = std::iter::once(&result.content).chain(&result.further_contents);
            let texts: serde_json::Value = texts.map(String::as_str).collect();
            ("application/json", texts.to_string())
        } else if result.content.is_empty() && !result.tool_calls.is_empty() {
            let calls = serde_json::Value::Array(result.tool_calls.clone());
            ("application/json", calls.to_string())
        } else {
            ("text/plain", result.content.clone())
        };
        NewArtifact {
            artifact_id: self.artifact_id.clone(),
            name: RESPONSE_ARTIFACT.to_owned(),
            description: format!("answer of {}", result.model_name),
            mime: mime.to_owned(),
            content: content.into_bytes(),
        }
    }

    fn without_answer(&self, parent: Parent, failed: ModelCallFailed) -> EndRecord {
        let payload = Payload::ModelCallFailed(Box::new(failed));
        let end = NewEvent::new(Actor::System, payload)
            .span(self.span_id())
            .parent(parent);
        EndRecord {
            events: vec![end],
            artifact: None,
        }
    }

    fn failed(&self, error: &CallError, used: &Used) -> ModelCallFailed {
        let primary = error.primary();
        let cost = cost_of_failure(primary);
        let failed = self.failure(primary.kind(), error.to_string(), used, &cost);
        ModelCallFailed {
            timeout_ms: primary.timeout().map(millis),
            is_fallback: failed.is_fallback || error.tried_fallback(),
            ..failed
        }
    }

    fn stopped(&self, reason: StopReason, used: &Used) -> ModelCallFailed {
        let kind = reason.kind();
        let message = match reason {
            StopReason::Cancelled => "the task was cancelled before the whole answer was there",
            StopReason::Shutdown => {
                "octo ended before the whole answer was there; send the request again"
            }
            StopReason::CallerGone => "the caller hung up before the whole answer was there",
        };
        self.failure(kind, message.to_owned(), used, &unknown_cost(kind))
    }

    /// `cost` is what is known where nothing of an answer has come.
    fn failure(&self, kind: &str, message: String, used: &Used, cost: &Cost) -> ModelCallFailed {
        let failed = ModelCallFailed {
            model_alias: self.call.model_alias.clone(),
            error_type: kind.to_owned(),
            error_message: message,
            duration_ms: millis(used.duration),
            category: self.category.to_string(),
            runtime_group: self.call.runtime_group.to_string(),
            ..ModelCallFailed::default()
        };
        let Some(so_far) = &used.so_far else {
            return failed.with_cost(cost);
        };
        ModelCallFailed {
            model_name: so_far.model_name.clone(),
            provider: so_far.provider.clone(),
            token_usage: so_far.token_usage,
            usage_is_estimated: so_far.usage_is_estimated,
            time_to_first_token_ms: so_far.time_to_first_token_ms(),
            is_fallback: so_far.fallback.is_some(),
            ..failed
        }
        .with_cost(&so_far.cost)
    }

    /// Names the work in traces; the same on every event of the call.
    fn span_id(&self) -> String {
        format!("call-{}", self.artifact_id)
    }
}

/// What a call without an answer cost: nothing if it can not have reached a model, else nobody knows.
pub(crate) fn cost_of_failure(error: &ProviderError) -> Cost {
    if error.may_be_billed() {
        unknown_cost(error.kind())
    } else {
        Cost::FREE
    }
}

/// A call that may have reached a model, without an answer that says what it cost.
pub(crate) fn unknown_cost(kind: &str) -> Cost {
    Cost::Unavailable(format!(
        "the call ended without an answer ({kind}) after it may have reached a model, whose provider may bill for it"
    ))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
