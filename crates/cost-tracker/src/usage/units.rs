//! What a usage counts beside its tokens.

use event_payloads::TokenUsage;
use rust_decimal::Decimal;
use serde_json::Value;

use super::read::{Object, count, object, said_once, seconds};
use super::{Shape, UsageError};
use crate::billable::{CallType, Units};

pub(super) fn read(shape: &Shape<'_>) -> Result<Units, UsageError> {
    let (top, prompt) = (shape.top, shape.prompt);
    let of_prompt = |name, path| count(prompt, name, path).map(Option::unwrap_or_default);
    let time = |name, path| seconds(prompt, name, path).map(Option::unwrap_or_default);
    let tools = object("server_tool_use", top.get("server_tool_use"))?;
    let images = of_prompt("image_count", "prompt_tokens_details.image_count")?;
    let text = of_prompt("text_tokens", "prompt_tokens_details.text_tokens")?;
    Ok(Units {
        video_prompt_tokens: of_prompt("video_tokens", "prompt_tokens_details.video_tokens")?,
        video_completion_tokens: count(
            shape.completion,
            "video_tokens",
            "completion_tokens_details.video_tokens",
        )?
        .unwrap_or_default(),
        citation_tokens: count(Some(top), "citation_tokens", "citation_tokens")?
            .unwrap_or_default(),
        web_searches: web_searches(shape, tools)?,
        map_searches: of_prompt(
            "google_maps_grounding_requests",
            "prompt_tokens_details.google_maps_grounding_requests",
        )?,
        pages_opened: count(
            tools,
            "browser_open_requests",
            "server_tool_use.browser_open_requests",
        )?
        .unwrap_or_default(),
        queries: queries(shape)?,
        characters: of_prompt("character_count", "prompt_tokens_details.character_count")?,
        images,
        video_seconds: time(
            "video_length_seconds",
            "prompt_tokens_details.video_length_seconds",
        )?,
        audio_seconds: audio_seconds(shape)?,
        call_seconds: Decimal::ZERO,
        images_only: images > 0 && text == 0,
    })
}

/// The same number in the words of Google, Anthropic, xAI and Perplexity.
fn web_searches(shape: &Shape<'_>, tools: Option<&Object>) -> Result<u64, UsageError> {
    let side = "server_side_tool_usage_details";
    let of_xai = object(side, shape.top.get(side))?;
    said_once(&[
        (
            shape.prompt,
            "web_search_requests",
            "prompt_tokens_details.web_search_requests",
        ),
        (
            tools,
            "web_search_requests",
            "server_tool_use.web_search_requests",
        ),
        (
            of_xai,
            "web_search_calls",
            "server_side_tool_usage_details.web_search_calls",
        ),
        (Some(shape.top), "num_search_queries", "num_search_queries"),
    ])
}

/// Queries of an embedding, search units of a rerank.
fn queries(shape: &Shape<'_>) -> Result<u64, UsageError> {
    let billed = object("billed_units", shape.top.get("billed_units"))?;
    said_once(&[
        (
            shape.prompt,
            "query_count",
            "prompt_tokens_details.query_count",
        ),
        (Some(shape.top), "search_units", "search_units"),
        (billed, "search_units", "billed_units.search_units"),
    ])
}

fn audio_seconds(shape: &Shape<'_>) -> Result<Decimal, UsageError> {
    let in_prompt = seconds(
        shape.prompt,
        "audio_length_seconds",
        "prompt_tokens_details.audio_length_seconds",
    )?;
    match in_prompt {
        // A transcription that is charged by time: `{"type": "duration", "seconds": 12}`.
        None => Ok(seconds(Some(shape.top), "seconds", "seconds")?.unwrap_or_default()),
        Some(seconds) => Ok(seconds),
    }
}

/// True for a usage that counts units and no tokens at all.
pub(super) fn are_all(top: &Object, call_type: CallType) -> bool {
    let has = |name: &str| top.get(name).is_some_and(|value| !value.is_null());
    if has("prompt_tokens") || has("input_tokens") {
        return false;
    }
    let is_duration = top.get("type").and_then(Value::as_str) == Some("duration") && has("seconds");
    is_duration
        || call_type == CallType::Rerank && !has("total_tokens")
        || (has("search_units") || has("billed_units")) && !has("total_tokens")
}

/// Refuses parts that are larger than their whole.
pub(super) fn fit(usage: &TokenUsage, units: &Units) -> Result<(), UsageError> {
    // Every count is at most 2^53, and a sum of a few of them cannot overflow.
    let cache =
        usage.cached_tokens + usage.cache_creation_5m_tokens + usage.cache_creation_1h_tokens;
    let media_in =
        usage.audio_prompt_tokens + usage.image_prompt_tokens + units.video_prompt_tokens;
    let kinds_out = usage.reasoning_tokens
        + usage.audio_completion_tokens
        + usage.image_completion_tokens
        + units.video_completion_tokens;
    fits("cache tokens", cache, "prompt_tokens", usage.prompt_tokens)?;
    fits(
        "audio, image and video input tokens",
        media_in,
        "prompt_tokens",
        usage.prompt_tokens,
    )?;
    fits(
        "reasoning, audio, image and video output tokens",
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
