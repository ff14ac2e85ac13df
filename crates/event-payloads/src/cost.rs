//! What a call cost, or why that is not known.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Usd;

/// The cost of one call: an exact amount and who said it, or the reason why there is none.
///
/// There is no third state: a cost that is not known can not be added up as zero by accident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cost {
    /// The amount is known.
    Known {
        /// The amount.
        usd: Usd,
        /// Where it comes from.
        source: CostSource,
        /// Set when the proxy and our price book both had a figure and these differ too much.
        drift: Option<CostDrift>,
    },
    /// The amount is not known, for this reason (a sentence for people).
    Unavailable(String),
}

impl Cost {
    /// Nothing was charged, and we know it: no provider took part in the call.
    pub const FREE: Self = Self::Known {
        usd: Usd::ZERO,
        source: CostSource::None,
        drift: None,
    };

    /// A known amount without drift.
    #[must_use]
    pub const fn known(usd: Usd, source: CostSource) -> Self {
        Self::Known {
            usd,
            source,
            drift: None,
        }
    }

    /// The amount, if it is known.
    #[must_use]
    pub const fn usd(&self) -> Option<Usd> {
        match self {
            Self::Known { usd, .. } => Some(*usd),
            Self::Unavailable(_) => None,
        }
    }

    /// Where the amount comes from; [`CostSource::None`] if it is not known.
    #[must_use]
    pub const fn source(&self) -> CostSource {
        match self {
            Self::Known { source, .. } => *source,
            Self::Unavailable(_) => CostSource::None,
        }
    }
}

/// Who said what a call cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CostSource {
    /// The LiteLLM Proxy, in its answer.
    Proxy,
    /// Our price book, over the usage.
    PriceBook,
    /// A price that the user put into the configuration, over the usage.
    Override,
    /// Nobody: the call was free by nature, or its cost is not known.
    #[default]
    #[serde(other)]
    None,
}

impl CostSource {
    /// The word on the wire and in SQL.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Proxy => "proxy",
            Self::PriceBook => "price_book",
            Self::Override => "override",
            Self::None => "none",
        }
    }
}

/// Two figures for one call that differ by more than the threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CostDrift {
    /// What the proxy reported, in USD.
    pub proxy_usd: Usd,
    /// What the price book computes for the same usage, in USD.
    pub price_book_usd: Usd,
}
