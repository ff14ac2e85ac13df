//! A response, of OpenAI's Responses API.

use provider_core::{ProviderError, ProxyReply};
use serde_json::Value;

use super::{Answer, Fields, string, wrong};
use crate::mask::presentable;

const WHAT: &str = "response";

pub(super) fn read(mut fields: Fields, own_key: &str) -> Result<Answer, ProviderError> {
    if fields.get("error").is_some_and(|error| !error.is_null()) {
        return Err(failure(&fields, own_key));
    }
    let Some(Value::Array(output)) = fields.remove("output") else {
        return Err(wrong(WHAT, "output"));
    };
    let mut texts = String::new();
    let mut tool_calls = Vec::new();
    for item in output {
        match item.get("type").and_then(Value::as_str) {
            Some("message") => texts.extend(parts(item.get("content"))),
            Some(kind) if kind.ends_with("_call") => tool_calls.push(item),
            _ => {}
        }
    }
    let why = fields.get("incomplete_details");
    let reason = why.and_then(|why| why.get("reason"));
    Ok(Answer {
        contents: vec![texts],
        finish_reason: string(reason).or_else(|| string(fields.get("status"))),
        tool_calls,
        model: string(fields.get("model")),
        taken_over_by: None,
        service_tier: string(fields.get("service_tier")),
        usage: fields.remove("usage").unwrap_or_default(),
    })
}

fn parts(content: Option<&Value>) -> impl Iterator<Item = &str> {
    let parts = content.and_then(Value::as_array).into_iter().flatten();
    parts.filter_map(|part| part.get("text").or_else(|| part.get("refusal"))?.as_str())
}

/// A response that says of itself that it failed.
pub(crate) fn failure(fields: &Fields, own_key: &str) -> ProviderError {
    let said = |field| fields.get("error")?.get(field)?.as_str();
    let code = said("code").unwrap_or_default();
    let message = said("message").unwrap_or("without an explanation");
    ProviderError::Upstream {
        reply: ProxyReply {
            // The model had been asked, whatever the reason: it may be billed.
            status: 500,
            message: presentable(message, own_key),
            code: Some(presentable(code, own_key)).filter(|code| !code.is_empty()),
            ..ProxyReply::default()
        },
        retry_after: None,
    }
}
