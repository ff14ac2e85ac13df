//! What a call gave, and what it cost.

use std::fmt;
use std::time::Duration;

use event_payloads::{Cost, CostBreakdown, CostSource, RuntimeGroup, TokenUsage, Usd};
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::ModelCall;

/// What a call gave, and what it cost.
///
/// The invariants hold by construction: a cost is never negative ([`Usd`]) and never both known and
/// unavailable ([`Cost`]); a fallback always has a reason ([`FallbackReason`]).
#[derive(Clone, Debug, PartialEq)]
pub struct ModelCallResult {
    /// The text of the answer; empty if the model only called tools. Of several answers (`n`), the first.
    pub content: String,
    /// The texts of the other answers, if several were asked for.
    pub further_contents: Vec<String>,
    /// The alias as the caller wrote it.
    pub model_alias: String,
    /// The proxy's model group that it resolved to.
    pub runtime_group: RuntimeGroup,
    /// The model that answered (`gpt-4o-mini`), never the alias; empty if nobody said.
    pub model_name: String,
    /// The provider that answered (`openai`); empty if nobody said.
    pub provider: String,
    /// From sending the request to the whole answer.
    pub duration: Duration,
    /// From sending the request to the first piece of the answer's text; only of an answer that came in
    /// pieces.
    pub time_to_first_token: Option<Duration>,
    /// Tokens used, if the answer said so reliably.
    pub token_usage: Option<TokenUsage>,
    /// True if the answer did not say so, and its text was counted instead: the usage, and a cost that
    /// follows from it, are then close, not exact.
    pub usage_is_estimated: bool,
    /// What it cost.
    pub cost: Cost,
    /// How our own figure for that is made up, if there is one; also where the proxy's figure is the cost.
    pub cost_breakdown: Option<Box<CostBreakdown>>,
    /// Set if the fallback answered: why.
    pub fallback: Option<FallbackReason>,
    /// Why the model stopped: `stop`, `length`, `tool_calls`, …
    pub finish_reason: Option<String>,
    /// The tools that the answer asks to call, as the model wrote them.
    pub tool_calls: Vec<Value>,
    /// What the proxy did on the way.
    pub proxy: ProxyTrace,
}

/// What the proxy says it did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProxyTrace {
    /// How often it tried again.
    pub attempted_retries: u32,
    /// How often it went over to another group.
    pub attempted_fallbacks: u32,
    /// Its name for the call.
    pub call_id: Option<String>,
    /// The group that answered in the end, if it says so.
    pub model_group: Option<String>,
}

/// Why the fallback answered; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FallbackReason(Box<str>);

impl FallbackReason {
    /// A reason; an empty one becomes `unknown`.
    #[must_use]
    pub fn new(reason: &str) -> Self {
        let reason = reason.trim();
        Self(if reason.is_empty() { "unknown" } else { reason }.into())
    }

    /// The reason, for people.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FallbackReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl ModelCallResult {
    /// The result of a call that a model answered with a text, everything else still unknown.
    #[must_use]
    pub fn answered(
        call: &ModelCall,
        model_name: &str,
        provider: &str,
        content: &str,
        cost: Cost,
    ) -> Self {
        Self {
            content: content.to_owned(),
            further_contents: Vec::new(),
            model_alias: call.model_alias.clone(),
            runtime_group: call.runtime_group.clone(),
            model_name: model_name.to_owned(),
            provider: provider.to_owned(),
            duration: Duration::ZERO,
            time_to_first_token: None,
            token_usage: None,
            usage_is_estimated: false,
            cost,
            cost_breakdown: None,
            fallback: None,
            finish_reason: None,
            tool_calls: Vec::new(),
            proxy: ProxyTrace::default(),
        }
    }

    /// The call's time in whole ms.
    #[must_use]
    pub fn duration_ms(&self) -> u64 {
        millis(self.duration)
    }

