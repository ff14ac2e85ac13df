//! Which tokens of a usage are charged as what.

use event_payloads::TokenUsage;

use super::rates::Rule;

/// Every token of a usage once, by what it is charged as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Split {
    pub(super) input: u64,
    pub(super) cache_read: u64,
    pub(super) cache_write_5m: u64,
    pub(super) cache_write_1h: u64,
    pub(super) audio_input: u64,
    pub(super) image_input: u64,
    pub(super) output: u64,
    pub(super) audio_output: u64,
    pub(super) image_output: u64,
    pub(super) reasoning: u64,
}

impl Split {
    /// Divides a usage that adds up, as LiteLLM's calculator for that provider does.
    pub(super) fn of(usage: &TokenUsage, rule: Rule) -> Self {
        match rule {
            Rule::Generic | Rule::Stated => by_kind(usage),
            Rule::Xai => Self {
                output: usage.completion_tokens,
                audio_output: 0,
                image_output: 0,
                reasoning: 0,
                ..by_kind(usage)
            },
            Rule::Fireworks => Self {
                input: usage.prompt_tokens - usage.cached_tokens,
                cache_read: usage.cached_tokens,
                output: usage.completion_tokens,
                ..Self::default()
            },
            Rule::Perplexity => Self {
                input: usage.prompt_tokens,
                output: usage.completion_tokens - usage.reasoning_tokens,
                reasoning: usage.reasoning_tokens,
                ..Self::default()
            },
            Rule::Dashscope => Self {
                input: usage.prompt_tokens - cache_tokens(usage),
                cache_read: usage.cached_tokens,
                cache_write_5m: usage.cache_creation_5m_tokens,
                cache_write_1h: usage.cache_creation_1h_tokens,
                output: usage.completion_tokens - usage.reasoning_tokens,
                reasoning: usage.reasoning_tokens,
                ..Self::default()
            },
        }
    }
}

fn cache_tokens(usage: &TokenUsage) -> u64 {
    usage.cached_tokens + usage.cache_creation_5m_tokens + usage.cache_creation_1h_tokens
}

/// Text is what no detail claims. Where cache and media together claim more than there is, they
/// overlap: the cache comes first, then audio, then images.
fn by_kind(usage: &TokenUsage) -> Split {
    let uncached = usage.prompt_tokens - cache_tokens(usage);
    let audio_input = usage.audio_prompt_tokens.min(uncached);
    let image_input = usage.image_prompt_tokens.min(uncached - audio_input);
    let kinds_out =
        usage.reasoning_tokens + usage.audio_completion_tokens + usage.image_completion_tokens;
    Split {
        input: uncached - audio_input - image_input,
        cache_read: usage.cached_tokens,
        cache_write_5m: usage.cache_creation_5m_tokens,
        cache_write_1h: usage.cache_creation_1h_tokens,
        audio_input,
        image_input,
        output: usage.completion_tokens - kinds_out,
        audio_output: usage.audio_completion_tokens,
        image_output: usage.image_completion_tokens,
        reasoning: usage.reasoning_tokens,
    }
}
