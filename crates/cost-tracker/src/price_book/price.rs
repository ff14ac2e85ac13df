//! What a usage costs, dimension by dimension.

use std::fmt;

use event_payloads::Usd;
use rust_decimal::Decimal;

use super::book::PriceOrigin;
use crate::billable::ServiceTier;

/// What can have a price of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dimension {
    /// Input that is nothing more special.
    Input,
    /// Input read from the provider's cache.
    CachedInput,
    /// Input written to a cache that lives 5 minutes.
    CacheWrite5m,
    /// Input written to a cache that lives 1 hour.
    CacheWrite1h,
    /// Audio in.
    AudioInput,
    /// Images in.
    ImageInput,
    /// Video in.
    VideoInput,
    /// Output that is nothing more special.
    Output,
    /// Audio out.
    AudioOutput,
    /// Images out.
    ImageOutput,
    /// Video out.
    VideoOutput,
    /// Reasoning, which is output that nobody sees.
    Reasoning,
    /// Tokens of cited sources.
    Citation,
    /// The request itself.
    Request,
    /// Queries, or search units of a rerank.
    Query,
    /// Characters in.
    Character,
    /// Images in, by number.
    Image,
    /// Video in, by seconds.
    VideoSecond,
    /// Audio in, by seconds.
    AudioSecond,
    /// The time that the call took, by seconds.
    CallSecond,
    /// Web searches by the provider.
    WebSearch,
    /// Queries to a map service by the provider.
    MapSearch,
    /// Pages opened by the provider's browser.
    PageOpened,
}

impl Dimension {
    /// The word for it in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::CachedInput => "cached_input",
            Self::CacheWrite5m => "cache_write_5m",
            Self::CacheWrite1h => "cache_write_1h",
            Self::AudioInput => "audio_input",
            Self::ImageInput => "image_input",
            Self::VideoInput => "video_input",
            Self::Output => "output",
            Self::AudioOutput => "audio_output",
            Self::ImageOutput => "image_output",
            Self::VideoOutput => "video_output",
            Self::Reasoning => "reasoning",
            Self::Citation => "citation",
            Self::Request => "request",
            Self::Query => "query",
            Self::Character => "character",
            Self::Image => "image",
            Self::VideoSecond => "video_second",
            Self::AudioSecond => "audio_second",
            Self::CallSecond => "call_second",
            Self::WebSearch => "web_search",
            Self::MapSearch => "map_search",
            Self::PageOpened => "page_opened",
        }
    }

    /// True if it counts tokens of the usage's input or output.
    #[must_use]
    pub const fn is_tokens(self) -> bool {
        matches!(
            self,
            Self::Input
                | Self::CachedInput
                | Self::CacheWrite5m
                | Self::CacheWrite1h
                | Self::AudioInput
                | Self::ImageInput
                | Self::VideoInput
                | Self::Output
                | Self::AudioOutput
                | Self::ImageOutput
                | Self::VideoOutput
                | Self::Reasoning
        )
    }
}

impl fmt::Display for Dimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Input => "input",
            Self::CachedInput => "cached input",
            Self::CacheWrite5m => "5-minute cache writing",
            Self::CacheWrite1h => "1-hour cache writing",
            Self::AudioInput => "audio input",
            Self::ImageInput => "image input",
            Self::VideoInput => "video input",
            Self::Output => "output",
            Self::AudioOutput => "audio output",
            Self::ImageOutput => "image output",
            Self::VideoOutput => "video output",
            Self::Reasoning => "reasoning",
            Self::Citation => "citation",
            Self::Request => "request",
            Self::Query => "query",
            Self::Character => "character",
            Self::Image => "image",
            Self::VideoSecond => "second of video",
            Self::AudioSecond => "second of audio",
            Self::CallSecond => "second of the call",
            Self::WebSearch => "web search",
            Self::MapSearch => "map search",
            Self::PageOpened => "opened page",
        })
    }
}