    /// The time to the first piece of text in whole ms.
    #[must_use]
    pub fn time_to_first_token_ms(&self) -> Option<u64> {
        self.time_to_first_token.map(millis)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Serialize for ModelCallResult {
    /// The flat form of the events: `cost_usd` and `cost_unavailable` side by side.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Flat<'a> {
            content: &'a str,
            model_alias: &'a str,
            runtime_group: &'a RuntimeGroup,
            model_name: &'a str,
            provider: &'a str,
            duration_ms: u64,
            time_to_first_token_ms: Option<u64>,
            token_usage: Option<TokenUsage>,
            usage_is_estimated: bool,
            cost_usd: Usd,
            cost_unavailable: bool,
            cost_unavailable_reason: Option<&'a str>,
            cost_source: CostSource,
            is_fallback: bool,
            fallback_reason: &'a str,
            finish_reason: Option<&'a str>,
            tool_calls: &'a [Value],
            attempted_retries: u32,
            attempted_fallbacks: u32,
            proxy_call_id: Option<&'a str>,
        }
        let reason = match &self.cost {
            Cost::Unavailable(reason) => Some(reason.as_str()),
            Cost::Known { .. } => None,
        };
        Flat {
            content: &self.content,
            model_alias: &self.model_alias,
            runtime_group: &self.runtime_group,
            model_name: &self.model_name,
            provider: &self.provider,
            duration_ms: self.duration_ms(),
            time_to_first_token_ms: self.time_to_first_token_ms(),
            token_usage: self.token_usage,
            usage_is_estimated: self.usage_is_estimated,
            cost_usd: self.cost.usd().unwrap_or_default(),
            cost_unavailable: reason.is_some(),
            cost_unavailable_reason: reason,
            cost_source: self.cost.source(),
            is_fallback: self.fallback.is_some(),
            fallback_reason: self.fallback.as_ref().map_or("", FallbackReason::as_str),
            finish_reason: self.finish_reason.as_deref(),
            tool_calls: &self.tool_calls,
            attempted_retries: self.proxy.attempted_retries,
            attempted_fallbacks: self.proxy.attempted_fallbacks,
            proxy_call_id: self.proxy.call_id.as_deref(),
        }
        .serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ModelRequest;
    use proptest::prelude::*;

    fn result(cost: Cost, fallback: Option<FallbackReason>) -> ModelCallResult {
        let call = ModelCall {
            model_alias: "planner".into(),
            runtime_group: "main".parse().unwrap(),
            request: ModelRequest::from_prompt("hi"),
        };
        ModelCallResult {
            fallback,
            ..ModelCallResult::answered(&call, "gpt-4o-mini", "openai", "Hello.", cost)
        }
    }

    #[test]
    fn the_flat_form_has_the_field_names_of_the_events() {
        let known = Cost::known("1.88e-05".parse().unwrap(), CostSource::Proxy);
        insta::assert_snapshot!(serde_json::to_string_pretty(&result(known, None)).unwrap(), @r#"
        {
          "content": "Hello.",
          "model_alias": "planner",
          "runtime_group": "main",
          "model_name": "gpt-4o-mini",
          "provider": "openai",
          "duration_ms": 0,
          "time_to_first_token_ms": null,
          "token_usage": null,
          "usage_is_estimated": false,
          "cost_usd": 0.0000188,
          "cost_unavailable": false,
          "cost_unavailable_reason": null,
          "cost_source": "proxy",
          "is_fallback": false,
          "fallback_reason": "",
          "finish_reason": null,
          "tool_calls": [],
          "attempted_retries": 0,
          "attempted_fallbacks": 0,
          "proxy_call_id": null
        }
        "#);
    }

    proptest! {
        #[test]
        fn no_result_contradicts_itself(pico in 0_i64..1 << 60, unavailable: bool, reason in proptest::option::of(".{0,20}")) {
            let usd = event_payloads::Picodollars::new(pico).to_usd().unwrap();
            let cost = if unavailable { Cost::Unavailable("x".into()) } else { Cost::known(usd, CostSource::PriceBook) };
            let flat = serde_json::to_value(result(cost, reason.as_deref().map(FallbackReason::new))).unwrap();
            let shown: Usd = serde_json::from_value(flat["cost_usd"].clone()).unwrap();
            prop_assert!(flat["cost_unavailable"] != true || shown.is_zero());
            prop_assert!(flat["is_fallback"] != true || flat["fallback_reason"] != "");
        }
    }
}
