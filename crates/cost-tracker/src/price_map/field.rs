//! What the name of a field in the map means.

use crate::billable::ServiceTier;
use crate::price_book::{Kind, MAP_FIELDS};

/// What a field of an entry sets.
pub(super) enum Field {
    Provider,
    Mode,
    /// `tiered_pricing`.
    Ranges,
    /// The bounds of one of them.
    Bounds,
    /// One price.
    Price {
        kind: Kind,
        service: ServiceTier,
        above: u64,
        /// False for what answers rarely count: media, time, characters.
        is_counted: bool,
    },
    /// The prices of a web search, by how much it brings.
    Searches,
    /// Whether each web search is charged, or a call with any.
    SearchUnit,
    /// Factors that only one provider has.
    Specific,
    /// A price of something that no usage counts.
    Uncounted,
    Unused,
}

impl Field {
    pub(super) fn of(key: &str) -> Self {
        match key {
            "litellm_provider" => return Self::Provider,
            "mode" => return Self::Mode,
            "tiered_pricing" => return Self::Ranges,
            "range" => return Self::Bounds,
            "search_context_cost_per_query" => return Self::Searches,
            "web_search_billing_unit" => return Self::SearchUnit,
            "provider_specific_entry" => return Self::Specific,
            _ => {}
        }
        MAP_FIELDS
            .iter()
            .find_map(|(name, kind)| {
                let (above, service) = tier(key.strip_prefix(name)?)?;
                Some(Self::Price {
                    kind: *kind,
                    service,
                    above,
                    is_counted: !is_uncounted(key) || *kind == Kind::Request,
                })
            })
            .unwrap_or_else(|| {
                if is_uncounted(key) {
                    Self::Uncounted
                } else {
                    Self::Unused
                }
            })
    }
}

fn is_uncounted(key: &str) -> bool {
    let is_price = key.starts_with("input_cost_per_") || key.starts_with("output_cost_per_");
    is_price && !key.contains("_token")
}

/// What follows the name: `_above_128k_tokens`, `_flex`, both in this order, or nothing.
fn tier(suffix: &str) -> Option<(u64, ServiceTier)> {
    let (above, rest) = match suffix.strip_prefix("_above_") {
        None => (0, suffix),
        Some(bound) => {
            let (number, rest) = bound.split_once("_tokens")?;
            (tokens(number)?, rest)
        }
    };
    let service = match rest {
        "" => ServiceTier::Standard,
        "_flex" => ServiceTier::Flex,
        "_priority" => ServiceTier::Priority,
        "_ultrafast" => ServiceTier::Ultrafast,
        "_batches" => ServiceTier::Batch,
        _ => return None,
    };
    Some((above, service))
}

/// `128k` → 128 000.
fn tokens(number: &str) -> Option<u64> {
    match number.strip_suffix('k') {
        Some(thousands) => thousands.parse::<u64>().ok()?.checked_mul(1000),
        None => number.parse().ok(),
    }
}
