//! The `usage` object of an answer, as counts that can be relied on.

mod error;
mod read;
mod units;

use event_payloads::TokenUsage;
use serde_json::Value;

use crate::billable::{Billable, CallType, Place, ServiceTier};
pub use error::UsageError;
use read::{Object, count, object, required, said_once, word};

/// Reads the tokens of a `usage` object as the LiteLLM Proxy writes it: [`parse_billable`] without
/// what is no token.
///
/// # Errors
/// As [`parse_billable`].
pub fn parse_usage(usage: &Value) -> Result<TokenUsage, UsageError> {
    parse_billable(usage, CallType::AsTheModel).map(|call| call.tokens)
}

/// Reads a `usage` object of any shape that a provider or the LiteLLM Proxy writes: chat and completion
/// (`prompt_tokens`), responses (`input_tokens`), embedding, rerank (`search_units`, `total_tokens`),
/// transcription (`seconds`), Anthropic's messages.
///
/// **Convention**: OpenAI's, *inclusive*. `prompt_tokens` holds the cached and cache-writing tokens
/// too, `completion_tokens` the reasoning ones. The proxy converts Anthropic's *exclusive* counts
/// (`input_tokens` without its cache tokens) to this before they reach us, and repeats the cache
/// counts at the top level under Anthropic's names; those count as the same number said twice. Raw
/// Anthropic usages (`input_tokens` beside such names, and no `prompt_tokens`) are added up here.
///
/// The details and `total_tokens` may be missing or `null`. `completion_tokens` may be missing only
/// where the total says that there are none (embeddings). A `total_tokens` that is not the sum is
/// kept as stated; [`TokenUsage::adds_up`] is false then, and the price book does not price it. A total
/// alone is enough for a rerank, for nothing else.
///
/// # Errors
/// Anything that is not a whole number from 0 to 2^53, or a part that is larger than its whole; the
/// error names the field and what stood there.
pub fn parse_billable(usage: &Value, call_type: CallType) -> Result<Billable, UsageError> {
    if usage.is_null() {
        return Err(UsageError::Missing);
    }
    let top = object("usage", Some(usage))?.ok_or(UsageError::Missing)?;
    let shape = Shape::of(top)?;
    let units = units::read(&shape)?;
    let tokens = if units::are_all(top, call_type) {
        TokenUsage::default()
    } else {
        shape.tokens(call_type)?
    };
    units::fit(&tokens, &units)?;
    Ok(Billable {
        tokens,
        units,
        service_tier: ServiceTier::of_answer(word(top, "service_tier").unwrap_or_default()),
        call_type,
        place: place(top),
    })
}

/// What Anthropic says about where and how it served the call.
fn place(top: &Object) -> Place {
    let says = |name: &str, what: &str| {
        word(top, name).is_some_and(|stated| stated.eq_ignore_ascii_case(what))
    };
    Place {
        served_in_us: says("inference_geo", "us"),
        fast_mode: says("speed", "fast"),
        ..Place::default()
    }
}

/// A usage object with its details, whatever they are called in it.
struct Shape<'a> {
    top: &'a Object,
    prompt: Option<&'a Object>,
    completion: Option<&'a Object>,
    names: Names,
}

/// What the counts are called.
struct Names {
    input: &'static str,
    output: &'static str,
    /// Anthropic: input does not hold the cache tokens.
    is_exclusive: bool,
}

const CHAT: Names = Names {
    input: "prompt_tokens",
    output: "completion_tokens",
    is_exclusive: false,
};
const RESPONSES: Names = Names {
    input: "input_tokens",
    output: "output_tokens",
    is_exclusive: false,
};
const ANTHROPIC: Names = Names {
    is_exclusive: true,
    ..RESPONSES
};

impl<'a> Shape<'a> {
    fn of(top: &'a Object) -> Result<Self, UsageError> {
        let has = |name: &str| top.contains_key(name);
        let names = if has("prompt_tokens") || !has("input_tokens") {
            CHAT
        } else if has("cache_read_input_tokens") || has("cache_creation_input_tokens") {
            ANTHROPIC
        } else {
            RESPONSES
        };
        let first = |places: [&'static str; 3]| {
            places
                .into_iter()
                .try_fold(None, |found, name| match found {
                    None => object(name, top.get(name)),
                    found => Ok(found),
                })
        };
        let (prompt, completion) = if names.input == CHAT.input {
            (
                object("prompt_tokens_details", top.get("prompt_tokens_details"))?,
                object(
                    "completion_tokens_details",
                    top.get("completion_tokens_details"),
                )?,
            )
        } else {
            (
                first([
                    "input_tokens_details",
                    "input_token_details",
                    "prompt_tokens_details",
                ])?,
                first([
                    "output_tokens_details",
                    "output_token_details",
                    "completion_tokens_details",
                ])?,
            )
        };
        Ok(Self {
            top,
            prompt,
            completion,
            names,
        })
    }

