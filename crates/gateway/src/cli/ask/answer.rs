//! Reading the answer while it comes.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use http_body::Body;
use serde::Deserialize;
use serde_json::Value;
use sse_reader::SseReader;

use super::trailers::Trailers;
use super::{Question, Shown, output};
use crate::cli::gateway_client;

/// Longest piece that is read, in bytes.
const MAX_EVENT: usize = 8 << 20;

/// Prints the pieces as they come (unless all of it is to be JSON), and says at the end what it was.
/// Nothing may take longer than `quiet_limit` to come.
pub(super) async fn read<B>(
    response: Response<B>,
    question: &Question,
    quiet_limit: Duration,
) -> Result<Shown, String>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    let (head, body) = response.into_parts();
    if head.status != StatusCode::OK {
        let read =
            tokio::time::timeout(quiet_limit, gateway_client::refusal(head.status, body)).await;
        return Err(read.unwrap_or_else(|_| format!("the gateway answered {}", head.status)));
    }
    let mut shown = Shown::begun(question, &head.headers);
    let (body, trailers) = Trailers::of(body);
    let mut events = SseReader::new(body, MAX_EVENT);
    let mut ended = false;
    while !ended {
        let next = tokio::time::timeout(quiet_limit, events.next()).await;
        let event = next.map_err(|_| format!("nothing came for {} s", quiet_limit.as_secs()))?;
        let event = event.ok_or("the answer was cut off before its end")?;
        let event = event.map_err(|error| format!("the answer can not be read: {error}"))?;
        ended = event.data == "[DONE]";
        if !ended {
            shown.add(&event.data, question.json)?;
        }
    }
    // The trailers come with the end of the body.
    let _ = tokio::time::timeout(quiet_limit, events.next()).await;
    let costs = trailers.get();
    shown.cost_usd =
        text(&costs, "x-octo-cost-usd").and_then(|usd| serde_json::from_str(&usd).ok());
    shown.cost_unavailable_reason = text(&costs, "x-octo-cost-unavailable");
    Ok(shown)
}

/// A piece of an answer, as far as it is shown.
#[derive(Deserialize)]
struct Piece {
    #[serde(default)]
    choices: Vec<Choice>,
    usage: Option<Usage>,
    error: Option<Failure>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    delta: Delta,
}

#[derive(Default, Deserialize)]
struct Delta {
    content: Option<String>,
}

#[derive(Deserialize)]
struct Usage {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct Failure {
    message: String,
}

impl Shown {
    fn begun(question: &Question, headers: &HeaderMap) -> Self {
        let fallback_reason = text(headers, "x-octo-fallback");
        Self {
            task_id: text(headers, "x-octo-task-id").unwrap_or_default(),
            content: String::new(),
            model_alias: question.alias.clone(),
            model_name: text(headers, "x-octo-model").unwrap_or_default(),
            prompt_tokens: None,
            completion_tokens: None,
            cost_usd: None::<Value>,
            cost_unavailable_reason: None,
            is_fallback: fallback_reason.is_some(),
            fallback_reason,
        }
    }

    fn add(&mut self, data: &str, json: bool) -> Result<(), String> {
        let piece: Piece = serde_json::from_str(data)
            .map_err(|error| format!("a piece of the answer can not be read: {error}"))?;
        if let Some(failure) = piece.error {
            if !json && !self.content.is_empty() {
                output::line("");
            }
            return Err(failure.message);
        }
        if let Some(usage) = piece.usage {
            self.prompt_tokens = usage.prompt_tokens;
            self.completion_tokens = usage.completion_tokens;
        }
        let said = piece.choices.into_iter().next();
        if let Some(said) = said.and_then(|choice| choice.delta.content) {
            if !json {
                output::piece(&said);
            }
            self.content.push_str(&said);
        }
        Ok(())
    }
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}
