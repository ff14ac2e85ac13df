//! The `usage` object of an answer, as token counts that can be relied on.

use event_payloads::TokenUsage;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde_json::{Map, Value};

use crate::exact;
use crate::shown::shown;

/// 2^53: the largest count that survives every JSON reader. No call comes near it.
const MAX_COUNT: u64 = 1 << 53;

/// Why an answer has no usage that can be relied on.
///
/// There is no repair: a call with such a usage is priced by the proxy, or not at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UsageError {
    /// There is no usage: the field is absent or `null`.
    #[error("the answer has no `usage`")]
    Missing,
    /// There is no usage, and what was asked is more than text: nobody but the provider can count it.
    #[error(
        "the answer has no `usage`, and what was asked is more than text, which can not be counted here"
    )]
    Uncountable,
    /// Something else stands where an object must be.
    #[error("`{field}` is {found}, expected an object")]
    NotAnObject {
        /// Where.
        field: &'static str,
        /// What was found there (shortened).
        found: String,
    },
    /// A count is not there, and nothing says that it is 0.
    #[error("the usage has no `{field}`")]
    MissingField {
        /// Which.
        field: &'static str,
    },
    /// A count that is negative, has a fraction, or is no number.
    #[error("`{field}` is {found}, expected a whole number of tokens, 0 or more")]
    NotACount {
        /// Which.
        field: &'static str,
        /// What was found there (shortened).
        found: String,
    },
    /// A count beyond 2^53.
    #[error("`{field}` is {found}, more than the largest count, {MAX_COUNT}")]
    TooLarge {
        /// Which.
        field: &'static str,
        /// What was found there (shortened).
        found: String,
    },
    /// The counts contradict each other.
    #[error("the usage contradicts itself: {reason}")]
    DoesNotAddUp {
        /// Which counts, and how.
        reason: String,
    },
}

/// Reads an OpenAI-shaped `usage` object as the LiteLLM Proxy writes it.
///
/// **Convention**: OpenAI's, *inclusive*. `prompt_tokens` holds the cached and cache-writing tokens
/// too, `completion_tokens` the reasoning ones. The proxy converts Anthropic's *exclusive* counts
/// (`input_tokens` without its cache tokens) to this before they reach us, and repeats the cache
/// counts at the top level under Anthropic's names; those count as the same number said twice. An
/// object that does count exclusively shows as a part larger than its whole and is refused.
///
/// The details and `total_tokens` may be missing or `null`. `completion_tokens` may be missing only
/// where the total says that there are none (embeddings). A `total_tokens` that is not the sum is
/// kept as stated; [`TokenUsage::adds_up`] is false then, and the price book does not price it.
///
/// # Errors
/// Anything that is not a whole number from 0 to 2^53, or a part that is larger than its whole; the
/// error names the field and what stood there.
pub fn parse_usage(usage: &Value) -> Result<TokenUsage, UsageError> {
    if usage.is_null() {
        return Err(UsageError::Missing);
    }
    let top = object("usage", Some(usage))?.ok_or(UsageError::Missing)?;
    let prompt = object("prompt_tokens_details", top.get("prompt_tokens_details"))?;
    let completion = object(
        "completion_tokens_details",
        top.get("completion_tokens_details"),
    )?;

    let prompt_tokens = required(
        count(Some(top), "prompt_tokens", "prompt_tokens")?,
        "prompt_tokens",
    )?;
    let total_tokens = count(Some(top), "total_tokens", "total_tokens")?;
    let completion_tokens = match count(Some(top), "completion_tokens", "completion_tokens")? {
        None if total_tokens == Some(prompt_tokens) => 0,
        stated => required(stated, "completion_tokens")?,
    };
    let written = cache_writes(top, prompt)?;
    let parsed = TokenUsage {
        prompt_tokens,
        completion_tokens,
        total_tokens: total_tokens.unwrap_or(prompt_tokens + completion_tokens),
        cached_tokens: said_once(&[
            (
                Some(top),
                "cache_read_input_tokens",
                "cache_read_input_tokens",
            ),
            (
                Some(top),
                "prompt_cache_hit_tokens",
                "prompt_cache_hit_tokens",
            ),
            (
                prompt,
                "cached_tokens",
                "prompt_tokens_details.cached_tokens",
            ),
        ])?,
        cache_creation_5m_tokens: written.five_minutes,
        cache_creation_1h_tokens: written.one_hour,
        audio_prompt_tokens: count(prompt, "audio_tokens", "prompt_tokens_details.audio_tokens")?
            .unwrap_or(0),
        image_prompt_tokens: count(prompt, "image_tokens", "prompt_tokens_details.image_tokens")?
            .unwrap_or(0),
        audio_completion_tokens: count(
            completion,
            "audio_tokens",
            "completion_tokens_details.audio_tokens",
        )?
        .unwrap_or(0),
        image_completion_tokens: count(
            completion,
            "image_tokens",
            "completion_tokens_details.image_tokens",
        )?
        .unwrap_or(0),
        reasoning_tokens: said_once(&[
            (
                completion,
                "reasoning_tokens",
                "completion_tokens_details.reasoning_tokens",
            ),
            (Some(top), "reasoning_tokens", "reasoning_tokens"),
        ])?,
    };
    parts_fit(&parsed)?;
    Ok(parsed)
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
    let details = object(
        "prompt_tokens_details.cache_creation_token_details",
        prompt.and_then(|prompt| prompt.get("cache_creation_token_details")),
    )?;
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

type Object = Map<String, Value>;

fn object<'a>(
    field: &'static str,
    value: Option<&'a Value>,
) -> Result<Option<&'a Object>, UsageError> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(object)) => Ok(Some(object)),
        Some(other) => Err(UsageError::NotAnObject {
            field,
            found: shown(&other.to_string()),
        }),
    }
}

