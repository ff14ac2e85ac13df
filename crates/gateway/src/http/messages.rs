//! `POST /api/message`: a message becomes a task.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use event_payloads::{TaskId, TaskStatus};
use provider_service::Message;
use serde::{Deserialize, Serialize};

use super::{ApiError, body};
use crate::app::App;

/// Longest name-like field, in characters.
const MAX_FIELD_CHARS: usize = 256;
/// Channels that the gateway gives out itself start so.
const RESERVED_CHANNEL_PREFIX: &str = "v1";

#[derive(Deserialize)]
struct NewMessage {
    text: String,
    idempotency_key: String,
    #[serde(default = "web")]
    channel: String,
    #[serde(default = "default_thread")]
    thread_id: String,
    #[serde(default = "owner")]
    sender_id: String,
    /// Part of the API; no event has a place for it.
    #[serde(default)]
    sender_name: Option<String>,
    #[serde(default)]
    model_alias: Option<String>,
}

fn web() -> String {
    "web".to_owned()
}

fn default_thread() -> String {
    "default".to_owned()
}

fn owner() -> String {
    "owner".to_owned()
}

#[derive(Serialize)]
pub(super) struct Taken {
    task_id: TaskId,
    status: TaskStatus,
    created: bool,
}

pub(super) async fn post(
    State(app): State<App>,
    body: Body,
) -> Result<(StatusCode, Json<Taken>), ApiError> {
    let bytes = body::read(&app, body).await?;
    let message = parse(&bytes)?;
    let taken = app.tasks.submit(message).await?;
    let status = if taken.created {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    Ok((
        status,
        Json(Taken {
            task_id: taken.task_id,
            status: taken.status,
            created: taken.created,
        }),
    ))
}

fn parse(bytes: &[u8]) -> Result<Message, ApiError> {
    let message: NewMessage = serde_json::from_slice(bytes)
        .map_err(|error| ApiError::validation(format!("the body is not a message: {error}")))?;
    if message.text.trim().is_empty() {
        return Err(ApiError::validation("`text` is empty"));
    }
    for (name, value, may_be_empty) in [
        ("idempotency_key", Some(&message.idempotency_key), false),
        ("channel", Some(&message.channel), false),
        ("thread_id", Some(&message.thread_id), false),
        ("sender_id", Some(&message.sender_id), false),
        ("sender_name", message.sender_name.as_ref(), true),
        ("model_alias", message.model_alias.as_ref(), true),
    ] {
        let Some(value) = value else { continue };
        if !may_be_empty && value.trim().is_empty() {
            return Err(ApiError::validation(format!("`{name}` is empty")));
        }
        if value.chars().count() > MAX_FIELD_CHARS || value.chars().any(char::is_control) {
            let rule = format!(
                "`{name}` has at most {MAX_FIELD_CHARS} characters, none of them control characters"
            );
            return Err(ApiError::validation(rule));
        }
    }
    if message.channel.starts_with(RESERVED_CHANNEL_PREFIX) {
        return Err(ApiError::validation(
            "a `channel` that starts with `v1` is the gateway's own",
        ));
    }
    Ok(Message {
        text: message.text,
        idempotency_key: message.idempotency_key,
        channel: message.channel,
        thread_id: message.thread_id,
        sender_id: message.sender_id,
        model_alias: message.model_alias.filter(|alias| !alias.trim().is_empty()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_needs_only_its_text_and_its_key() {
        let message =
            parse(br#"{"text": "hi", "idempotency_key": "k", "attachments": []}"#).unwrap();
        assert_eq!(message, Message::new("hi", "k"));
    }

    #[test]
    fn what_is_not_a_message_is_refused() {
        for body in [
            "",
            "[]",
            r#"{"text": "hi"}"#,
            r#"{"text": " ", "idempotency_key": "k"}"#,
            r#"{"text": "hi", "idempotency_key": ""}"#,
            r#"{"text": 5, "idempotency_key": "k"}"#,
            r#"{"text": "hi", "idempotency_key": "a\u0000b"}"#,
            r#"{"text": "hi", "idempotency_key": "k", "channel": "v1-session"}"#,
        ] {
            assert!(parse(body.as_bytes()).is_err(), "{body}");
        }
        let long = format!(
            r#"{{"text": "hi", "idempotency_key": "{}"}}"#,
            "k".repeat(257)
        );
        assert!(parse(long.as_bytes()).is_err());
    }
}
