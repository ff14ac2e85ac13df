//! What the end of a model call says about it.

use event_payloads::{
    Cost, CostSource, EventType, ModelCallCompleted, ModelCallFailed, Payload, Picodollars,
    TokenUsage,
};

use super::call::text;
use super::stamp::Seen;
use crate::{CallStatus, Tokens};

/// More tokens than any call has: an absurd answer must not make sums overflow.
const MAX_TOKENS: u64 = 1 << 40;
/// A longer time than any call takes: what a column of 63 bits holds.
const MAX_DURATION_MS: u64 = 1 << 62;

#[derive(Debug, Default)]
pub(crate) struct Ending {
    pub(crate) failed: bool,
    pub(crate) alias: String,
    pub(crate) category: String,
    pub(crate) runtime_group: String,
    pub(crate) model: String,
    pub(crate) provider: String,
    pub(crate) is_fallback: bool,
    pub(crate) cost: Option<Picodollars>,
    pub(crate) reason: String,
    pub(crate) source: CostSource,
    pub(crate) drift: bool,
    pub(crate) estimated: bool,
    pub(crate) tokens: Option<Tokens>,
    pub(crate) duration_ms: u64,
    pub(crate) error_type: String,
}

/// What both ends say in fields of the same names.
macro_rules! of_either {
    ($call:expr) => {
        Ending {
            alias: $call.model_alias.clone(),
            category: $call.category.clone(),
            runtime_group: $call.runtime_group.clone(),
            model: $call.model_name.clone(),
            provider: $call.provider.clone(),
            is_fallback: $call.is_fallback,
            estimated: $call.usage_is_estimated,
            tokens: $call.token_usage.as_ref().map(tokens),
            duration_ms: $call.duration_ms.min(MAX_DURATION_MS),
            ..Ending::default()
        }
    };
}

impl Ending {
    /// The ending that an event is, if it is one. `payload` is `None` where it has another shape: the
    /// call has ended all the same, at a cost that nobody can tell.
    pub(crate) fn of(event: Seen<'_>, payload: Option<&Payload>) -> Option<Self> {
        let failed = match event.event_type {
            EventType::ModelCallCompleted => false,
            EventType::ModelCallFailed => true,
            _ => return None,
        };
        Some(match payload {
            Some(Payload::ModelCallCompleted(call)) => Self::completed(event, call),
            Some(Payload::ModelCallFailed(call)) => Self::failed(call),
            _ => Self {
                failed,
                alias: text(event.payload(), "model_alias"),
                ..Self::default()
            }
            .at_cost(Cost::Unavailable("its event can not be read".to_owned())),
        })
    }

    fn completed(event: Seen<'_>, call: &ModelCallCompleted) -> Self {
        of_either!(call).at_cost(stated_cost(event, call.cost()))
    }

    fn failed(call: &ModelCallFailed) -> Self {
        Self {
            failed: true,
            error_type: call.error_type.clone(),
            ..of_either!(call)
        }
        .at_cost(call.cost())
    }

    fn at_cost(mut self, cost: Cost) -> Self {
        self.source = cost.source();
        match cost {
            Cost::Known { usd, drift, .. } => {
                self.cost = Some(usd.to_picodollars());
                self.drift = drift.is_some();
            }
            Cost::Unavailable(reason) => self.reason = reason,
        }
        self
    }

    pub(crate) const fn status(&self) -> CallStatus {
        if self.failed {
            CallStatus::Failed
        } else {
            CallStatus::Completed
        }
    }
}

/// An answer whose event says nothing about a cost was recorded before costs were: not known, and
/// not the zero that the missing fields default to.
fn stated_cost(event: Seen<'_>, cost: Cost) -> Cost {
    if event.states("cost_usd") || event.states("cost_unavailable") {
        return cost;
    }
    Cost::Unavailable("recorded before costs were".to_owned())
}

fn tokens(usage: &TokenUsage) -> Tokens {
    let cache_creation = usage
        .cache_creation_5m_tokens
        .saturating_add(usage.cache_creation_1h_tokens);
    Tokens {
        prompt: usage.prompt_tokens.min(MAX_TOKENS),
        completion: usage.completion_tokens.min(MAX_TOKENS),
        total: usage.total_tokens.min(MAX_TOKENS),
        cached: usage.cached_tokens.min(MAX_TOKENS),
        cache_creation: cache_creation.min(MAX_TOKENS),
        reasoning: usage.reasoning_tokens.min(MAX_TOKENS),
    }
}
