//! `/v1`: the OpenAI-compatible endpoint. A program points its `base_url` here.

use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use event_payloads::{Cost, TaskId};
use provider_core::{CallerFault, ChatRequest, InvalidRequest, ModelCallResult, ProviderError};
use provider_service::{ChatAnswer, ChatCall, ChatError, FallbackPolicy, StopReason};
use serde::Serialize;

use super::error::{not_admitted_code, set, store_status};
use super::{OpenAiError, body};
use crate::app::App;

const TASK_HEADER: &str = "x-octo-task-id";
const ALLOW_FALLBACK_HEADER: &str = "x-octo-allow-fallback";

/// `POST /v1/chat/completions`
pub(super) async fn chat_completions(
    State(app): State<App>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, OpenAiError> {
    let bytes = body::read(&app, body).await?;
    let request = ChatRequest::from_json(&bytes)?;
    if request.is_stream() {
        let message = "this version does not stream: leave `stream` out or set it to false";
        return Err(
            OpenAiError::invalid_request("unsupported_value", message).with_param(Some("stream"))
        );
    }
    let call = ChatCall {
        model: request.model().unwrap_or_default(),
        request,
        task: named_task(&headers)?,
        fallback: fallback_policy(&app, &headers),
    };
    Ok(answer(app.tasks.chat(call).await?))
}

fn named_task(headers: &HeaderMap) -> Result<Option<TaskId>, OpenAiError> {
    let Some(value) = headers.get(TASK_HEADER) else {
        return Ok(None);
    };
    let parsed = value
        .to_str()
        .ok()
        .and_then(|text| text.trim().parse().ok());
    parsed.map(Some).ok_or_else(|| {
        let message = "`x-octo-task-id` has 1 to 128 letters, digits and `-_.:`";
        OpenAiError::invalid_request("invalid_task_id", message).with_param(Some(TASK_HEADER))
    })
}

/// A program must not take an echo for an answer, unless it said that it can tell them apart.
fn fallback_policy(app: &App, headers: &HeaderMap) -> FallbackPolicy {
    let asked = headers
        .get(ALLOW_FALLBACK_HEADER)
        .map(|value| value.as_bytes().eq_ignore_ascii_case(b"true"));
    if asked.unwrap_or(app.config.v1_allow_fallback) {
        FallbackPolicy::Allow
    } else {
        FallbackPolicy::Refuse
    }
}

/// The upstream's body as it came, and what we know of the call in headers.
fn answer(answer: ChatAnswer) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    set(&mut headers, TASK_HEADER, answer.task_id.as_str());
    set_result(&mut headers, &answer.result);
    if answer.unknown_alias {
        let group = &answer.result.runtime_group;
        set(
            &mut headers,
            "x-octo-warning",
            &format!("unknown model alias, answered by the group {group}"),
        );
    }
    (headers, answer.body).into_response()
}

fn set_result(headers: &mut HeaderMap, result: &ModelCallResult) {
    set_cost(headers, &result.cost);
    let model = if result.model_name.is_empty() {
        "unknown"
    } else {
        &result.model_name
    };
    set(headers, "x-octo-model", model);
    if let Some(reason) = &result.fallback {
        set(headers, "x-octo-fallback", reason.as_str());
    }
}

fn set_cost(headers: &mut HeaderMap, cost: &Cost) {
    match cost {
        Cost::Known { usd, .. } => set(headers, "x-octo-cost-usd", &usd.to_string()),
        Cost::Unavailable(reason) => set(headers, "x-octo-cost-unavailable", reason),
    }
}

impl From<InvalidRequest> for OpenAiError {
    fn from(error: InvalidRequest) -> Self {
        Self::invalid_request("invalid_request", error.to_string()).with_param(error.param())
    }
}

impl From<ChatError> for OpenAiError {
    fn from(error: ChatError) -> Self {
        match error {
            ChatError::NotAdmitted(refused) => {
                let code = not_admitted_code(refused).to_lowercase();
                server(StatusCode::SERVICE_UNAVAILABLE, &code, refused.to_string())
                    .with_retry_after(Some(refused.retry_after()))
            }
            ChatError::EndNotRecorded {
                ref task_id,
                ref source,
            } => {
                // The call is paid for: an SDK must not make it again by itself.
                let (status, _, _) = store_status(source);
                no_retry(server(status, "end_not_recorded", error.to_string()).with_task(task_id))
            }
            ChatError::TaskEnded { ref task_id, .. } => {
                let refused = Self::new(
                    StatusCode::CONFLICT,
                    "invalid_request_error",
                    "task_already_terminal",
                    error.to_string(),
                );
                // It will not come back to life: an SDK need not try again.
                no_retry(refused.with_task(task_id))
            }
            ChatError::Store(error) => {
                let (status, code, retry_after) = store_status(&error);
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "a call could not be recorded"
                );
                server(status, &code.to_lowercase(), error.to_string())
                    .with_retry_after(retry_after)
            }
            ChatError::Call { task_id, error } => {
                let cost = provider_service::cost_of_failure(error.primary());
                let mut shown = call_error(error.primary(), error.to_string()).with_task(&task_id);
                set_cost(&mut shown.headers, &cost);
                shown
            }
            ChatError::Stopped {
                ref task_id,
                reason,
            } => {
                let message = error.to_string();
                match reason {
                    StopReason::Cancelled => no_retry(Self::new(
                        StatusCode::CONFLICT,
                        "invalid_request_error",
                        "cancelled",
                        message,
                    )),
                    StopReason::Shutdown => {
                        server(StatusCode::SERVICE_UNAVAILABLE, "shutting_down", message)
                    }
                }
                .with_task(task_id)
            }
            other => server(
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                other.to_string(),
            ),
        }
    }
}

