//! The gateway's own key.

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{ApiError, OpenAiError};
use crate::app::App;

/// Lets a request pass if it carries the gateway's key, or if there is none.
pub(super) async fn require_key(State(app): State<App>, request: Request, next: Next) -> Response {
    let Some(key) = &app.config.server.key else {
        return next.run(request).await;
    };
    let sent = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
    if sent.is_some_and(|sent| same(sent, key.expose_secret().as_bytes())) {
        return next.run(request).await;
    }
    let message = "this gateway needs its key: send `Authorization: Bearer <OCTO_GATEWAY_KEY>`";
    if request.uri().path().starts_with("/v1/") {
        let mut error = OpenAiError::invalid_request("invalid_api_key", message);
        error.status = StatusCode::UNAUTHORIZED;
        return error.into_response();
    }
    ApiError::unauthorized(message.to_owned()).into_response()
}

/// Compares in a time that depends on neither content nor length: digests are compared.
fn same(sent: &[u8], key: &[u8]) -> bool {
    Sha256::digest(sent).ct_eq(&Sha256::digest(key)).into()
}