/// Why a dimension has the unit price that it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Basis {
    /// The model's entry states it.
    Stated,
    /// None is stated; the input price stands in.
    AsInput,
    /// None is stated; the output price stands in.
    AsOutput,
    /// None is stated; the image output price stands in.
    AsImageOutput,
    /// No price for a batch is stated; half of the standard one stands in, as is usual.
    HalfInBatch,
    /// None is stated; what the provider publishes for all of its models stands in, as LiteLLM's
    /// calculator does it.
    Customary,
    /// None is stated; LiteLLM's rule is not to charge this, and we follow it visibly.
    NotStated,
}

impl Basis {
    /// The word for it in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stated => "stated",
            Self::AsInput => "as_input",
            Self::AsOutput => "as_output",
            Self::AsImageOutput => "as_image_output",
            Self::HalfInBatch => "half_in_batch",
            Self::Customary => "customary",
            Self::NotStated => "not_stated",
        }
    }
}

/// One dimension of a price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// What is charged.
    pub dimension: Dimension,
    /// How many tokens or other units; never 0. Whole but for seconds.
    pub quantity: Decimal,
    /// USD for one of them, surcharges included.
    pub unit_price: Usd,
    /// USD for all of them: exactly `quantity × unit_price`.
    pub amount: Usd,
    /// Where the unit price comes from.
    pub basis: Basis,
}

/// What a usage costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Priced {
    /// The exact sum of the lines.
    pub total: Usd,
    /// The key whose prices these are.
    pub key: String,
    /// Who stated them.
    pub origin: PriceOrigin,
    /// The class of service that was priced.
    pub service_tier: ServiceTier,
    /// What every unit price was multiplied by for the place or mode of the call; 1 if by nothing.
    pub factor: Decimal,
    /// The parts; a dimension without units has no line.
    pub lines: Vec<Line>,
}

/// Why a usage has no price. Every message says what to do where something can be done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unpriced {
    /// Nobody states a price for the model. A similar name's price would be a guess.
    #[error(
        "no price is known for `{model}`; add one as [models.\"{model}\"] in config/prices.toml"
    )]
    UnknownModel {
        /// The model as asked, with its provider.
        model: String,
    },
    /// The model is listed, but not with a price for what was used.
    #[error(
        "`{key}` is listed without a price for its {dimension} {unit}; add one as [models.\"{key}\"] in config/prices.toml",
        unit = if dimension.is_tokens() { "tokens" } else { "units" }
    )]
    NoPriceForTokens {
        /// The key that matched.
        key: String,
        /// The first dimension without a price.
        dimension: Dimension,
    },
    /// The model is of a kind that this version does not price.
    #[error(
        "`{key}` is of mode {mode}, this version prices chat, completion, responses, embedding, rerank, realtime and audio_transcription"
    )]
    Mode {
        /// The key that matched.
        key: String,
        /// Its mode.
        mode: String,
    },
    /// The model is charged by something that the usage does not count, so its tokens are not the
    /// whole price.
    #[error(
        "`{key}` is not charged by tokens alone, and the usage does not count the rest (media, time, searches)"
    )]
    ChargedBesideTokens {
        /// The key that matched.
        key: String,
    },
    /// The counts contradict each other.
    #[error(
        "the usage does not add up: {prompt} tokens in and {completion} out, {total} in total, or a part larger than its whole"
    )]
    DoesNotAddUp {
        /// All input tokens.
        prompt: u64,
        /// All output tokens.
        completion: u64,
        /// The stated total.
        total: u64,
    },
    /// A completed call that used nothing: the counts were lost on the way.
    #[error("the usage counts no tokens at all")]
    NoTokens,
    /// More than an amount can be, or more digits than can be kept.
    #[error("the cost of {tokens} tokens of `{key}` is beyond what can be computed exactly")]
    Overflow {
        /// The key that matched.
        key: String,
        /// The usage's total.
        tokens: u64,
    },
}
