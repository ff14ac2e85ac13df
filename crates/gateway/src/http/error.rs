//! What a refused request gets under `/api`; `/v1` has OpenAI's shape ([`OpenAiError`](super::OpenAiError)).

use std::time::Duration;

use axum::Json;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use event_store::StoreError;
use provider_service::{CancelError, NotAdmitted, SubmitError};
use serde::Serialize;

/// `{"error": {"code": "TASK_NOT_FOUND", "message": "…"}}`
#[derive(Debug)]
pub struct ApiError {
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
    pub(super) message: String,
    pub(super) retry_after: Option<Duration>,
}

impl ApiError {
    const fn new(status: StatusCode, code: &'static str, message: String) -> Self {
        Self {
            status,
            code,
            message,
            retry_after: None,
        }
    }

    /// 422: the request is not what it should be.
    #[must_use]
    pub fn validation(message: impl Into<String>) -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "VALIDATION_ERROR",
            message.into(),
        )
    }

    /// 404.
    #[must_use]
    pub const fn not_found(code: &'static str, message: String) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, message)
    }

    pub(super) fn no_task(task_id: &str) -> Self {
        let shown = event_payloads::first_chars(task_id, 80).escape_debug();
        Self::not_found("TASK_NOT_FOUND", format!("there is no task {shown}"))
    }

    /// 409: a reader of the log is further than the log.
    pub(super) fn cursor_ahead(cursor: u64, head: u64) -> Self {
        let message = format!(
            "cursor {cursor} is beyond the log, which ends at {head}: it was read from another log, or this \
             one was restored from a backup since; begin again with `after=0`, or go on with `after={head}`"
        );
        Self::new(StatusCode::CONFLICT, "CURSOR_AHEAD", message)
    }

    pub(super) const fn wrong_method(message: String) -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "METHOD_NOT_ALLOWED",
            message,
        )
    }

    pub(super) const fn unauthorized(message: String) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", message)
    }

    pub(super) const fn forbidden(message: String) -> Self {
        Self::new(StatusCode::FORBIDDEN, "FORBIDDEN", message)
    }

    pub(super) fn busy(message: &str) -> Self {
        let error = Self::new(StatusCode::SERVICE_UNAVAILABLE, "BUSY", message.to_owned());
        Self {
            retry_after: Some(Duration::from_secs(1)),
            ..error
        }
    }

    pub(super) fn too_large(limit: usize) -> Self {
        let message = format!("the body is larger than {limit} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "PAYLOAD_TOO_LARGE", message)
    }

    pub(super) fn slow_body(limit: Duration) -> Self {
        let message = format!("the body did not come within {} s", limit.as_secs());
        Self::new(StatusCode::REQUEST_TIMEOUT, "REQUEST_TIMEOUT", message)
    }
}

impl From<NotAdmitted> for ApiError {
    fn from(refused: NotAdmitted) -> Self {
        let error = Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            not_admitted_code(refused),
            refused.to_string(),
        );
        Self {
            retry_after: Some(refused.retry_after()),
            ..error
        }
    }
}

pub(super) const fn not_admitted_code(refused: NotAdmitted) -> &'static str {
    match refused {
        NotAdmitted::ShuttingDown => "SHUTTING_DOWN",
        _ => "BUSY",
    }
}

