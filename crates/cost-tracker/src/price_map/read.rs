//! Reads the compact price map into typed entries.

use std::collections::HashMap;
use std::fmt;

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::PriceMapSource;
use super::field::Field;
use crate::billable::ServiceTier;
use crate::exact;
use crate::price_book::{Entry, Kind, Mode, Prices, Range, Stated};

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

/// A price, from the digits of its JSON number.
fn price<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Decimal, A::Error> {
    price_of(map.next_value::<&RawValue>()?)
}

fn price_of<E: de::Error>(raw: &RawValue) -> Result<Decimal, E> {
    let text = raw.get();
    exact::parse(text)
        .filter(|price| !price.is_sign_negative())
        .ok_or_else(|| E::custom(format!("`{text}` is not a price")))
}

const fn stated(kind: Kind, price: Decimal) -> Stated {
    Stated {
        kind,
        service: ServiceTier::Standard,
        above: 0,
        price,
    }
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
        let mut prices = Vec::new();
        while let Some(key) = map.next_key::<&str>()? {
            match Field::of(key) {
                Field::Provider => entry.provider = map.next_value::<&str>()?.into(),
                Field::Mode => entry.mode = Mode::of(map.next_value::<&str>()?),
                Field::Ranges => {
                    let ranges = map.next_value::<Vec<MaybeRange>>()?;
                    entry.ranges = ranges.into_iter().filter_map(|range| range.0).collect();
                }
                Field::Price {
                    kind,
                    service,
                    above,
                    is_counted,
                } => {
                    let price = price(&mut map)?;
                    entry.has_uncounted_charges |= !is_counted && !price.is_zero();
                    prices.push(Stated {
                        kind,
                        service,
                        above,
                        price,
                    });
                }
                Field::Searches => prices.extend(searches(&mut map)?),
                Field::SearchUnit => {
                    entry.each_search_counts = map.next_value::<&str>()? == "per_query";
                }
                Field::Specific => prices.extend(specific(&mut map)?),
                Field::Uncounted => {
                    entry.has_uncounted_charges |= !price(&mut map)?.is_zero();
                }
                Field::Bounds | Field::Unused => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        entry.prices = Prices::new(prices);
        entry.ranges.sort_by_key(|range| range.from);
        Ok(entry)
    }
}

/// `{"search_context_size_low": 0.01, …_medium, …_high}`.
fn searches<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Vec<Stated>, A::Error> {
    let by_size = map.next_value::<HashMap<&str, &RawValue>>()?;
    let sizes = [
        ("search_context_size_medium", Kind::WebSearch),
        ("search_context_size_low", Kind::WebSearchSmall),
    ];
    let mut prices = Vec::new();
    for (size, kind) in sizes {
        if let Some(raw) = by_size.get(size) {
            prices.push(stated(kind, price_of(raw)?));
        }
    }
    Ok(prices)
}

/// Anthropic's factors by where and how a call was served: `{"us": 1.1, "fast": 2.0}`.
fn specific<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Vec<Stated>, A::Error> {
    let by_name = map.next_value::<HashMap<&str, &RawValue>>()?;
    let factors = [("us", Kind::FactorServedUs), ("fast", Kind::FactorFast)];
    let mut prices = Vec::new();
    for (name, kind) in factors {
        if let Some(raw) = by_name.get(name) {
            prices.push(stated(kind, price_of(raw)?));
        }
    }
    Ok(prices)
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
        let mut prices = Vec::new();
        while let Some(key) = map.next_key::<&str>()? {
            match Field::of(key) {
                Field::Bounds => {
                    let [from, to] = map.next_value::<[&RawValue; 2]>()?;
                    bounds = Some((bound(from)?, bound(to)?));
                }
                Field::Price { kind, above: 0, .. } => {
                    prices.push(stated(kind, price(&mut map)?));
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(MaybeRange(bounds.map(|(from, to)| Range {
            from,
            to,
            prices: Prices::new(prices),
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
    fn tiers_are_found_by_their_pattern() {
        let read = entry(
            r#"{"mode": "chat", "litellm_provider": "p", "input_cost_per_token": 1e-6,
                "input_cost_per_token_above_200k_tokens": 2e-6,
                "input_cost_per_token_above_272k_tokens": 3e-6,
                "input_cost_per_token_above_272k_tokens_priority": 4e-6,
                "input_cost_per_token_priority": 5e-6,
                "output_cost_per_token_above_128k_tokens": 9,
                "output_cost_per_token_batches": 8,
                "cache_creation_input_token_cost_above_1hr": 4e-6,
                "cache_creation_input_token_cost_above_1hr_above_200k_tokens": 5e-6}"#,
        );
        let at = |kind, service, above| read.prices.at(kind, service, above);
        let (standard, priority) = (ServiceTier::Standard, ServiceTier::Priority);
        assert_eq!(at(Kind::CacheWrite1h, standard, 0), exact::parse("4e-6"));
        assert_eq!(
            at(Kind::CacheWrite1h, standard, 200_000),
            exact::parse("5e-6")
        );
        assert_eq!(at(Kind::Input, standard, 0), exact::parse("1e-6"));
        assert_eq!(at(Kind::Input, priority, 0), exact::parse("5e-6"));
        assert_eq!(at(Kind::Input, priority, 272_000), exact::parse("4e-6"));
        assert_eq!(at(Kind::Output, ServiceTier::Batch, 0), exact::parse("8"));
        assert_eq!(at(Kind::CacheWrite5m, standard, 0), None);
        // The input price makes a tier: a bound of the output price alone is none.
        assert_eq!(read.prices.threshold(200_000, false), 0);
        assert_eq!(read.prices.threshold(200_000, true), 200_000);
        assert_eq!(read.prices.threshold(200_001, false), 200_000);
        assert_eq!(read.prices.threshold(900_000, false), 272_000);
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
    fn charges_that_no_usage_counts_are_noticed_unless_they_are_0() {
        let uncounted = |json: &str| entry(json).has_uncounted_charges;
        assert!(uncounted(r#"{"output_cost_per_image": 0.04}"#));
        assert!(uncounted(r#"{"input_cost_per_second": 0.04}"#));
        assert!(!uncounted(
            r#"{"output_cost_per_image": 0.0, "input_cost_per_token_flex": 1}"#
        ));
        assert!(!uncounted(r#"{"input_cost_per_request": 1}"#));
    }

    #[test]
    fn searches_and_factors_are_read_from_their_tables() {
        let read = entry(
            r#"{"search_context_cost_per_query": {"search_context_size_low": 0.01, "search_context_size_medium": 0.02,
                "search_context_size_high": 0.03}, "web_search_billing_unit": "per_query",
                "provider_specific_entry": {"us": 1.1, "fast": 2.0, "bedrock_invocation_schema": "titan_v2"}}"#,
        );
        let flat = |kind| read.prices.flat(kind);
        assert_eq!(flat(Kind::WebSearch), exact::parse("0.02"));
        assert_eq!(flat(Kind::WebSearchSmall), exact::parse("0.01"));
        assert_eq!(flat(Kind::FactorServedUs), exact::parse("1.1"));
        assert_eq!(flat(Kind::FactorFast), exact::parse("2"));
        assert!(read.each_search_counts);
    }

    #[test]
    fn a_broken_map_is_an_error() {
        for json in [
            r#"{"input_cost_per_token": -1}"#,
            r#"{"input_cost_per_token": "1"}"#,
            r#"{"input_cost_per_token": 1e-99}"#,
            r#"{"tiered_pricing": [{"range": [0, 0.5]}]}"#,
            r#"{"tiered_pricing": [7]}"#,
            r#"{"search_context_cost_per_query": {"search_context_size_low": -1}}"#,
            r#"{"provider_specific_entry": {"us": "much"}}"#,
            "7",
        ] {
            assert!(serde_json::from_str::<Entry>(json).is_err(), "{json}");
        }
    }
}