    fn tokens(&self, call_type: CallType) -> Result<TokenUsage, UsageError> {
        let top = Some(self.top);
        let total_tokens = count(top, "total_tokens", "total_tokens")?;
        let stated_input = match count(top, self.names.input, self.names.input)? {
            None if call_type == CallType::Rerank => total_tokens,
            stated => stated,
        };
        let stated_input = required(stated_input, self.names.input)?;
        let written = cache_writes(self.top, self.prompt)?;
        let cached_tokens = self.cached()?;
        let prompt_tokens = if self.names.is_exclusive {
            // Each is at most 2^53.
            stated_input + cached_tokens + written.five_minutes + written.one_hour
        } else {
            stated_input
        };
        let completion_tokens = match count(top, self.names.output, self.names.output)? {
            None if total_tokens == Some(prompt_tokens) => 0,
            stated => required(stated, self.names.output)?,
        };
        let part_in = |name, path| count(self.prompt, name, path).map(Option::unwrap_or_default);
        let part_out =
            |name, path| count(self.completion, name, path).map(Option::unwrap_or_default);
        Ok(TokenUsage {
            prompt_tokens,
            completion_tokens,
            total_tokens: total_tokens.unwrap_or(prompt_tokens + completion_tokens),
            cached_tokens,
            cache_creation_5m_tokens: written.five_minutes,
            cache_creation_1h_tokens: written.one_hour,
            audio_prompt_tokens: part_in("audio_tokens", "prompt_tokens_details.audio_tokens")?,
            image_prompt_tokens: part_in("image_tokens", "prompt_tokens_details.image_tokens")?,
            audio_completion_tokens: part_out(
                "audio_tokens",
                "completion_tokens_details.audio_tokens",
            )?,
            image_completion_tokens: part_out(
                "image_tokens",
                "completion_tokens_details.image_tokens",
            )?,
            reasoning_tokens: self.reasoning()?,
        })
    }

    fn cached(&self) -> Result<u64, UsageError> {
        said_once(&[
            (
                Some(self.top),
                "cache_read_input_tokens",
                "cache_read_input_tokens",
            ),
            (
                Some(self.top),
                "prompt_cache_hit_tokens",
                "prompt_cache_hit_tokens",
            ),
            (
                self.prompt,
                "cached_tokens",
                "prompt_tokens_details.cached_tokens",
            ),
        ])
    }

    fn reasoning(&self) -> Result<u64, UsageError> {
        said_once(&[
            (
                self.completion,
                "reasoning_tokens",
                "completion_tokens_details.reasoning_tokens",
            ),
            (Some(self.top), "reasoning_tokens", "reasoning_tokens"),
        ])
    }
}

struct CacheWrites {
    five_minutes: u64,
    one_hour: u64,
}

/// The tokens written to a cache. Without a word about how long it lives they are 5-minute ones, as
/// LiteLLM prices them.
fn cache_writes(top: &Object, prompt: Option<&Object>) -> Result<CacheWrites, UsageError> {
    let all = said_once(&[
        (
            Some(top),
            "cache_creation_input_tokens",
            "cache_creation_input_tokens",
        ),
        (
            prompt,
            "cache_creation_tokens",
            "prompt_tokens_details.cache_creation_tokens",
        ),
        (
            prompt,
            "cache_write_tokens",
            "prompt_tokens_details.cache_write_tokens",
        ),
    ])?;
    let by_proxy = object(
        "prompt_tokens_details.cache_creation_token_details",
        prompt.and_then(|prompt| prompt.get("cache_creation_token_details")),
    )?;
    let details = match by_proxy {
        None => object("cache_creation", top.get("cache_creation"))?,
        details => details,
    };
    let five_minutes = count(
        details,
        "ephemeral_5m_input_tokens",
        "cache_creation_token_details.ephemeral_5m_input_tokens",
    )?
    .unwrap_or(0);
    let one_hour = count(
        details,
        "ephemeral_1h_input_tokens",
        "cache_creation_token_details.ephemeral_1h_input_tokens",
    )?
    .unwrap_or(0);
    let by_life = five_minutes + one_hour;
    if by_life > 0 && all > 0 && by_life != all {
        return Err(UsageError::DoesNotAddUp {
            reason: format!(
                "{all} tokens were written to the cache, {five_minutes} for 5 minutes and {one_hour} for 1 hour"
            ),
        });
    }
    Ok(CacheWrites {
        five_minutes: if by_life == 0 { all } else { five_minutes },
        one_hour,
    })
}
