//! Reading a body: within a size, within a time.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};

use super::ApiError;
use crate::app::App;

/// A client that drips its body byte by byte does not hold a connection for longer.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// The whole body.
pub(super) async fn read(app: &App, body: Body) -> Result<Bytes, ApiError> {
    let limit = app.config.server.max_body_bytes;
    let whole = tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, limit).collect());
    match whole.await {
        Err(_) => Err(ApiError::slow_body(BODY_TIMEOUT)),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(ApiError::too_large(limit)),
        Ok(Err(error)) => Err(ApiError::validation(format!(
            "the body did not come whole: {error}"
        ))),
        Ok(Ok(body)) => Ok(body.to_bytes()),
    }
}