fn required(count: Option<u64>, field: &'static str) -> Result<u64, UsageError> {
    count.ok_or(UsageError::MissingField { field })
}

/// One count; `path` is how messages call it.
fn count(
    object: Option<&Object>,
    name: &str,
    path: &'static str,
) -> Result<Option<u64>, UsageError> {
    let number = match object.and_then(|object| object.get(name)) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Number(number)) => number,
        Some(other) => {
            return Err(UsageError::NotACount {
                field: path,
                found: shown(&other.to_string()),
            });
        }
    };
    let text = number.as_str();
    let found = || shown(text);
    let Some(value) = exact::parse(text) else {
        // More digits or a larger exponent than a decimal holds: huge, or a fraction.
        let huge = text.parse::<f64>().is_ok_and(|value| value > 1e15);
        return Err(if huge {
            UsageError::TooLarge {
                field: path,
                found: found(),
            }
        } else {
            UsageError::NotACount {
                field: path,
                found: found(),
            }
        });
    };
    if value.is_sign_negative() && !value.is_zero() || !value.fract().is_zero() {
        return Err(UsageError::NotACount {
            field: path,
            found: found(),
        });
    }
    if value > Decimal::from(MAX_COUNT) {
        return Err(UsageError::TooLarge {
            field: path,
            found: found(),
        });
    }
    Ok(value.to_u64())
}

/// A number that may stand in several places: 0 if nowhere, refused if two places disagree.
///
/// A 0 beside a real count is how the absent one of two conventions is written; it is no contradiction.
fn said_once(places: &[(Option<&Object>, &'static str, &'static str)]) -> Result<u64, UsageError> {
    let mut said: Option<(u64, &str)> = None;
    for (object, name, path) in places {
        let Some(value) = count(*object, name, path)?.filter(|value| *value > 0) else {
            continue;
        };
        match said {
            Some((earlier, earlier_path)) if earlier != value => {
                return Err(UsageError::DoesNotAddUp {
                    reason: format!("`{earlier_path}` is {earlier}, `{path}` is {value}"),
                });
            }
            _ => said = Some((value, path)),
        }
    }
    Ok(said.map_or(0, |(value, _)| value))
}

fn parts_fit(usage: &TokenUsage) -> Result<(), UsageError> {
    // Every count is at most 2^53, so none of these sums can overflow.
    let cache =
        usage.cached_tokens + usage.cache_creation_5m_tokens + usage.cache_creation_1h_tokens;
    let media_in = usage.audio_prompt_tokens + usage.image_prompt_tokens;
    let kinds_out =
        usage.reasoning_tokens + usage.audio_completion_tokens + usage.image_completion_tokens;
    fits("cache tokens", cache, "prompt_tokens", usage.prompt_tokens)?;
    fits(
        "audio and image input tokens",
        media_in,
        "prompt_tokens",
        usage.prompt_tokens,
    )?;
    fits(
        "reasoning, audio and image output tokens",
        kinds_out,
        "completion_tokens",
        usage.completion_tokens,
    )
}

fn fits(part_name: &str, part: u64, whole_name: &str, whole: u64) -> Result<(), UsageError> {
    if part <= whole {
        return Ok(());
    }
    Err(UsageError::DoesNotAddUp {
        reason: format!("{part} {part_name}, but `{whole_name}`, which holds them, is {whole}"),
    })
}
