//! A response, of OpenAI's Responses API.

use provider_core::{ProviderError, ProxyReply};
use serde_json::Value;

use super::{Answer, Fields, string, wrong};

const WHAT: &str = "response";

pub(super) fn read(mut fields: Fields) -> Result<Answer, ProviderError> {
    if fields.get("error").is_some_and(|error| !error.is_null()) {
        return Err(failure(&fields));
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
        service_tier: string(fields.get("service_tier")),
        usage: fields.remove("usage").unwrap_or_default(),
    })
}

fn parts(content: Option<&Value>) -> impl Iterator<Item = &str> {
    let parts = content.and_then(Value::as_array).into_iter().flatten();
    parts.filter_map(|part| part.get("text").or_else(|| part.get("refusal"))?.as_str())
}

/// A response that says of itself that it failed.
pub(crate) fn failure(fields: &Fields) -> ProviderError {
    let said = |field| fields.get("error")?.get(field)?.as_str();
    let code = said("code").unwrap_or_default();
    let message = said("message").unwrap_or("without an explanation");
    let status = if code == "rate_limit_exceeded" {
        429
    } else {
        500
    };
    ProviderError::Upstream {
        reply: ProxyReply {
            status,
            message: event_payloads::first_chars(message, 500).to_owned(),
            code: Some(code.to_owned()).filter(|code| !code.is_empty()),
            ..ProxyReply::default()
        },
        retry_after: None,
    }
}
