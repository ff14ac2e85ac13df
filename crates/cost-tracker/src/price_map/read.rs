//! Reads the compact price map into typed entries.

use std::collections::HashMap;
use std::fmt;

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::PriceMapSource;
use crate::exact;
use crate::price_book::{BesideTokens, Entry, Kind, Mode, Prices, Range, Tier};

/// The whole map, typed.
#[derive(Debug, Deserialize)]
pub(crate) struct PriceMap {
    pub(crate) source: PriceMapSource,
    pub(crate) models: HashMap<String, Entry>,
}

/// Reads the text that [`generate`](super::generate()) writes.
pub(crate) fn read(compact: &str) -> serde_json::Result<PriceMap> {
    serde_json::from_str(compact)
}

/// What a field of an entry sets.
enum Field {
    Provider,
    Mode,
    Ranges,
    /// A price for any number of input tokens.
    Flat(Kind),
    /// A price above so many input tokens.
    Above(Kind, u64),
    /// The bounds of one range of `tiered_pricing`.
    Bounds,
    /// A price of something that is no token.
    Beside(BesideTokens),
    Unused,
}

const KINDS: [(&str, Kind); 10] = [
    ("input_cost_per_token", Kind::Input),
    ("output_cost_per_token", Kind::Output),
    ("cache_read_input_token_cost", Kind::CacheRead),
    (
        "cache_creation_input_token_cost_above_1hr",
        Kind::CacheWrite1h,
    ),
    ("cache_creation_input_token_cost", Kind::CacheWrite5m),
    ("input_cost_per_audio_token", Kind::AudioInput),
    ("output_cost_per_audio_token", Kind::AudioOutput),
    ("input_cost_per_image_token", Kind::ImageInput),
    ("output_cost_per_image_token", Kind::ImageOutput),
    ("output_cost_per_reasoning_token", Kind::Reasoning),
];

impl Field {
    fn of(key: &str) -> Self {
        match key {
            "litellm_provider" => return Self::Provider,
            "mode" => return Self::Mode,
            "tiered_pricing" => return Self::Ranges,
            "range" => return Self::Bounds,
            "input_cost_per_request" => return Self::Beside(BesideTokens::EachRequest),
            _ => {}
        }
        KINDS
            .iter()
            .find_map(|(name, kind)| match key.strip_prefix(name)? {
                "" => Some(Self::Flat(*kind)),
                rest => Some(Self::Above(*kind, threshold(rest)?)),
            })
            .unwrap_or_else(|| Self::without_tokens(key))
    }

    fn without_tokens(key: &str) -> Self {
        let is_price = key.starts_with("input_cost_per_") || key.starts_with("output_cost_per_");
        if is_price && !key.contains("_token") {
            Self::Beside(BesideTokens::Media)
        } else {
            Self::Unused
        }
    }
}

/// `_above_128k_tokens` → 128 000; `None` for anything longer, such as `…_priority`.
fn threshold(suffix: &str) -> Option<u64> {
    let number = suffix.strip_prefix("_above_")?.strip_suffix("_tokens")?;
    match number.strip_suffix('k') {
        Some(thousands) => thousands.parse::<u64>().ok()?.checked_mul(1000),
        None => number.parse().ok(),
    }
}

/// A price, from the digits of its JSON number.
fn price<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Decimal, A::Error> {
    let text = map.next_value::<&RawValue>()?.get();
    exact::parse(text)
        .filter(|price| !price.is_sign_negative())
        .ok_or_else(|| de::Error::custom(format!("`{text}` is not a price")))
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntryVisitor)
    }
}

struct EntryVisitor;

impl<'de> Visitor<'de> for EntryVisitor {
    type Value = Entry;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the prices of a model")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entry, A::Error> {
        let mut entry = Entry::default();
        while let Some(key) = map.next_key::<&str>()? {
            match Field::of(key) {
                Field::Provider => entry.provider = map.next_value::<&str>()?.into(),
                Field::Mode => entry.mode = Mode::of(map.next_value::<&str>()?),
                Field::Ranges => {
                    let ranges = map.next_value::<Vec<MaybeRange>>()?;
                    entry.ranges = ranges.into_iter().filter_map(|range| range.0).collect();
                }
                Field::Flat(kind) => *entry.prices.slot(kind) = Some(price(&mut map)?),
                Field::Above(kind, above) => {
                    *tier(&mut entry.tiers, above).prices.slot(kind) = Some(price(&mut map)?);
                }
                Field::Beside(what) => {
                    if !price(&mut map)?.is_zero() {
                        entry.beside_tokens = entry.beside_tokens.max(what);
                    }
                }
                Field::Bounds | Field::Unused => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        // As LiteLLM does: the input price makes a tier; the highest one that is exceeded counts.
        entry.tiers.retain(|tier| tier.prices.input.is_some());
        entry
            .tiers
            .sort_by_key(|tier| std::cmp::Reverse(tier.above));
        entry.ranges.sort_by_key(|range| range.from);
        Ok(entry)
    }
}

fn tier(tiers: &mut Vec<Tier>, above: u64) -> &mut Tier {
    let index = tiers
        .iter()
        .position(|tier| tier.above == above)
        .unwrap_or_else(|| {
            tiers.push(Tier {
                above,
                prices: Prices::default(),
            });
            tiers.len() - 1
        });
    #[expect(clippy::indexing_slicing, reason = "the index was just found or made")]
    &mut tiers[index]
}

/// A range of `tiered_pricing`; `None` for those by something else than input tokens (search results).
struct MaybeRange(Option<Range>);

impl<'de> Deserialize<'de> for MaybeRange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(RangeVisitor)
    }
}

