//! Usages that reach every dimension and both sides of every bound.

use serde_json::{Value, json};

/// A usage, and what it is there for.
#[derive(Clone)]
pub(crate) struct Shape {
    pub(crate) name: &'static str,
    pub(crate) usage: Value,
}

fn shape(name: &'static str, usage: Value) -> Shape {
    Shape { name, usage }
}

fn chat(
    name: &'static str,
    prompt: u64,
    completion: u64,
    details_in: Value,
    details_out: Value,
) -> Shape {
    let mut usage = json!({"prompt_tokens": prompt, "completion_tokens": completion,
                           "total_tokens": prompt + completion});
    usage["prompt_tokens_details"] = details_in;
    usage["completion_tokens_details"] = details_out;
    shape(name, usage)
}

/// The two usages that are asked in every class of service.
pub(crate) fn plain() -> Vec<Shape> {
    vec![
        chat("text", 1000, 500, Value::Null, Value::Null),
        chat(
            "cached and reasoning",
            1000,
            500,
            json!({"cached_tokens": 400}),
            json!({"reasoning_tokens": 300}),
        ),
    ]
}

pub(crate) fn embedding() -> Vec<Shape> {
    vec![
        shape(
            "text",
            json!({"prompt_tokens": 1000, "completion_tokens": 0, "total_tokens": 1000}),
        ),
        shape("text", json!({"prompt_tokens": 7, "total_tokens": 7})),
    ]
}

/// What is counted beside tokens, mostly by embeddings of media.
pub(crate) fn media_units() -> Vec<Shape> {
    let of = |name, details: Value| {
        shape(
            name,
            json!({"prompt_tokens": 12, "completion_tokens": 0, "total_tokens": 12,
                   "prompt_tokens_details": details}),
        )
    };
    vec![
        of("characters", json!({"character_count": 345})),
        of("images", json!({"image_count": 2})),
        of(
            "images and text",
            json!({"image_count": 2, "text_tokens": 12}),
        ),
        of("seconds of video", json!({"video_length_seconds": 7.5})),
        of("seconds of audio", json!({"audio_length_seconds": 30.25})),
        of("queries", json!({"query_count": 3})),
        shape(
            "images alone",
            json!({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0,
                   "prompt_tokens_details": {"image_count": 1}}),
        ),
    ]
}

pub(crate) fn rerank() -> Vec<Shape> {
    vec![
        shape("search units", json!({"search_units": 3})),
        shape(
            "search units",
            json!({"search_units": 1, "total_tokens": 900}),
        ),
        shape("tokens of a rerank", json!({"total_tokens": 1234})),
    ]
}

/// One usage for each dimension of tokens, and the ways in which they meet.
pub(crate) fn tokens() -> Vec<Shape> {
    let none = Value::Null;
    let mut shapes = plain();
    shapes.extend([
        chat("text", 1, 1, none.clone(), none.clone()),
        chat("input alone", 1000, 0, none.clone(), none.clone()),
        chat("output alone", 0, 100, none.clone(), none.clone()),
        chat("long context", 2_000_000, 10, none.clone(), none.clone()),
        chat("cached", 1000, 200, json!({"cached_tokens": 400}), none.clone()),
        chat("all cached", 1000, 0, json!({"cached_tokens": 1000}), none.clone()),
        chat(
            "cache writing",
            1000,
            200,
            json!({"cached_tokens": 200, "cache_creation_tokens": 300}),
            none.clone(),
        ),
        chat(
            "cache writing by life",
            1000,
            200,
            json!({"cached_tokens": 200, "cache_creation_tokens": 300, "cache_creation_token_details":
                   {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200}}),
            none.clone(),
        ),
        chat("reasoning", 1000, 500, none.clone(), json!({"reasoning_tokens": 300})),
        chat(
            "audio",
            1000,
            500,
            json!({"audio_tokens": 100}),
            json!({"audio_tokens": 50}),
        ),
        chat(
            "images",
            1000,
            500,
            json!({"image_tokens": 250}),
            json!({"image_tokens": 120}),
        ),
        chat(
            "video",
            1000,
            500,
            json!({"video_tokens": 250}),
            json!({"video_tokens": 120}),
        ),
        chat(
            "every kind",
            1000,
            500,
            json!({"cached_tokens": 100, "audio_tokens": 50, "image_tokens": 30, "text_tokens": 820}),
            json!({"reasoning_tokens": 100, "audio_tokens": 20, "image_tokens": 10, "text_tokens": 370}),
        ),
        // The cached tokens are partly the audio ones.
        chat(
            "cached media",
            1000,
            10,
            json!({"cached_tokens": 800, "audio_tokens": 300, "image_tokens": 50}),
            none,
        ),
        // Anthropic's names at the top level, as the proxy repeats them.
        shape(
            "both names of the cache",
            json!({"prompt_tokens": 1000, "completion_tokens": 20, "total_tokens": 1020,
                   "cache_read_input_tokens": 600, "cache_creation_input_tokens": 100,
                   "prompt_tokens_details": {"cached_tokens": 600, "cache_creation_tokens": 100}}),
        ),
        shape(
            "DeepSeek's name of the cache",
            json!({"prompt_tokens": 1000, "completion_tokens": 20, "total_tokens": 1020,
                   "prompt_cache_hit_tokens": 640, "prompt_cache_miss_tokens": 360}),
        ),
    ]);
    shapes
}

