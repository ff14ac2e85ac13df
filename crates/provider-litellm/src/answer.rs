//! Reading a completed call.

use std::time::Duration;

use cost_tracker::{CostTracker, ProxyCost, UsageError, parse_usage};
use provider_core::{ModelCall, ModelCallResult, ProviderError, ProxyTrace};
use serde::Deserialize;
use serde_json::Value;

use crate::model_name::ModelName;
use crate::transport::Reply;

/// What is read of a chat completion. Everything else passes through in the body.
#[derive(Deserialize)]
pub(crate) struct Answer {
    #[serde(default)]
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Value,
    #[serde(default)]
    model: Value,
    #[serde(default)]
    error: Value,
}

#[derive(Deserialize)]
struct Choice {
    message: Message,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    content: Value,
    #[serde(default)]
    tool_calls: Option<Vec<Value>>,
}

impl Answer {
    /// Reads a body that came with a success status.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, ProviderError> {
        if body.is_empty() {
            return Err(unusable("it is empty"));
        }
        let answer: Self =
            serde_json::from_slice(body).map_err(|source| ProviderError::InvalidAnswer {
                reason: format!("it is not a chat completion ({source})"),
                source: Some(source.into()),
            })?;
        if !answer.error.is_null() {
            return Err(unusable("it is an error with the status of a success"));
        }
        if answer.choices.is_empty() {
            return Err(unusable("it has no choices"));
        }
        Ok(answer)
    }

    /// The model that answered, as far as the answer itself says: the header, or a `model` in the
    /// body that is not just the name of a group.
    pub(crate) fn model_name(&self, reply: &Reply, call: &ModelCall) -> Option<ModelName> {
        if let Some(name) = reply
            .header("x-litellm-model-name")
            .and_then(ModelName::parse)
        {
            return Some(name);
        }
        let stated = self.model.as_str()?;
        let groups = [
            Some(call.runtime_group.as_str()),
            reply.header("x-litellm-model-group"),
        ];
        if groups.contains(&Some(stated))
            || reply
                .header("x-litellm-attempted-fallbacks")
                .is_some_and(|n| n != "0")
        {
            return None;
        }
        ModelName::parse(stated)
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
        let said = ProxyCost::from_header(reply.header("x-litellm-response-cost"));
        let proxy = said.or(ProxyCost::from_usage(&self.usage));
        let cost = tracker.settle(
            name.provider.as_deref(),
            &name.model,
            usage.as_ref(),
            &proxy,
        );
        let choice = self.choices.first();
        ModelCallResult {
            duration,
            token_usage: usage.ok(),
            finish_reason: choice.and_then(|choice| choice.finish_reason.clone()),
            tool_calls: choice
                .and_then(|choice| choice.message.tool_calls.clone())
                .unwrap_or_default(),
            proxy: trace(reply),
            ..ModelCallResult::answered(
                call,
                &name.model,
                &provider.unwrap_or_default(),
                &self.content(),
                cost,
            )
        }
    }

    /// The text of the first choice: a text, or the text parts of a list.
    fn content(&self) -> String {
        match self.choices.first().map(|choice| &choice.message.content) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Array(parts)) => parts
                .iter()
                .filter_map(|part| part.get("text")?.as_str())
                .collect(),
            _ => String::new(),
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