/// What a store's failure is to an HTTP client: status, code, and when to try again.
pub(super) fn store_status(error: &StoreError) -> (StatusCode, &'static str, Option<Duration>) {
    if error.is_full() {
        return (StatusCode::INSUFFICIENT_STORAGE, "STORAGE_FULL", None);
    }
    // In doubt: with the same idempotency key it is safe to send again, and the answer to it is sure.
    if error.is_unreachable() || error.is_in_doubt() {
        return (
            StatusCode::SERVICE_UNAVAILABLE,
            "STORAGE_UNREACHABLE",
            Some(Duration::from_secs(5)),
        );
    }
    if error.is_busy() || error.is_closed() {
        return (
            StatusCode::SERVICE_UNAVAILABLE,
            "STORAGE_BUSY",
            Some(Duration::from_secs(1)),
        );
    }
    // Another gateway of that version can.
    if matches!(error, StoreError::TooNew { .. }) {
        return (
            StatusCode::SERVICE_UNAVAILABLE,
            "STORAGE_TOO_NEW",
            Some(Duration::from_secs(5)),
        );
    }
    if matches!(error, StoreError::Pruned { .. }) {
        return (StatusCode::UNPROCESSABLE_ENTITY, "PRUNED", None);
    }
    if error.is_refusal() {
        return (StatusCode::CONFLICT, "CONFLICT", None);
    }
    (StatusCode::INTERNAL_SERVER_ERROR, "STORAGE_ERROR", None)
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        let (status, code, retry_after) = store_status(&error);
        if status.is_server_error() {
            tracing::error!(error = &error as &dyn std::error::Error, "the store failed");
        }
        Self {
            retry_after,
            ..Self::new(status, code, error.to_string())
        }
    }
}

impl From<SubmitError> for ApiError {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::NotAdmitted(refused) => refused.into(),
            SubmitError::Store(error) => error.into(),
            other => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "INTERNAL",
                other.to_string(),
            ),
        }
    }
}

impl From<CancelError> for ApiError {
    fn from(error: CancelError) -> Self {
        match error {
            CancelError::UnknownTask(task_id) => Self::no_task(task_id.as_str()),
            CancelError::AlreadyTerminal { .. } => Self::new(
                StatusCode::CONFLICT,
                "TASK_ALREADY_TERMINAL",
                error.to_string(),
            ),
            CancelError::StillEnding(_) => Self {
                retry_after: Some(Duration::from_secs(1)),
                ..Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "STILL_ENDING",
                    error.to_string(),
                )
            },
            CancelError::Store(error) => error.into(),
            other => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "INTERNAL",
                other.to_string(),
            ),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        #[derive(Serialize)]
        struct Body {
            error: Inner,
        }
        #[derive(Serialize)]
        struct Inner {
            code: &'static str,
            message: String,
        }
        let body = Body {
            error: Inner {
                code: self.code,
                message: self.message,
            },
        };
        let mut response = (self.status, Json(body)).into_response();
        set_retry_after(response.headers_mut(), self.retry_after);
        response
    }
}

/// Whole seconds, rounded up: never earlier than asked.
pub(super) fn set_retry_after(headers: &mut HeaderMap, retry_after: Option<Duration>) {
    let Some(wait) = retry_after else { return };
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
}

/// Sets a header to a text; what a header can not carry becomes `?`.
pub(super) fn set(headers: &mut HeaderMap, name: &'static str, text: &str) {
    let safe: String = text
        .chars()
        .take(500)
        .map(|c| {
            if c == ' ' || c.is_ascii_graphic() {
                c
            } else {
                '?'
            }
        })
        .collect();
    if let Ok(value) = HeaderValue::try_from(safe) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use provider_service::DirectError;

    use super::*;
    use crate::http::OpenAiError;

    #[test]
    fn a_commit_in_doubt_is_worth_another_try() {
        let api = ApiError::from(StoreError::InDoubt {
            server: "db:5432/octo".to_owned(),
            source: Arc::new(std::io::Error::other("connection reset")),
        });
        assert_eq!(api.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(api.retry_after.is_some());
    }

    #[test]
    fn a_database_that_a_newer_version_has_is_for_another_gateway() {
        let api = ApiError::from(StoreError::TooNew { found: 9, known: 8 });
        assert_eq!(api.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(api.retry_after.is_some());
    }

    #[test]
    fn a_database_that_is_away_is_worth_another_try() {
        let away = || StoreError::Unreachable {
            server: "db:5432/octo".to_owned(),
            source: Arc::new(std::io::Error::other("connection refused")),
        };
        let api = ApiError::from(away());
        assert_eq!(api.code, "STORAGE_UNREACHABLE");
        let v1 = OpenAiError::from(DirectError::Store(away()));
        assert_eq!(v1.code.as_deref(), Some("storage_unreachable"));
        for response in [api.into_response(), v1.into_response()] {
            assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(response.headers()[header::RETRY_AFTER], "5");
        }
    }
}
