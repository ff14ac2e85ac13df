//! By whose rules a usage is divided and priced.

use super::entry::Prices;
use super::kind::Kind;
use crate::billable::{Billable, CallType, ServiceTier};

/// A provider's way to charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// What nearly every provider has.
    Generic,
    /// A tier begins *at* its bound, and output is one kind.
    Xai,
    /// Cached input and the rest; no tiers.
    Fireworks,
    /// No cache price; reasoning, citations and requests apart.
    Perplexity,
    /// What has no cache price costs as input; ranges.
    Dashscope,
    /// A batch of any provider: input, cached input and output.
    Batch,
    /// A price that a user stated: what it leaves out costs as input or output, never nothing.
    Stated,
}

impl Rule {
    /// The rule for an entry of LiteLLM's map and a call.
    pub(super) fn of(provider: &str, call: &Billable) -> Self {
        if call.service_tier == ServiceTier::Batch && call.call_type != CallType::Rerank {
            return Self::Batch;
        }
        // A transcription with tokens has the generic rule whoever makes it.
        if call.call_type == CallType::Transcription {
            return Self::Generic;
        }
        match provider {
            "xai" => Self::Xai,
            "perplexity" => Self::Perplexity,
            "dashscope" | "qwencloud" | "qwen_ai_platform" => Self::Dashscope,
            _ if provider.starts_with("fireworks_ai") => Self::Fireworks,
            _ => Self::Generic,
        }
    }

    /// True if `tiered_pricing` counts.
    pub(super) const fn has_ranges(self) -> bool {
        matches!(self, Self::Generic | Self::Xai | Self::Dashscope)
    }

    /// True if prices above so many input tokens count.
    pub(super) const fn has_tiers(self) -> bool {
        matches!(self, Self::Generic | Self::Xai | Self::Stated)
    }

    /// True if `flex` and `priority` have prices of their own.
    pub(super) const fn has_service_tiers(self) -> bool {
        matches!(self, Self::Generic | Self::Stated)
    }

    pub(super) const fn tier_begins_at_its_bound(self) -> bool {
        matches!(self, Self::Xai)
    }

    /// True if all input costs one price in a batch: a stated one, which no cache makes cheaper.
    pub(super) fn one_input_price(self, prices: &Prices) -> bool {
        self == Self::Batch && prices.at(Kind::Input, ServiceTier::Batch, 0).is_some()
    }
}