/// A failed call as an SDK should see it: its own faults as 4xx, ours and the upstream's as 5xx.
fn call_error(error: &ProviderError, message: String) -> OpenAiError {
    match error {
        ProviderError::Caller { fault, reply } => {
            let status = StatusCode::from_u16(reply.status)
                .ok()
                .filter(StatusCode::is_client_error);
            let code = match fault {
                CallerFault::ContextWindowExceeded => "context_length_exceeded",
                CallerFault::ContentPolicy => "content_filter",
                _ => reply
                    .code
                    .as_deref()
                    .filter(|code| code.parse::<u16>().is_err())
                    .unwrap_or("invalid_request"),
            };
            let mut shown =
                OpenAiError::invalid_request(code, message).with_param(reply.param.clone());
            shown.status = status.unwrap_or(StatusCode::BAD_REQUEST);
            shown
        }
        ProviderError::Upstream { reply, retry_after } if reply.status == 429 => OpenAiError::new(
            StatusCode::TOO_MANY_REQUESTS,
            "rate_limit_error",
            "rate_limit_exceeded",
            message,
        )
        .with_retry_after(*retry_after),
        ProviderError::Upstream { reply, retry_after } => {
            let status = if reply.status == 408 {
                StatusCode::GATEWAY_TIMEOUT
            } else {
                StatusCode::BAD_GATEWAY
            };
            server(status, error.kind(), message).with_retry_after(*retry_after)
        }
        ProviderError::Timeout { .. } => server(StatusCode::GATEWAY_TIMEOUT, error.kind(), message),
        ProviderError::Unreachable { .. } => {
            server(StatusCode::SERVICE_UNAVAILABLE, error.kind(), message)
                .with_retry_after(Some(Duration::from_secs(1)))
        }
        // Trying again does not mend a key.
        ProviderError::KeyRejected(_) => {
            no_retry(server(StatusCode::BAD_GATEWAY, error.kind(), message))
        }
        _ => server(StatusCode::BAD_GATEWAY, error.kind(), message),
    }
}

fn server(status: StatusCode, code: &str, message: String) -> OpenAiError {
    OpenAiError::new(status, "server_error", code, message)
}

/// OpenAI's SDKs try 409 and 5xx again by themselves; this header tells them not to.
fn no_retry(mut error: OpenAiError) -> OpenAiError {
    error.headers.insert(
        HeaderName::from_static("x-should-retry"),
        HeaderValue::from_static("false"),
    );
    error
}

#[derive(Serialize)]
pub(super) struct ModelList {
    object: &'static str,
    data: Vec<Model>,
}

#[derive(Serialize)]
struct Model {
    id: String,
    object: &'static str,
    created: u64,
    owned_by: &'static str,
}

/// `GET /v1/models`: every alias, and every group that is not an alias too.
pub(super) async fn models(State(app): State<App>) -> Json<ModelList> {
    let aliases = app.tasks.llm().aliases();
    let mut ids: Vec<String> = aliases.all().map(|alias| alias.name.clone()).collect();
    ids.extend(aliases.groups().into_iter().map(ToString::to_string));
    ids.sort_unstable();
    ids.dedup();
    let model = |id| Model {
        id,
        object: "model",
        created: 0,
        owned_by: "octo",
    };
    Json(ModelList {
        object: "list",
        data: ids.into_iter().map(model).collect(),
    })
}

pub(super) async fn unknown_path(uri: Uri) -> OpenAiError {
    let message = format!("there is nothing at {}", uri.path());
    OpenAiError::new(
        StatusCode::NOT_FOUND,
        "invalid_request_error",
        "unknown_url",
        message,
    )
}

pub(super) async fn wrong_method(method: Method, uri: Uri) -> OpenAiError {
    let message = format!("{} does not take {method}", uri.path());
    OpenAiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "invalid_request_error",
        "method_not_allowed",
        message,
    )
}
