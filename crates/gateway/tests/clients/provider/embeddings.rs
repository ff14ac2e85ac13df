//! `/v1/embeddings`: the same vector for every input, as numbers or as base64.

use serde_json::{Value, json};

use super::script::{Reply, whole};

const VECTOR: [f32; 3] = [0.25, -0.5, 1.0];

/// [`VECTOR`] as little-endian bytes in base64.
const BASE64: &str = "AACAPgAAAL8AAIA/";

pub(crate) fn reply(model: &str, body: &Value) -> Reply {
    let count = body["input"].as_array().map_or(1, Vec::len);
    let vector = if body["encoding_format"] == "base64" {
        json!(BASE64)
    } else {
        json!(VECTOR)
    };
    let data: Vec<Value> = (0..count)
        .map(|index| json!({"object": "embedding", "index": index, "embedding": vector}))
        .collect();
    let tokens = 4 * count;
    whole(json!({
        "object": "list",
        "data": data,
        "model": model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }))
}
