//! What an answer says, whole or put together from its pieces.

mod chat;
mod completions;
mod embeddings;
mod responses;

use std::time::Duration;

use cost_tracker::{Billable, CallType, ServiceTier, Settled, UsageError, parse_billable};
use provider_core::{Endpoint, ModelCall, ModelCallResult, ProviderError};
use serde_json::{Map, Value};

use crate::failure::{unreadable, unusable};
use crate::head::Head;
use crate::model_name::ModelName;

pub(crate) use responses::failure as response_failure;

type Fields = Map<String, Value>;

/// What is read of an answer. Everything else passes through in the body.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// The text of each choice.
    pub(crate) contents: Vec<String>,
    pub(crate) finish_reason: Option<String>,
    /// The first choice's.
    pub(crate) tool_calls: Vec<Value>,
    pub(crate) usage: Value,
    pub(crate) model: Option<String>,
    /// Another group that the proxy went over to in the middle of the answer.
    pub(crate) taken_over_by: Option<String>,
    /// The class of service that the provider served it in.
    pub(crate) service_tier: Option<String>,
}

/// What an answer used, and whether somebody stated it.
pub(crate) struct Counted {
    pub(crate) usage: Result<Billable, UsageError>,
    pub(crate) is_estimated: bool,
}

/// What a call's result is made of, beside the answer itself.
pub(crate) struct Settling<'a> {
    pub(crate) call: &'a ModelCall,
    pub(crate) head: &'a Head,
    pub(crate) name: &'a ModelName,
    pub(crate) provider: Option<String>,
    pub(crate) settled: Settled,
    pub(crate) counted: Counted,
    pub(crate) duration: Duration,
}

impl Answer {
    /// Reads a body that came with a success status.
    ///
    /// It is read into a tree, not into structs: those take a list for an object, and skip the fields
    /// that they do not know without looking whether these are text.
    pub(crate) fn parse(
        endpoint: Endpoint,
        body: &[u8],
        own_key: &str,
    ) -> Result<Self, ProviderError> {
        if body.is_empty() {
            return Err(unusable("it is empty"));
        }
        if endpoint == Endpoint::Embeddings {
            return embeddings::read(body);
        }
        let mut fields: Fields = serde_json::from_slice(body)
            .map_err(|source| unreadable(&format!("it is not a {endpoint}"), source))?;
        if endpoint == Endpoint::Responses {
            return Self::of_response(fields, own_key);
        }
        if fields.get("error").is_some_and(|error| !error.is_null()) {
            return Err(unusable("it is an error with the status of a success"));
        }
        let mut answer = match endpoint {
            Endpoint::Completions => completions::read(&mut fields)?,
            _ => chat::read(&mut fields)?,
        };
        answer.model = string(fields.get("model"));
        answer.service_tier = string(fields.get("service_tier"));
        answer.usage = fields.remove("usage").unwrap_or_default();
        Ok(answer)
    }

    /// Reads the object that a response is, and that its stream ends with.
    pub(crate) fn of_response(fields: Fields, own_key: &str) -> Result<Self, ProviderError> {
        responses::read(fields, own_key)
    }

    /// What it states that it used.
    pub(crate) fn counted(&self, endpoint: Endpoint) -> Counted {
        let usage = match &self.usage {
            Value::Null => Err(UsageError::Missing),
            usage => parse_billable(usage, call_type(endpoint)),
        };
        let stated = Counted {
            usage,
            is_estimated: false,
        };
        self.on_its_terms(stated, endpoint)
    }

    /// In the class of service that it names, for the kind of call that it was.
    pub(crate) fn on_its_terms(&self, counted: Counted, endpoint: Endpoint) -> Counted {
        let tier = self.service_tier.as_deref().map(ServiceTier::of_answer);
        let usage = counted.usage.map(|used| {
            let used = used.with_call_type(call_type(endpoint));
            match tier {
                Some(tier) => used.with_service_tier(tier),
                None => used,
            }
        });
        Counted { usage, ..counted }
    }

    /// The result of the call.
    pub(crate) fn result(self, settling: Settling<'_>) -> ModelCallResult {
        let Settling {
            call,
            head,
            name,
            provider,
            settled,
            counted,
            duration,
        } = settling;
        let mut contents = self.contents.into_iter();
        let content = contents.next().unwrap_or_default();
        ModelCallResult {
            duration,
            further_contents: contents.collect(),
            token_usage: counted.usage.ok().map(|used| used.tokens),
            usage_is_estimated: counted.is_estimated,
            finish_reason: self.finish_reason,
            tool_calls: self.tool_calls,
            proxy: head.trace(),
            cost_breakdown: settled.breakdown.map(Box::new),
            ..ModelCallResult::answered(
                call,
                &name.model,
                &provider.unwrap_or_default(),
                &content,
                settled.cost,
            )
        }
    }
}

const fn call_type(endpoint: Endpoint) -> CallType {
    match endpoint {
        Endpoint::Embeddings => CallType::Embedding,
        _ => CallType::Generation,
    }
}

/// A list of choices that has at least one.
fn choices(fields: &mut Fields, what: &str) -> Result<Vec<Value>, ProviderError> {
    match fields.remove("choices") {
        None => Err(unusable("it has no choices")),
        Some(Value::Array(choices)) if choices.is_empty() => Err(unusable("it has no choices")),
        Some(Value::Array(choices)) => Ok(choices),
        Some(_) => Err(wrong(what, "choices")),
    }
}

fn string(value: Option<&Value>) -> Option<String> {
    value.and_then(Value::as_str).map(str::to_owned)
}

fn wrong(what: &str, field: &str) -> ProviderError {
    unusable(&format!(
        "it is not a {what} (`{field}` is missing or of the wrong type)"
    ))
}
