//! A whole answer.

use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use event_payloads::{Cost, RuntimeGroup};
use provider_core::{FallbackReason, ModelCallResult};
use provider_service::DirectAnswer;

use super::TASK_HEADER;
use crate::http::error::set;

/// The upstream's body as it came, and what we know of the call in headers.
pub(super) fn response(answer: DirectAnswer) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    set(&mut headers, TASK_HEADER, answer.task_id.as_str());
    set_result(&mut headers, &answer.result);
    if answer.unknown_alias {
        warn_unknown_alias(&mut headers, &answer.result.runtime_group);
    }
    (headers, answer.body).into_response()
}

fn set_result(headers: &mut HeaderMap, result: &ModelCallResult) {
    set_cost(headers, &result.cost);
    set_model(headers, &result.model_name, result.fallback.as_ref());
}

pub(super) fn set_model(
    headers: &mut HeaderMap,
    model_name: &str,
    fallback: Option<&FallbackReason>,
) {
    let model = if model_name.is_empty() {
        "unknown"
    } else {
        model_name
    };
    set(headers, "x-octo-model", model);
    if let Some(reason) = fallback {
        set(headers, "x-octo-fallback", reason.as_str());
    }
}

pub(super) fn warn_unknown_alias(headers: &mut HeaderMap, group: &RuntimeGroup) {
    let warning = format!("unknown model alias, answered by the group {group}");
    set(headers, "x-octo-warning", &warning);
}

pub(super) fn set_cost(headers: &mut HeaderMap, cost: &Cost) {
    match cost {
        Cost::Known { usd, .. } => set(headers, "x-octo-cost-usd", &usd.to_string()),
        Cost::Unavailable(reason) => set(headers, "x-octo-cost-unavailable", reason),
    }
}