/// The names of other APIs.
pub(crate) fn other_shapes() -> Vec<Shape> {
    vec![
        shape(
            "responses",
            json!({"input_tokens": 1000, "output_tokens": 500, "total_tokens": 1500,
                   "input_tokens_details": {"cached_tokens": 400},
                   "output_tokens_details": {"reasoning_tokens": 300}}),
        ),
        shape(
            "responses without details",
            json!({"input_tokens": 77, "output_tokens": 33, "total_tokens": 110}),
        ),
        shape(
            "realtime",
            json!({"input_tokens": 1000, "output_tokens": 500, "total_tokens": 1500,
                   "input_token_details": {"text_tokens": 700, "audio_tokens": 300},
                   "output_token_details": {"text_tokens": 400, "audio_tokens": 100}}),
        ),
        shape(
            "Anthropic",
            json!({"input_tokens": 300, "output_tokens": 50, "cache_read_input_tokens": 600,
                   "cache_creation_input_tokens": 100,
                   "cache_creation": {"ephemeral_5m_input_tokens": 70, "ephemeral_1h_input_tokens": 30}}),
        ),
        shape(
            "reasoning at the top",
            json!({"prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500,
                   "reasoning_tokens": 120}),
        ),
    ]
}

/// Searches and other services that a provider sells beside tokens, in the words in which LiteLLM's
/// answers of that provider have them.
pub(crate) fn tools(provider: &str, model: &str) -> Vec<Shape> {
    let with = |name, more: Value| {
        let mut usage =
            json!({"prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500});
        for (key, value) in more.as_object().unwrap() {
            usage[key] = value.clone();
        }
        shape(name, usage)
    };
    let searches = |count: u64| json!({"server_tool_use": {"web_search_requests": count}});
    let groundings = |count: u64| json!({"prompt_tokens_details": {"web_search_requests": count}});
    let is_google = provider == "gemini" || provider == "vertex_ai" && !model.contains("claude");
    let mut shapes = match provider {
        "xai" => vec![with(
            "xAI's searches",
            json!({"prompt_tokens_details": {"web_search_requests": 2},
                   "server_side_tool_usage_details": {"web_search_calls": 2}}),
        )],
        "perplexity" => vec![with("groundings", groundings(4))],
        _ => vec![
            with("one search", searches(1)),
            with("searches", searches(3)),
        ],
    };
    if is_google {
        shapes.push(with("one grounding", groundings(1)));
        shapes.push(with("groundings", groundings(4)));
    }
    if provider == "groq" {
        shapes.push(with(
            "pages",
            json!({"server_tool_use": {"web_search_requests": 2, "browser_open_requests": 5}}),
        ));
    }
    shapes.extend([
        with(
            "maps",
            json!({"prompt_tokens_details": {"google_maps_grounding_requests": 2}}),
        ),
        with(
            "citations",
            json!({"citation_tokens": 250, "reasoning_tokens": 100}),
        ),
        with("in the United States", json!({"inference_geo": "us"})),
        with("fast mode", json!({"speed": "fast"})),
        with(
            "fast mode there",
            json!({"speed": "fast", "inference_geo": "us"}),
        ),
        with(
            "priority by the answer",
            json!({"service_tier": "priority"}),
        ),
        with("default by the answer", json!({"service_tier": "default"})),
    ]);
    shapes
}

/// Every number of input tokens at which a price of the entry changes.
pub(crate) fn bounds(entry: &Value) -> Vec<u64> {
    let tiers = entry.as_object().unwrap().keys().filter_map(|key| {
        let (_, rest) = key.split_once("_above_")?;
        rest.split_once("k_tokens")?
            .0
            .rsplit('_')
            .next()?
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
pub(crate) fn around(bound: u64) -> Vec<Shape> {
    [bound - 1, bound, bound + 1]
        .into_iter()
        .map(|prompt| {
            shape("around a bound", json!({"prompt_tokens": prompt, "completion_tokens": 1000, "total_tokens": prompt + 1000,
                   "prompt_tokens_details": {"cached_tokens": 5000, "cache_creation_tokens": 700,
                       "audio_tokens": 30, "image_tokens": 20, "cache_creation_token_details":
                       {"ephemeral_5m_input_tokens": 300, "ephemeral_1h_input_tokens": 400}},
                   "completion_tokens_details": {"reasoning_tokens": 300}}))
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

    pub(crate) fn usage(&mut self) -> Shape {
        let prompt = 1 + self.below(400_000);
        let completion = 1 + self.below(50_000);
        let cached = self.below(prompt + 1);
        let written = self.below(prompt - cached + 1);
        let one_hour = self.below(written + 1);
        let audio = self.below((prompt - cached - written) / 2 + 1);
        let image = self.below((prompt - cached - written) / 2 + 1);
        let reasoning = self.below(completion / 2 + 1);
        let audio_out = self.below(completion / 2 + 1);
        shape(
            "random",
            json!({"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion,
               "prompt_tokens_details": {"cached_tokens": cached, "cache_creation_tokens": written,
                   "audio_tokens": audio, "image_tokens": image, "cache_creation_token_details":
                   {"ephemeral_5m_input_tokens": written - one_hour, "ephemeral_1h_input_tokens": one_hour}},
               "completion_tokens_details": {"reasoning_tokens": reasoning, "audio_tokens": audio_out}}),
        )
    }
}
