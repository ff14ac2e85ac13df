//! What the book knows about one model.

use rust_decimal::Decimal;

use super::kind::Kind;
use crate::billable::ServiceTier;

/// One model's prices.
#[derive(Clone, Debug, Default)]
pub(crate) struct Entry {
    /// LiteLLM's name of the provider; empty if any provider may be meant.
    pub(crate) provider: Box<str>,
    pub(crate) mode: Mode,
    pub(crate) prices: Prices,
    /// Prices of the whole call by ranges of input tokens, lowest first.
    pub(crate) ranges: Box<[Range]>,
    /// What is charged that no usage counts, such as images that come out.
    pub(crate) has_uncounted_charges: bool,
    /// Every web search is charged; else a call with any is charged once.
    pub(crate) each_search_counts: bool,
}

/// USD per unit, as stated: what is not here is not stated, which is not the same as 0.
#[derive(Clone, Debug, Default)]
pub(crate) struct Prices(Box<[Stated]>);

/// One stated price.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stated {
    pub(crate) kind: Kind,
    pub(crate) service: ServiceTier,
    /// Counts for calls with more input tokens than this; 0 for any call.
    pub(crate) above: u64,
    pub(crate) price: Decimal,
}

impl Prices {
    pub(crate) fn new(mut stated: Vec<Stated>) -> Self {
        // What every call asks for comes first.
        stated.sort_by_key(|stated| (stated.above, stated.service as u8, stated.kind as u8));
        Self(stated.into())
    }

    /// The price that stands exactly there.
    pub(crate) fn at(&self, kind: Kind, service: ServiceTier, above: u64) -> Option<Decimal> {
        self.0
            .iter()
            .find(|stated| {
                stated.kind == kind && stated.above == above && stated.service == service
            })
            .map(|stated| stated.price)
    }

    /// The standard price for any number of input tokens.
    pub(crate) fn flat(&self, kind: Kind) -> Option<Decimal> {
        self.at(kind, ServiceTier::Standard, 0)
    }

    /// The price of a service tier, or the standard one.
    pub(crate) fn of(&self, kind: Kind, service: ServiceTier, above: u64) -> Option<Decimal> {
        let own = match service {
            ServiceTier::Standard => None,
            other => self.at(kind, other, above),
        };
        own.or_else(|| self.at(kind, ServiceTier::Standard, above))
    }

    /// The highest bound that so many input tokens exceed (or reach, if `inclusive`); 0 if none.
    ///
    /// As LiteLLM does: the standard input price makes a tier.
    pub(crate) fn threshold(&self, prompt_tokens: u64, inclusive: bool) -> u64 {
        self.0
            .iter()
            .filter(|stated| stated.kind == Kind::Input && stated.service == ServiceTier::Standard)
            .map(|stated| stated.above)
            .filter(|above| prompt_tokens > *above || inclusive && prompt_tokens == *above)
            .max()
            .unwrap_or(0)
    }

    /// True if a price above 0 is stated for any of `kinds`.
    pub(crate) fn any_above_zero(&self, kinds: &[Kind]) -> bool {
        self.0
            .iter()
            .any(|stated| kinds.contains(&stated.kind) && !stated.price.is_zero())
    }
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
    Rerank,
    Realtime,
    Transcription,
    /// A user's price: whatever the model is for, it is charged by what the price names.
    Any,
    /// A kind that this version does not price.
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
            "rerank" => Self::Rerank,
            "realtime" => Self::Realtime,
            "audio_transcription" => Self::Transcription,
            other => Self::Other(other.into()),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Chat => "chat",
            Self::Completion => "completion",
            Self::Responses => "responses",
            Self::Embedding => "embedding",
            Self::Rerank => "rerank",
            Self::Realtime => "realtime",
            Self::Transcription => "audio_transcription",
            Self::Any => "any",
            Self::Other(other) => other,
            Self::NotStated => "not stated",
        }
    }

    /// True if a usage of this kind can be priced.
    pub(crate) const fn is_priced(&self) -> bool {
        !matches!(self, Self::Other(_) | Self::NotStated)
    }
}
