//! Reading a completed call.

use std::time::Duration;

use cost_tracker::{CostTracker, ProxyCost, UsageError, parse_usage};
use provider_core::{ModelCall, ModelCallResult, ProviderError, ProxyTrace};
use serde_json::{Map, Value};

use crate::directory::{ModelInfo, only_model};
use crate::failure::unreadable;
use crate::model_name::ModelName;
use crate::transport::Reply;

/// What is read of a chat completion. Everything else passes through in the body.
pub(crate) struct Answer {
    content: String,
    finish_reason: Option<String>,
    tool_calls: Vec<Value>,
    usage: Value,
    model: Option<String>,
}

impl Answer {
    /// Reads a body that came with a success status.
    ///
    /// It is read into a tree, not into structs: those take a list for an object, and skip the fields
    /// that they do not know without looking whether these are text.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, ProviderError> {
        if body.is_empty() {
            return Err(unusable("it is empty"));
        }
        let mut fields: Map<String, Value> = serde_json::from_slice(body)
            .map_err(|source| unreadable("it is not a chat completion", source))?;
        if fields.get("error").is_some_and(|error| !error.is_null()) {
            return Err(unusable("it is an error with the status of a success"));
        }
        let choice = match fields.remove("choices") {
            None => None,
            Some(Value::Array(choices)) => choices.into_iter().next(),
            Some(_) => return Err(wrong("choices")),
        };
        let mut choice = choice.ok_or_else(|| unusable("it has no choices"))?;
        let message = choice.get_mut("message").and_then(Value::as_object_mut);
        let message = message.ok_or_else(|| wrong("choices[0].message"))?;
        let content = text(message.get("content"))?;
        let tool_calls = match message.remove("tool_calls") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(calls)) => calls,
            Some(_) => return Err(wrong("choices[0].message.tool_calls")),
        };
        let string = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
        Ok(Self {
            content,
            tool_calls,
            finish_reason: string(choice.get("finish_reason")),
            model: string(fields.get("model")),
            usage: fields.remove("usage").unwrap_or_default(),
        })
    }

    /// The model's name where no header says it: a `model` in the body that is no group, or else the
    /// only model of the group that answered. Empty rather than wrong.
    ///
    /// The body's `model` is usually the group that was asked for, and after a fallback of the proxy
    /// another group. Only who knows all groups can tell that it is none.
    pub(crate) fn unstated_name(
        &self,
        reply: &Reply,
        call: &ModelCall,
        models: &[ModelInfo],
    ) -> ModelName {
        let stated = self.model.as_deref().unwrap_or_default();
        let asked = call.runtime_group.as_str();
        let answering = reply.header("x-litellm-model-group");
        let is_group = models.iter().any(|info| info.group == stated);
        let fell_back = trace(reply).attempted_fallbacks > 0;
        let names_no_group = !models.is_empty()
            && !is_group
            && !fell_back
            && stated != asked
            && answering != Some(stated);
        if names_no_group && let Some(name) = ModelName::parse(stated) {
            return name;
        }
        let group = match answering {
            Some(group) => group,
            None if is_group && stated != asked => stated,
            // Another group answered, and nobody says which.
            None if fell_back => return ModelName::default(),
            None => asked,
        };
        only_model(models, group).unwrap_or_default()
    }

    /// The result of the call.
    pub(crate) fn result(
        &self,
        call: &ModelCall,
        reply: &Reply,
        name: &ModelName,
        tracker: &CostTracker,
        duration: Duration,
    ) -> ModelCallResult {
        let usage = match &self.usage {
            Value::Null => Err(UsageError::Missing),
            usage => parse_usage(usage),
        };
        let provider = name
            .provider
            .clone()
            .or_else(|| provider_of(tracker, &name.model));
        let proxy = reported(reply).or(ProxyCost::from_usage(&self.usage));
        let cost = tracker.settle(
            name.provider.as_deref(),
            &name.model,
            usage.as_ref(),
            &proxy,
        );
        ModelCallResult {
            duration,
            token_usage: usage.ok(),
            finish_reason: self.finish_reason.clone(),
            tool_calls: self.tool_calls.clone(),
            proxy: trace(reply),
            ..ModelCallResult::answered(
                call,
                &name.model,
                &provider.unwrap_or_default(),
                &self.content,
                cost,
            )
        }
    }
}

/// The text of a message: a text, the text parts of a list, or none.
fn text(content: Option<&Value>) -> Result<String, ProviderError> {
    match content {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Array(parts)) => Ok(parts
            .iter()
            .filter_map(|part| part.get("text")?.as_str())
            .collect()),
        Some(_) => Err(wrong("choices[0].message.content")),
    }
}

fn wrong(field: &str) -> ProviderError {
    unusable(&format!(
        "it is not a chat completion (`{field}` is missing or of the wrong type)"
    ))
}

/// The proxy's figure. Two different ones are none.
fn reported(reply: &Reply) -> ProxyCost {
    let figures = reply.headers.get_all("x-litellm-response-cost");
    let mut figures: Vec<_> = figures
        .iter()
        .map(|value| String::from_utf8_lossy(value.as_bytes()))
        .collect();
    figures.dedup();
    match figures.as_slice() {
        [] => ProxyCost::Silent,
        [figure] => ProxyCost::from_header(Some(figure)),
        several => {
            ProxyCost::Invalid(event_payloads::first_chars(&several.join(", "), 100).to_owned())
        }
    }
}

fn unusable(reason: &str) -> ProviderError {
    ProviderError::InvalidAnswer {
        reason: reason.to_owned(),
        source: None,
    }
}

/// Some models come without their provider; the price map knows whose they are.
fn provider_of(tracker: &CostTracker, model: &str) -> Option<String> {
    tracker
        .book()
        .lookup(None, model)?
        .provider()
        .map(str::to_owned)
}

fn trace(reply: &Reply) -> ProxyTrace {
    let count = |name| {
        reply
            .header(name)
            .and_then(|text| text.trim().parse().ok())
            .unwrap_or(0)
    };
    // What ends up in events is not longer than it has to be.
    let text = |name| {
        reply
            .header(name)
            .map(|text| event_payloads::first_chars(text, 200).to_owned())
    };
    ProxyTrace {
        attempted_retries: count("x-litellm-attempted-retries"),
        attempted_fallbacks: count("x-litellm-attempted-fallbacks"),
        call_id: text("x-litellm-call-id"),
        model_group: text("x-litellm-model-group"),
    }
}
