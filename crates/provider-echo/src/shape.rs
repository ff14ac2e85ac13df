//! The echo in OpenAI's shapes, for callers of `/v1`.

use bytes::{Bytes, BytesMut};
use provider_core::{Chunk, Endpoint};
use serde_json::{Value, json};

use crate::echo::{ECHO, Echo};

const ID: &str = "chatcmpl-echo";

/// The whole answer.
pub(crate) fn whole(echo: &Echo) -> Result<Vec<u8>, serde_json::Error> {
    let usage = echo.usage;
    let body = match echo.endpoint {
        Endpoint::Responses => response(echo, "completed"),
        Endpoint::Completions => json!({
            "id": ID, "object": "text_completion", "created": 0, "model": ECHO,
            "choices": [{"index": 0, "text": echo.content, "finish_reason": "stop"}],
            "usage": usage,
        }),
        _ => json!({
            "id": ID, "object": "chat.completion", "created": 0, "model": ECHO,
            "choices": [{
                "index": 0,
                "message": {"role": "assistant", "content": echo.content},
                "finish_reason": "stop",
            }],
            "usage": usage,
        }),
    };
    serde_json::to_vec(&body)
}

/// The words, each with the space behind it, and what stands around them.
pub(crate) fn pieces(echo: &Echo) -> Result<Vec<Chunk>, serde_json::Error> {
    let words = echo.content.split_inclusive(' ');
    let chunk = |text: &str, data: &Value| -> Result<Chunk, serde_json::Error> {
        Ok(Chunk {
            frame: frame(data)?,
            text: text.to_owned(),
        })
    };
    let mut chunks = Vec::new();
    if echo.endpoint == Endpoint::Responses {
        // The SDKs put an answer together from its items and their parts, which have to be there first.
        for opening in [
            json!({"type": "response.created", "response": response(echo, "in_progress")}),
            json!({
                "type": "response.output_item.added", "output_index": 0,
                "item": {"id": ID, "type": "message", "role": "assistant", "status": "in_progress", "content": []},
            }),
            json!({
                "type": "response.content_part.added", "item_id": ID, "output_index": 0, "content_index": 0,
                "part": {"type": "output_text", "text": "", "annotations": []},
            }),
        ] {
            chunks.push(chunk("", &opening)?);
        }
        for word in words {
            let delta = json!({
                "type": "response.output_text.delta", "item_id": ID, "output_index": 0,
                "content_index": 0, "delta": word,
            });
            chunks.push(chunk(word, &delta)?);
        }
        return Ok(chunks);
    }
    for word in words {
        chunks.push(chunk(word, &choice(echo.endpoint, Some(word), None))?);
    }
    chunks.push(chunk("", &choice(echo.endpoint, None, Some("stop")))?);
    Ok(chunks)
}

/// The piece that states the usage.
pub(crate) fn usage(echo: &Echo) -> Result<Option<Chunk>, serde_json::Error> {
    if echo.endpoint == Endpoint::Responses {
        return Ok(None);
    }
    let (object, _) = said(echo.endpoint, None);
    let data = json!({
        "id": ID, "object": object, "created": 0, "model": ECHO, "choices": [], "usage": echo.usage,
    });
    Ok(Some(Chunk {
        frame: frame(&data)?,
        text: String::new(),
    }))
}

/// What ends the stream.
pub(crate) fn tail(echo: &Echo) -> Result<Bytes, serde_json::Error> {
    let mut tail = BytesMut::new();
    if echo.endpoint == Endpoint::Responses {
        let completed =
            json!({"type": "response.completed", "response": response(echo, "completed")});
        tail.extend_from_slice(&frame(&completed)?);
    }
    tail.extend_from_slice(b"data: [DONE]\n\n");
    Ok(tail.freeze())
}

/// One event. JSON that is written compactly has no line end that would have to be split.
fn frame(data: &Value) -> Result<Bytes, serde_json::Error> {
    serde_json::to_string(data).map(|data| format!("data: {data}\n\n").into())
}

/// What a piece is called, and the field that holds its word.
fn said(endpoint: Endpoint, word: Option<&str>) -> (&'static str, (&'static str, Value)) {
    if endpoint == Endpoint::Completions {
        return ("text_completion", ("text", json!(word.unwrap_or_default())));
    }
    let delta = word.map_or_else(
        || json!({}),
        |word| json!({"role": "assistant", "content": word}),
    );
    ("chat.completion.chunk", ("delta", delta))
}

fn choice(endpoint: Endpoint, word: Option<&str>, finish_reason: Option<&str>) -> Value {
    let (object, (field, said)) = said(endpoint, word);
    json!({
        "id": ID, "object": object, "created": 0, "model": ECHO,
        "choices": [{"index": 0, field: said, "finish_reason": finish_reason}],
    })
}

fn response(echo: &Echo, status: &str) -> Value {
    let (output, usage) = if status == "completed" {
        let part = json!({"type": "output_text", "text": echo.content, "annotations": []});
        let message = json!({
            "id": ID, "type": "message", "role": "assistant", "status": status, "content": [part],
        });
        let usage = json!({
            "input_tokens": echo.usage.prompt_tokens,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": echo.usage.completion_tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": echo.usage.total_tokens,
        });
        (json!([message]), usage)
    } else {
        (json!([]), Value::Null)
    };
    json!({
        "id": "resp_echo", "object": "response", "created_at": 0, "model": ECHO, "status": status,
        "error": null, "output": output, "parallel_tool_calls": false, "tools": [],
        "tool_choice": "none", "usage": usage,
    })
}
