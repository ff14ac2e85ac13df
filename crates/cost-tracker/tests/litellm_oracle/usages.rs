//! Usages that reach every dimension and both sides of every bound.

use serde_json::{Value, json};

pub(crate) fn embedding_usages() -> Vec<Value> {
    vec![
        json!({"prompt_tokens": 1000, "completion_tokens": 0, "total_tokens": 1000}),
        json!({"prompt_tokens": 7, "total_tokens": 7}),
    ]
}

/// One usage for each dimension, and the ways in which they meet.
pub(crate) fn chat_usages() -> Vec<Value> {
    let of = |prompt: u64, completion: u64, details_in: Value, details_out: Value| {
        json!({"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion,
               "prompt_tokens_details": details_in, "completion_tokens_details": details_out})
    };
    let plain = Value::Null;
    vec![
        of(1000, 500, plain.clone(), plain.clone()),
        of(1, 1, plain.clone(), plain.clone()),
        of(1000, 0, plain.clone(), plain.clone()),
        of(0, 100, plain.clone(), plain.clone()),
        of(2_000_000, 10, plain.clone(), plain.clone()),
        of(1000, 200, json!({"cached_tokens": 400}), plain.clone()),
        of(1000, 0, json!({"cached_tokens": 1000}), plain.clone()),
        of(
            1000,
            200,
            json!({"cached_tokens": 200, "cache_creation_tokens": 300}),
            plain.clone(),
        ),
        of(
            1000,
            200,
            json!({"cached_tokens": 200, "cache_creation_tokens": 300, "cache_creation_token_details":
                   {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200}}),
            plain.clone(),
        ),
        of(1000, 500, plain.clone(), json!({"reasoning_tokens": 300})),
        of(
            1000,
            500,
            json!({"audio_tokens": 100}),
            json!({"audio_tokens": 50}),
        ),
        of(
            1000,
            500,
            json!({"image_tokens": 250}),
            json!({"image_tokens": 120}),
        ),
        of(
            1000,
            500,
            json!({"cached_tokens": 100, "audio_tokens": 50, "image_tokens": 30, "text_tokens": 820}),
            json!({"reasoning_tokens": 100, "audio_tokens": 20, "image_tokens": 10, "text_tokens": 370}),
        ),
        // The cached tokens are partly the audio ones.
        of(
            1000,
            10,
            json!({"cached_tokens": 800, "audio_tokens": 300, "image_tokens": 50}),
            plain.clone(),
        ),
        // Anthropic's names at the top level, as the proxy repeats them.
        json!({"prompt_tokens": 1000, "completion_tokens": 20, "total_tokens": 1020,
               "cache_read_input_tokens": 600, "cache_creation_input_tokens": 100,
               "prompt_tokens_details": {"cached_tokens": 600, "cache_creation_tokens": 100}}),
    ]
}

/// Every number of input tokens at which a price of the entry changes.
pub(crate) fn bounds(entry: &Value) -> Vec<u64> {
    let tiers = entry.as_object().unwrap().keys().filter_map(|key| {
        let (_, rest) = key.split_once("_above_")?;
        rest.split_once("k_tokens")?
            .0
            .parse::<u64>()
            .ok()
            .map(|thousands| thousands * 1000)
    });
    let ranges = entry["tiered_pricing"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|tier| {
            let bound = tier["range"][1].as_f64()?;
            format!("{bound:.0}").parse::<u64>().ok()
        });
    let mut bounds: Vec<u64> = tiers.chain(ranges).collect();
    bounds.sort_unstable();
    bounds.dedup();
    bounds
}

/// Both sides of a bound, with everything that a tier can price.
pub(crate) fn around(bound: u64) -> Vec<Value> {
    [bound - 1, bound, bound + 1]
        .into_iter()
        .map(|prompt| {
            json!({"prompt_tokens": prompt, "completion_tokens": 1000, "total_tokens": prompt + 1000,
                   "prompt_tokens_details": {"cached_tokens": 5000, "cache_creation_tokens": 700,
                       "audio_tokens": 30, "image_tokens": 20, "cache_creation_token_details":
                       {"ephemeral_5m_input_tokens": 300, "ephemeral_1h_input_tokens": 400}},
                   "completion_tokens_details": {"reasoning_tokens": 300}})
        })
        .collect()
}

/// A small generator (xorshift), so that the same usages come every time.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit.max(1)
    }

    pub(crate) fn usage(&mut self) -> Value {
        let prompt = 1 + self.below(400_000);
        let completion = 1 + self.below(50_000);
        let cached = self.below(prompt + 1);
        let written = self.below(prompt - cached + 1);
        let one_hour = self.below(written + 1);
        let audio = self.below((prompt - cached - written) / 2 + 1);
        let image = self.below((prompt - cached - written) / 2 + 1);
        let reasoning = self.below(completion / 2 + 1);
        let audio_out = self.below(completion / 2 + 1);
        json!({"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion,
               "prompt_tokens_details": {"cached_tokens": cached, "cache_creation_tokens": written,
                   "audio_tokens": audio, "image_tokens": image, "cache_creation_token_details":
                   {"ephemeral_5m_input_tokens": written - one_hour, "ephemeral_1h_input_tokens": one_hour}},
               "completion_tokens_details": {"reasoning_tokens": reasoning, "audio_tokens": audio_out}})
    }
}