struct RangeVisitor;

impl<'de> Visitor<'de> for RangeVisitor {
    type Value = MaybeRange;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a range of `tiered_pricing`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<MaybeRange, A::Error> {
        let mut bounds = None;
        let mut prices = Prices::default();
        while let Some(key) = map.next_key::<&str>()? {
            match Field::of(key) {
                Field::Bounds => {
                    let [from, to] = map.next_value::<[&RawValue; 2]>()?;
                    bounds = Some((bound(from)?, bound(to)?));
                }
                Field::Flat(kind) => *prices.slot(kind) = Some(price(&mut map)?),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(MaybeRange(bounds.map(|(from, to)| Range {
            from,
            to,
            prices,
        })))
    }
}

/// A bound is a whole number that the map writes as `32000.0`.
fn bound<E: de::Error>(raw: &RawValue) -> Result<u64, E> {
    exact::parse(raw.get())
        .filter(|value| value.fract().is_zero())
        .and_then(|value| value.to_u64())
        .ok_or_else(|| E::custom(format!("`{raw}` is not a number of tokens")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(json: &str) -> Entry {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn tiers_are_found_by_their_pattern_highest_first() {
        let read = entry(
            r#"{"mode": "chat", "litellm_provider": "p", "input_cost_per_token": 1e-6,
                "input_cost_per_token_above_200k_tokens": 2e-6,
                "input_cost_per_token_above_272k_tokens": 3e-6,
                "input_cost_per_token_above_272k_tokens_priority": 9,
                "input_cost_per_token_priority": 9,
                "output_cost_per_token_above_128k_tokens": 9,
                "cache_creation_input_token_cost_above_1hr": 4e-6,
                "cache_creation_input_token_cost_above_1hr_above_200k_tokens": 5e-6}"#,
        );
        let above: Vec<u64> = read.tiers.iter().map(|tier| tier.above).collect();
        assert_eq!(above, [272_000, 200_000]);
        assert_eq!(read.prices.cache_write_1h, exact::parse("4e-6"));
        assert_eq!(read.tiers[1].prices.cache_write_1h, exact::parse("5e-6"));
        assert_eq!(read.prices.input, exact::parse("1e-6"));
        assert_eq!(read.prices.cache_write_5m, None);
    }

    #[test]
    fn ranges_by_tokens_are_read_and_others_left_out() {
        let read = entry(
            r#"{"tiered_pricing": [
                {"range": [32000.0, 64000], "input_cost_per_token": 2e-6},
                {"max_results_range": [0, 25], "input_cost_per_query": 5e-3},
                {"input_cost_per_token": 1e-6, "range": [0, 32000.0]}]}"#,
        );
        let bounds: Vec<(u64, u64)> = read
            .ranges
            .iter()
            .map(|range| (range.from, range.to))
            .collect();
        assert_eq!(bounds, [(0, 32_000), (32_000, 64_000)]);
    }

    #[test]
    fn charges_beside_tokens_are_noticed_unless_they_are_0() {
        let beside = |json: &str| entry(json).beside_tokens;
        assert_eq!(
            beside(r#"{"input_cost_per_request": 0.005, "input_cost_per_image": 1}"#),
            BesideTokens::EachRequest
        );
        assert_eq!(
            beside(r#"{"output_cost_per_image": 0.04}"#),
            BesideTokens::Media
        );
        assert_eq!(
            beside(r#"{"output_cost_per_image": 0.0, "input_cost_per_token_flex": 1}"#),
            BesideTokens::Nothing
        );
    }

    #[test]
    fn a_broken_map_is_an_error() {
        for json in [
            r#"{"input_cost_per_token": -1}"#,
            r#"{"input_cost_per_token": "1"}"#,
            r#"{"input_cost_per_token": 1e-99}"#,
            r#"{"tiered_pricing": [{"range": [0, 0.5]}]}"#,
            r#"{"tiered_pricing": [7]}"#,
            "7",
        ] {
            assert!(serde_json::from_str::<Entry>(json).is_err(), "{json}");
        }
    }
}
