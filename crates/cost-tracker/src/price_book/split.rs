//! Which tokens of a usage are charged as what.

use super::kind::Kind;
use super::rule::Rule;
use crate::billable::Billable;

/// Every token of a usage once, by what it is charged as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Split {
    pub(super) input: u64,
    pub(super) cache_read: u64,
    pub(super) cache_write_5m: u64,
    pub(super) cache_write_1h: u64,
    pub(super) audio_input: u64,
    pub(super) image_input: u64,
    pub(super) video_input: u64,
    pub(super) output: u64,
    pub(super) audio_output: u64,
    pub(super) image_output: u64,
    pub(super) video_output: u64,
    pub(super) reasoning: u64,
}

impl Split {
    /// Divides a usage that adds up, as LiteLLM's calculator for that provider does.
    pub(super) fn of(call: &Billable, rule: Rule, one_input_price: bool) -> Self {
        let tokens = &call.tokens;
        match rule {
            Rule::Generic | Rule::Stated => by_kind(call),
            Rule::Xai => Self {
                output: tokens.completion_tokens,
                audio_output: 0,
                image_output: 0,
                video_output: 0,
                reasoning: 0,
                ..by_kind(call)
            },
            Rule::Fireworks => Self {
                input: tokens.prompt_tokens - tokens.cached_tokens,
                cache_read: tokens.cached_tokens,
                output: tokens.completion_tokens,
                ..Self::default()
            },
            Rule::Batch if one_input_price => Self {
                input: tokens.prompt_tokens,
                output: tokens.completion_tokens,
                ..Self::default()
            },
            Rule::Batch => Self {
                output: tokens.completion_tokens,
                reasoning: 0,
                ..by_cache(call)
            },
            Rule::Perplexity => Self {
                input: tokens.prompt_tokens,
                output: tokens.completion_tokens - tokens.reasoning_tokens,
                reasoning: tokens.reasoning_tokens,
                ..Self::default()
            },
            Rule::Dashscope => by_cache(call),
        }
    }

    /// The parts, each with what it is charged as.
    pub(super) const fn parts(&self) -> [(Kind, u64); 12] {
        [
            (Kind::Input, self.input),
            (Kind::CacheRead, self.cache_read),
            (Kind::CacheWrite5m, self.cache_write_5m),
            (Kind::CacheWrite1h, self.cache_write_1h),
            (Kind::AudioInput, self.audio_input),
            (Kind::ImageInput, self.image_input),
            (Kind::VideoInput, self.video_input),
            (Kind::Output, self.output),
            (Kind::AudioOutput, self.audio_output),
            (Kind::ImageOutput, self.image_output),
            (Kind::VideoOutput, self.video_output),
            (Kind::Reasoning, self.reasoning),
        ]
    }
}

fn cache_tokens(call: &Billable) -> u64 {
    let tokens = &call.tokens;
    tokens.cached_tokens + tokens.cache_creation_5m_tokens + tokens.cache_creation_1h_tokens
}

fn by_cache(call: &Billable) -> Split {
    let tokens = &call.tokens;
    Split {
        input: tokens.prompt_tokens - cache_tokens(call),
        cache_read: tokens.cached_tokens,
        cache_write_5m: tokens.cache_creation_5m_tokens,
        cache_write_1h: tokens.cache_creation_1h_tokens,
        output: tokens.completion_tokens - tokens.reasoning_tokens,
        reasoning: tokens.reasoning_tokens,
        ..Split::default()
    }
}

/// Text is what no detail claims. Where cache and media together claim more than there is, they
/// overlap: the cache comes first, then audio, images and video.
fn by_kind(call: &Billable) -> Split {
    let (tokens, units) = (&call.tokens, &call.units);
    let uncached = tokens.prompt_tokens - cache_tokens(call);
    let audio_input = tokens.audio_prompt_tokens.min(uncached);
    let image_input = tokens.image_prompt_tokens.min(uncached - audio_input);
    let video_input = units
        .video_prompt_tokens
        .min(uncached - audio_input - image_input);
    let text = uncached - audio_input - image_input - video_input;
    let kinds_out = tokens.reasoning_tokens
        + tokens.audio_completion_tokens
        + tokens.image_completion_tokens
        + units.video_completion_tokens;
    Split {
        input: if units.images_only { 0 } else { text },
        cache_read: tokens.cached_tokens,
        cache_write_5m: tokens.cache_creation_5m_tokens,
        cache_write_1h: tokens.cache_creation_1h_tokens,
        audio_input,
        image_input,
        video_input,
        output: tokens.completion_tokens - kinds_out,
        audio_output: tokens.audio_completion_tokens,
        image_output: tokens.image_completion_tokens,
        video_output: units.video_completion_tokens,
        reasoning: tokens.reasoning_tokens,
    }
}
