//! What the proxy's errors mean. Every rule here was seen in an exchange with LiteLLM 1.102.4.

use std::time::Duration;

use http::{StatusCode, header};
use provider_core::{CallerFault, ProviderError, ProxyReply};
use serde::Deserialize;
use serde_json::Value;

use crate::mask::presentable;
use crate::transport::Reply;

/// Longest wait that a `Retry-After` is believed.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// An answer that is not a success, as the error that it stands for.
///
/// Its `x-litellm-response-cost: 0` is not a price, and is not looked at.
pub(crate) fn refusal(reply: &Reply, own_key: &str) -> ProviderError {
    if !reply.head.status.is_client_error() && !reply.head.status.is_server_error() {
        return not_the_proxy(reply, "which no answer has");
    }
    let inner = Inner::of(reply);
    let said = said(reply.head.status.as_u16(), inner.as_ref(), own_key);
    match classify(&said, inner.as_ref(), own_key.is_empty()) {
        Meaning::Key => ProviderError::KeyRejected(said),
        Meaning::Caller(fault) => ProviderError::Caller { fault, reply: said },
        Meaning::Upstream => ProviderError::Upstream {
            retry_after: retry_after(reply),
            reply: said,
        },
        Meaning::NotTheProxy => not_the_proxy(reply, "without an error of a LiteLLM Proxy"),
    }
}

/// An error in the middle of a stream, whose status said that all was well. The model had begun to answer.
pub(crate) fn broke_off(error: &str, own_key: &str) -> ProviderError {
    let inner: Option<Inner> = serde_json::from_str(error).ok();
    let code = inner.as_ref().map(|inner| number(&inner.code));
    let status = code.flatten().filter(|code| (400..600).contains(code));
    let said = said(status.unwrap_or(500), inner.as_ref(), own_key);
    match classify(&said, inner.as_ref(), false) {
        Meaning::Caller(fault) => ProviderError::Caller { fault, reply: said },
        Meaning::Key | Meaning::Upstream | Meaning::NotTheProxy => ProviderError::Upstream {
            reply: said,
            retry_after: None,
        },
    }
}

/// A code that is a status: the proxy writes it as a text, others as a number.
fn number(code: &Value) -> Option<u16> {
    match code {
        Value::String(text) => text.parse().ok(),
        Value::Number(number) => number.as_str().parse().ok(),
        _ => None,
    }
}

fn not_the_proxy(reply: &Reply, why: &str) -> ProviderError {
    ProviderError::InvalidAnswer {
        reason: format!(
            "its status is {}, {why}; does LITELLM_PROXY_URL name the proxy itself?",
            reply.head.status
        ),
        source: None,
    }
}

enum Meaning {
    Key,
    Caller(CallerFault),
    Upstream,
    NotTheProxy,
}

fn classify(said: &ProxyReply, inner: Option<&Inner>, we_sent_no_key: bool) -> Meaning {
    let kind = said.error_type.as_deref().unwrap_or_default();
    let code = said.code.as_deref().unwrap_or_default();
    // The whole message, not the shortened one: the telling words may stand at its end.
    let message = inner
        .and_then(|inner| inner.message.as_str())
        .unwrap_or_default();
    if (400..500).contains(&said.status)
        && let Some(fault) = fault(message, code)
    {
        return Meaning::Caller(fault);
    }
    // LiteLLM passes on what a provider said under a name of its own, and the status with it.
    let from_provider = message.starts_with("litellm.");
    match said.status {
        // A proxy without a database answers a wrong key so.
        400 if ["no_db_connection", "expired_key"].contains(&kind) => Meaning::Key,
        // The budget of our key at the proxy is used up: nothing is wrong with the request.
        400 if kind == "budget_exceeded" => Meaning::Upstream,
        // The provider refused the *proxy's* key. Ours is fine, and so is the request.
        401 | 403 if from_provider => Meaning::Upstream,
        401 | 403 => Meaning::Key,
        // The provider wants to be paid, by whoever runs the proxy.
        402 => Meaning::Upstream,
        // The provider does not have the model that the *proxy* asked it for.
        404 if from_provider => Meaning::Upstream,
        // No key at all makes the proxy stumble.
        500 if we_sent_no_key && kind == "internal_server_error" => Meaning::Key,
        408 | 429 | 500.. => Meaning::Upstream,
        // These say by themselves that it is the request; a server in front of the proxy may.
        413 | 422 => Meaning::Caller(CallerFault::InvalidRequest),
        _ if inner.is_none() => Meaning::NotTheProxy,
        _ => Meaning::Caller(CallerFault::InvalidRequest),
    }
}

/// The caller's fault that the message tells of, if it does.
fn fault(message: &str, code: &str) -> Option<CallerFault> {
    // Behind this the router tells of what it tried instead, which may be another model's error.
    let own = message
        .split("Received Model Group=")
        .next()
        .unwrap_or(message);
    if own.contains("ContextWindowExceededError") || code == "context_length_exceeded" {
        return Some(CallerFault::ContextWindowExceeded);
    }
    let refused = ["content_policy_violation", "content_filter"].contains(&code)
        || own.contains("ContentPolicyViolationError")
        // Azure's filter, which LiteLLM hands on as a plain bad request.
        || own.contains("content management policy");
    refused.then_some(CallerFault::ContentPolicy)
}

/// The proxy's error body.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Inner {
    message: Value,
    r#type: Value,
    param: Value,
    code: Value,
}

impl Inner {
    fn of(reply: &Reply) -> Option<Self> {
        #[derive(Deserialize)]
        struct Body {
            error: Inner,
        }
        let read = |body: &[u8]| serde_json::from_slice::<Body>(body).ok();
        let body = read(&reply.body).or_else(|| read(first_event(&reply.body)?))?;
        Some(body.error)
    }
}

/// The data of the first event. A refusal that the proxy makes up its mind about late comes as a stream, with
/// the status of the refusal.
fn first_event(body: &[u8]) -> Option<&[u8]> {
    let mut lines = body.split(|byte| *byte == b'\n');
    lines.find_map(|line| line.strip_prefix(b"data:"))
}

/// What the proxy said, or what can be said without it.
fn said(status: u16, inner: Option<&Inner>, own_key: &str) -> ProxyReply {
    let text = |field: fn(&Inner) -> &Value| match field(inner?) {
        Value::String(text) if text != "None" && !text.is_empty() => {
            Some(presentable(text, own_key))
        }
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let reason = StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason());
    let reason = reason.unwrap_or("unknown status");
    ProxyReply {
        status,
        message: text(|inner| &inner.message)
            .unwrap_or_else(|| format!("{reason}, without a readable explanation")),
        error_type: text(|inner| &inner.r#type),
        param: text(|inner| &inner.param),
        code: text(|inner| &inner.code),
    }
}

/// `Retry-After` as seconds or as a date, which is compared with the answer's own `Date`.
fn retry_after(reply: &Reply) -> Option<Duration> {
    let value = reply.head.text(header::RETRY_AFTER.as_str())?.trim();
    let wait = match value.parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).ok()?,
        Err(_) => {
            let at = httpdate::parse_http_date(value).ok()?;
            let now = httpdate::parse_http_date(reply.head.text(header::DATE.as_str())?).ok()?;
            at.duration_since(now).unwrap_or_default()
        }
    };
    Some(wait.min(MAX_RETRY_AFTER))
}
