//! What a refused or failed request gets under `/v1`.

use std::time::Duration;

use axum::Json;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use event_payloads::TaskId;
use serde::Serialize;

use super::ApiError;
use super::error::{set, set_retry_after};

/// `{"error": {"message", "type", "param", "code"}}`, as OpenAI's SDKs read it.
#[derive(Debug)]
pub struct OpenAiError {
    pub(super) status: StatusCode,
    pub(super) message: String,
    pub(super) kind: &'static str,
    pub(super) param: Option<String>,
    pub(super) code: Option<String>,
    pub(super) retry_after: Option<Duration>,
    /// Boxed: an error is rare, and should not make every answer larger.
    pub(super) headers: Box<HeaderMap>,
}

impl OpenAiError {
    pub(super) fn new(
        status: StatusCode,
        kind: &'static str,
        code: &str,
        message: impl Into<String>,
    ) -> Self {
        Self {
            status,
            message: message.into(),
            kind,
            param: None,
            code: Some(code.to_owned()),
            retry_after: None,
            headers: Box::default(),
        }
    }

    /// 400: the caller's fault.
    pub(super) fn invalid_request(code: &str, message: impl Into<String>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "invalid_request_error",
            code,
            message,
        )
    }

    pub(super) fn with_param(mut self, param: Option<impl Into<String>>) -> Self {
        self.param = param.map(Into::into);
        self
    }

    pub(super) fn with_retry_after(mut self, retry_after: Option<Duration>) -> Self {
        self.retry_after = retry_after;
        self
    }

    pub(super) fn with_task(mut self, task_id: &TaskId) -> Self {
        set(&mut self.headers, "x-octo-task-id", task_id.as_str());
        self
    }
}

impl From<ApiError> for OpenAiError {
    fn from(error: ApiError) -> Self {
        let kind = if error.status.is_server_error() {
            "server_error"
        } else {
            "invalid_request_error"
        };
        Self::new(
            error.status,
            kind,
            &error.code.to_lowercase(),
            error.message,
        )
        .with_retry_after(error.retry_after)
    }
}

impl IntoResponse for OpenAiError {
    fn into_response(self) -> Response {
        #[derive(Serialize)]
        struct Body {
            error: Inner,
        }
        #[derive(Serialize)]
        struct Inner {
            message: String,
            r#type: &'static str,
            param: Option<String>,
            code: Option<String>,
        }
        let inner = Inner {
            message: self.message,
            r#type: self.kind,
            param: self.param,
            code: self.code,
        };
        let mut response =
            (self.status, *self.headers, Json(Body { error: inner })).into_response();
        set_retry_after(response.headers_mut(), self.retry_after);
        response
    }
}
