//! `/v1`: the OpenAI-compatible endpoints. A program points its `base_url` here.

mod answer;
mod error;
mod models;
mod stream;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::Response;
use axum::routing::{any, get, post};
use event_payloads::TaskId;
use provider_core::{Endpoint, ModelRequest};
use provider_service::{DirectCall, FallbackPolicy};

use super::{OpenAiError, body};
use crate::app::App;

const TASK_HEADER: &str = "x-octo-task-id";
const ALLOW_FALLBACK_HEADER: &str = "x-octo-allow-fallback";

/// Every route.
pub(super) fn routes() -> Router<App> {
    let calls = [
        Endpoint::ChatCompletions,
        Endpoint::Completions,
        Endpoint::Responses,
        Endpoint::Embeddings,
    ];
    let routes = calls.into_iter().fold(Router::new(), |routes, endpoint| {
        let call = move |state: State<App>, headers: HeaderMap, body: Body| {
            call(endpoint, state, headers, body)
        };
        routes.route(endpoint.path(), post(call))
    });
    routes
        .route("/v1/models", get(models::list))
        .route("/v1/models/{model}", get(models::show))
        .method_not_allowed_fallback(wrong_method)
        .route("/v1/{*path}", any(unknown_path))
}

async fn call(
    endpoint: Endpoint,
    State(app): State<App>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, OpenAiError> {
    let bytes = body::read(&app, body).await?;
    let request = ModelRequest::from_json(endpoint, &bytes)?;
    let call = DirectCall {
        model: request.model().unwrap_or_default(),
        task: named_task(&headers)?,
        fallback: fallback_policy(&app, &headers),
        request,
    };
    if call.request.is_stream() {
        return Ok(stream::response(endpoint, app.tasks.stream(call).await?));
    }
    Ok(answer::response(app.tasks.answer(call).await?))
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

async fn unknown_path(uri: Uri) -> OpenAiError {
    let message = format!("there is nothing at {}", uri.path());
    OpenAiError::new(
        StatusCode::NOT_FOUND,
        "invalid_request_error",
        "unknown_url",
        message,
    )
}

async fn wrong_method(method: Method, uri: Uri) -> OpenAiError {
    let message = format!("{} does not take {method}", uri.path());
    OpenAiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "invalid_request_error",
        "method_not_allowed",
        message,
    )
}
