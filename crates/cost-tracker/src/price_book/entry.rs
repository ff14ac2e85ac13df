//! What the book knows about one model.

use rust_decimal::Decimal;

/// One model's prices.
#[derive(Clone, Debug, Default)]
pub(crate) struct Entry {
    /// LiteLLM's name of the provider; empty if any provider may be meant.
    pub(crate) provider: Box<str>,
    pub(crate) mode: Mode,
    pub(crate) prices: Prices,
    /// What is charged beside tokens.
    pub(crate) beside_tokens: BesideTokens,
    /// Prices of the whole call above so many input tokens, highest first.
    pub(crate) tiers: Vec<Tier>,
    /// Prices of the whole call by ranges of input tokens, lowest first.
    pub(crate) ranges: Vec<Range>,
}

/// USD per token; `None` where nothing is stated, which is not the same as 0.
#[derive(Clone, Debug, Default)]
pub(crate) struct Prices {
    pub(crate) input: Option<Decimal>,
    pub(crate) output: Option<Decimal>,
    pub(crate) cache_read: Option<Decimal>,
    pub(crate) cache_write_5m: Option<Decimal>,
    pub(crate) cache_write_1h: Option<Decimal>,
    pub(crate) audio_input: Option<Decimal>,
    pub(crate) audio_output: Option<Decimal>,
    pub(crate) image_input: Option<Decimal>,
    pub(crate) image_output: Option<Decimal>,
    pub(crate) reasoning: Option<Decimal>,
}

/// What a model is charged by that no usage counts. Its price by tokens is then not the whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum BesideTokens {
    /// Nothing, as far as the map says.
    #[default]
    Nothing,
    /// Media, time or characters, if there are any; a call that is text alone costs its tokens.
    Media,
    /// Every request.
    EachRequest,
}

/// Which of the prices.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Input,
    Output,
    CacheRead,
    CacheWrite5m,
    CacheWrite1h,
    AudioInput,
    AudioOutput,
    ImageInput,
    ImageOutput,
    Reasoning,
}

impl Prices {
    /// Where that price stands.
    pub(crate) fn slot(&mut self, kind: Kind) -> &mut Option<Decimal> {
        match kind {
            Kind::Input => &mut self.input,
            Kind::Output => &mut self.output,
            Kind::CacheRead => &mut self.cache_read,
            Kind::CacheWrite5m => &mut self.cache_write_5m,
            Kind::CacheWrite1h => &mut self.cache_write_1h,
            Kind::AudioInput => &mut self.audio_input,
            Kind::AudioOutput => &mut self.audio_output,
            Kind::ImageInput => &mut self.image_input,
            Kind::ImageOutput => &mut self.image_output,
            Kind::Reasoning => &mut self.reasoning,
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Tier {
    pub(crate) above: u64,
    pub(crate) prices: Prices,
}

/// Counts for `from < input tokens <= to`.
#[derive(Clone, Debug)]
pub(crate) struct Range {
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) prices: Prices,
}

/// What kind of call a model is for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mode {
    Chat,
    Completion,
    Responses,
    Embedding,
    /// A user's price: whatever the model is for, it is charged by its tokens.
    ByTokens,
    /// A kind that is not charged by the tokens of a usage alone.
    Other(Box<str>),
    #[default]
    NotStated,
}

impl Mode {
    pub(crate) fn of(text: &str) -> Self {
        match text {
            "chat" => Self::Chat,
            "completion" => Self::Completion,
            "responses" => Self::Responses,
            "embedding" => Self::Embedding,
            other => Self::Other(other.into()),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Chat => "chat",
            Self::Completion => "completion",
            Self::Responses => "responses",
            Self::Embedding => "embedding",
            Self::ByTokens => "by tokens",
            Self::Other(other) => other,
            Self::NotStated => "not stated",
        }
    }

    /// True if a usage of this kind can be priced.
    pub(crate) const fn is_by_tokens(&self) -> bool {
        matches!(
            self,
            Self::Chat | Self::Completion | Self::Responses | Self::Embedding | Self::ByTokens
        )
    }
}
