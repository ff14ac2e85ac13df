//! The keys of a model in `config/prices.toml`, and what each sets.

use rust_decimal::Decimal;

use crate::billable::ServiceTier;
use crate::exact;
use crate::price_book::kind::Kind;

/// How many units a price is for.
#[derive(Clone, Copy)]
pub(super) enum Unit {
    MillionTokens,
    MillionCharacters,
    Thousand,
    One,
}

impl Unit {
    pub(super) fn per_one(self, price: Decimal) -> Option<Decimal> {
        match self {
            Self::MillionTokens | Self::MillionCharacters => exact::per_one(price),
            Self::Thousand => exact::per_one_of_thousand(price),
            Self::One => Some(price),
        }
    }

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::MillionTokens => "USD per 1 million tokens",
            Self::MillionCharacters => "USD per 1 million characters",
            Self::Thousand => "USD per 1000",
            Self::One => "USD for one",
        }
    }
}

pub(super) const KEYS: [(&str, Kind, Unit); 22] = [
    ("input_per_million", Kind::Input, Unit::MillionTokens),
    (
        "cached_input_per_million",
        Kind::CacheRead,
        Unit::MillionTokens,
    ),
    (
        "cache_write_5m_per_million",
        Kind::CacheWrite5m,
        Unit::MillionTokens,
    ),
    (
        "cache_write_1h_per_million",
        Kind::CacheWrite1h,
        Unit::MillionTokens,
    ),
    (
        "audio_input_per_million",
        Kind::AudioInput,
        Unit::MillionTokens,
    ),
    (
        "image_input_per_million",
        Kind::ImageInput,
        Unit::MillionTokens,
    ),
    (
        "video_input_per_million",
        Kind::VideoInput,
        Unit::MillionTokens,
    ),
    ("output_per_million", Kind::Output, Unit::MillionTokens),
    (
        "audio_output_per_million",
        Kind::AudioOutput,
        Unit::MillionTokens,
    ),
    (
        "image_output_per_million",
        Kind::ImageOutput,
        Unit::MillionTokens,
    ),
    (
        "video_output_per_million",
        Kind::VideoOutput,
        Unit::MillionTokens,
    ),
    (
        "reasoning_per_million",
        Kind::Reasoning,
        Unit::MillionTokens,
    ),
    ("citation_per_million", Kind::Citation, Unit::MillionTokens),
    (
        "characters_per_million",
        Kind::Character,
        Unit::MillionCharacters,
    ),
    ("web_search_per_thousand", Kind::WebSearch, Unit::Thousand),
    ("map_search_per_thousand", Kind::MapSearch, Unit::Thousand),
    ("query_per_thousand", Kind::Query, Unit::Thousand),
    ("per_request", Kind::Request, Unit::One),
    ("per_image", Kind::Image, Unit::One),
    ("per_audio_second", Kind::AudioSecond, Unit::One),
    ("per_video_second", Kind::VideoSecond, Unit::One),
    ("per_call_second", Kind::CallSecondOutput, Unit::One),
];

/// The tables of a model that hold the prices of a class of service.
pub(super) const SERVICES: [(&str, ServiceTier); 4] = [
    ("flex", ServiceTier::Flex),
    ("priority", ServiceTier::Priority),
    ("ultrafast", ServiceTier::Ultrafast),
    ("batch", ServiceTier::Batch),
];

/// True for a price that a model can be charged by alone.
pub(super) const fn stands_alone(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Input | Kind::Output | Kind::Query | Kind::AudioSecond | Kind::CallSecondOutput
    )
}

/// True for kinds of token: what else is counted has one price.
pub(super) fn has_tiers(kind: Kind) -> bool {
    kind.dimension()
        .is_some_and(super::super::Dimension::is_tokens)
}

/// What may stand in a table; `also` is one more key.
pub(super) fn names(also: &str) -> String {
    let mut names: Vec<&str> = KEYS.iter().map(|(name, ..)| *name).collect();
    if !also.is_empty() {
        names.extend(SERVICES.iter().map(|(name, _)| *name));
        names.push(also);
    }
    format!("one of {}", names.join(", "))
}
