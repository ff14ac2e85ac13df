//! Everything about one call that its price depends on.

use std::fmt;
use std::str::FromStr;

use event_payloads::TokenUsage;
use rust_decimal::Decimal;

use crate::shown::shown;

/// What one call used, and under which terms: all that a price depends on, beside the model.
///
/// From an answer: [`parse_billable`](crate::parse_billable). From token counts alone: `TokenUsage::into`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Billable {
    /// The tokens, in OpenAI's inclusive convention.
    pub tokens: TokenUsage,
    /// What else was counted.
    pub units: Units,
    /// The class of service that the provider served the call in.
    pub service_tier: ServiceTier,
    /// What kind of call it was; by default what the model is for.
    pub call_type: CallType,
    /// Where the call was served, as far as that has a price.
    pub place: Place,
}

impl From<TokenUsage> for Billable {
    fn from(tokens: TokenUsage) -> Self {
        Self {
            tokens,
            ..Self::default()
        }
    }
}

impl Billable {
    /// The same in another class of service.
    #[must_use]
    pub fn with_service_tier(self, service_tier: ServiceTier) -> Self {
        Self {
            service_tier,
            ..self
        }
    }

    /// The same for another kind of call.
    #[must_use]
    pub fn with_call_type(self, call_type: CallType) -> Self {
        Self { call_type, ..self }
    }
}

/// What a usage counts beside the tokens that [`TokenUsage`] holds. All 0 by default.
///
/// Seconds are decimal; everything else is whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Units {
    /// Input tokens that were video; part of the input tokens.
    pub video_prompt_tokens: u64,
    /// Output tokens that were video; part of the output tokens.
    pub video_completion_tokens: u64,
    /// Tokens of cited sources; not part of the input tokens.
    pub citation_tokens: u64,
    /// Web searches that the provider made.
    pub web_searches: u64,
    /// Queries to a map service that the provider made.
    pub map_searches: u64,
    /// Pages that the provider's browser opened.
    pub pages_opened: u64,
    /// Queries, or the search units of a rerank.
    pub queries: u64,
    /// Characters of input.
    pub characters: u64,
    /// Images that went in.
    pub images: u64,
    /// Seconds of video that went in.
    pub video_seconds: Decimal,
    /// Seconds of audio that went in.
    pub audio_seconds: Decimal,
    /// Seconds that the whole call took; some models are charged by them.
    pub call_seconds: Decimal,
    /// True if the images are all of the input: what tokens they were counted as is not charged as text.
    pub images_only: bool,
}

impl Units {
    /// True if nothing is counted here but the time that the call took.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self
            == Self {
                call_seconds: self.call_seconds,
                ..Self::default()
            }
    }
}

/// A class of service that a provider sells at a price of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ServiceTier {
    /// The usual one, also where the provider was free to choose (`auto`).
    #[default]
    Standard,
    /// Cheaper and slower.
    Flex,
    /// Faster; `fast` is the same.
    Priority,
    /// Faster than that.
    Ultrafast,
    /// Within a day, in a batch.
    Batch,
}

impl ServiceTier {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Flex => "flex",
            Self::Priority => "priority",
            Self::Ultrafast => "ultrafast",
            Self::Batch => "batch",
        }
    }

    /// What an answer's `service_tier` means for its price: a class without a price of its own
    /// (`scale`, `on_demand`) is charged as the usual one, which is LiteLLM's rule.
    #[must_use]
    pub fn of_answer(text: &str) -> Self {
        text.parse().unwrap_or_default()
    }
}

impl fmt::Display for ServiceTier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ServiceTier {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        let lower = text.to_ascii_lowercase();
        Ok(match lower.as_str() {
            "" | "standard" | "default" | "auto" => Self::Standard,
            "flex" => Self::Flex,
            "priority" | "fast" => Self::Priority,
            "ultrafast" => Self::Ultrafast,
            "batch" => Self::Batch,
            _ => {
                return Err(UnknownWord {
                    what: "service tier",
                    found: shown(text),
                    expected: "standard, default, auto, flex, priority, fast, ultrafast or batch",
                });
            }
        })
    }
}

/// What kind of call is priced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CallType {
    /// Whatever the model is for.
    #[default]
    AsTheModel,
    /// By the tokens and units of its usage: chat, completion, responses, realtime.
    Generation,
    /// An embedding.
    Embedding,
    /// A rerank: by search units or by all tokens, as the provider charges.
    Rerank,
    /// A transcription: by tokens, or by the seconds of audio.
    Transcription,
}

impl CallType {
    /// The word for it; empty if it follows from the model.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AsTheModel => "",
            Self::Generation => "completion",
            Self::Embedding => "embedding",
            Self::Rerank => "rerank",
            Self::Transcription => "transcription",
        }
    }
}

impl FromStr for CallType {
    type Err = UnknownWord;

    /// LiteLLM's names of the calls; those with a leading `a` (asynchronous) mean the same.
    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        Ok(match text {
            "" => Self::AsTheModel,
            "completion" | "acompletion" | "chat" | "chat_completion" | "text_completion"
            | "atext_completion" | "responses" | "aresponses" | "realtime" | "arealtime"
            | "anthropic_messages" => Self::Generation,
            "embedding" | "aembedding" => Self::Embedding,
            "rerank" | "arerank" => Self::Rerank,
            "transcription" | "atranscription" => Self::Transcription,
            _ => {
                return Err(UnknownWord {
                    what: "call type",
                    found: shown(text),
                    expected: "completion, text_completion, responses, embedding, rerank or transcription",
                });
            }
        })
    }
}

/// Where a call was served, as far as providers charge for it. Nothing by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Place {
    /// OpenAI's data residency: the call went to a host of this region.
    pub residency: Option<Residency>,
    /// Vertex AI: the call went to an endpoint that is not the global one.
    pub regional_endpoint: bool,
    /// Anthropic: the answer says that it was made in the United States (`inference_geo`).
    pub served_in_us: bool,
    /// Anthropic: the answer says that it was made in the fast mode (`speed`).
    pub fast_mode: bool,
    /// What every price is multiplied by, of a call that was priced before: counts instead of all above.
    pub known_factor: Option<Decimal>,
}

/// A region in which OpenAI keeps data, at a surcharge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Residency {
    /// `eu.api.openai.com`
    EuropeanUnion,
    /// `us.api.openai.com`
    UnitedStates,
}

/// A word that has no meaning here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is no {what}, expected {expected}")]
pub struct UnknownWord {
    what: &'static str,
    found: String,
    expected: &'static str,
}
