//! What went wrong, as OpenAI's SDKs read it.

use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, StatusCode};
use provider_core::{CallerFault, InvalidRequest, ProviderError};
use provider_service::{DirectError, StopReason};

use super::answer::set_cost;
use crate::http::OpenAiError;
use crate::http::error::{not_admitted_code, store_status};

impl From<InvalidRequest> for OpenAiError {
    fn from(error: InvalidRequest) -> Self {
        Self::invalid_request("invalid_request", error.to_string()).with_param(error.param())
    }
}

impl From<DirectError> for OpenAiError {
    fn from(error: DirectError) -> Self {
        match error {
            DirectError::NotAdmitted(refused) => {
                let code = not_admitted_code(refused).to_lowercase();
                server(StatusCode::SERVICE_UNAVAILABLE, &code, refused.to_string())
                    .with_retry_after(Some(refused.retry_after()))
            }
            DirectError::EndNotRecorded {
                ref task_id,
                ref source,
            } => {
                // The call is paid for: an SDK must not make it again by itself.
                let (status, _, _) = store_status(source);
                no_retry(server(status, "end_not_recorded", error.to_string()).with_task(task_id))
            }
            DirectError::TaskEnded { ref task_id, .. } => {
                let refused = Self::new(
                    StatusCode::CONFLICT,
                    "invalid_request_error",
                    "task_already_terminal",
                    error.to_string(),
                );
                // It will not come back to life: an SDK need not try again.
                no_retry(refused.with_task(task_id))
            }
            DirectError::Store(error) => {
                let (status, code, retry_after) = store_status(&error);
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "a call could not be recorded"
                );
                server(status, &code.to_lowercase(), error.to_string())
                    .with_retry_after(retry_after)
            }
            DirectError::Call {
                task_id,
                error,
                cost,
            } => {
                let mut shown = call_error(error.primary(), error.to_string()).with_task(&task_id);
                set_cost(&mut shown.headers, &cost);
                shown
            }
            DirectError::Lost => no_retry(server(
                StatusCode::INTERNAL_SERVER_ERROR,
                "lost",
                error.to_string(),
            )),
            DirectError::Stopped {
                ref task_id,
                reason,
                ref cost,
            } => {
                let message = error.to_string();
                let mut shown = match reason {
                    StopReason::Cancelled => no_retry(Self::new(
                        StatusCode::CONFLICT,
                        "invalid_request_error",
                        "cancelled",
                        message,
                    )),
                    StopReason::Shutdown => {
                        server(StatusCode::SERVICE_UNAVAILABLE, "shutting_down", message)
                    }
                    // Nobody reads it: nginx's word for a caller who has hung up.
                    StopReason::CallerGone => no_retry(Self::new(
                        StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST),
                        "invalid_request_error",
                        "caller_gone",
                        message,
                    )),
                }
                .with_task(task_id);
                set_cost(&mut shown.headers, cost);
                shown
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
                CallerFault::ContentPolicy => "content_policy_violation",
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
            let status = match reply.status {
                // The proxy's provider does not know the model.
                404 => return no_such_model(message),
                408 => StatusCode::GATEWAY_TIMEOUT,
                503 => StatusCode::SERVICE_UNAVAILABLE,
                _ => StatusCode::BAD_GATEWAY,
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

fn no_such_model(message: String) -> OpenAiError {
    let kind = "invalid_request_error";
    OpenAiError::new(StatusCode::NOT_FOUND, kind, "model_not_found", message)
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
