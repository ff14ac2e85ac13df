//! What a model call cost: exact, or not known for a reason that is said. Never a quiet zero.
//!
//! Two sources speak about a call. The LiteLLM Proxy reports a figure ([`ProxyCost`]); and the usage of
//! the answer ([`parse_usage`]) has a price by LiteLLM's public price map and the user's own prices
//! ([`PriceBook`]). [`CostTracker::settle`] reconciles them and says where they differ.
//!
//! ```
//! use cost_tracker::{CostTracker, PriceBook, ProxyCost, parse_usage};
//! use event_payloads::{Cost, CostSource};
//!
//! let tracker = CostTracker::new(PriceBook::builtin());
//! let answer = serde_json::json!({
//!     "prompt_tokens": 1000, "completion_tokens": 200, "total_tokens": 1200,
//!     "prompt_tokens_details": {"cached_tokens": 400},
//! });
//! let usage = parse_usage(&answer);
//!
//! // The proxy is silent, as in the headers of a stream: the price book fills in.
//! let proxy = ProxyCost::from_header(None).or(ProxyCost::from_usage(&answer));
//! let cost = tracker.settle(Some("openai"), "gpt-4o-mini", usage.as_ref(), &proxy);
//! assert_eq!(cost, Cost::known("0.00024".parse()?, CostSource::PriceBook));
//!
//! // The proxy says 0, and nobody states a price: that is no zero.
//! let proxy = ProxyCost::from_header(Some("0.0"));
//! let cost = tracker.settle(Some("openai"), "my-own-model", usage.as_ref(), &proxy);
//! assert_eq!(cost.usd(), None);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What the price book does not see yet
//!
//! It prices the tokens that [`event_payloads::TokenUsage`] holds, at a provider's standard rate. Not in
//! there, and so not in its figure: service tiers (flex, priority), regional surcharges, off-peak hours,
//! web searches and other charges per request. The proxy's figure, which wins when there is one, has them.

mod estimate;
mod exact;
mod price_book;
mod price_map;
mod proxy_cost;
mod shown;
mod tracker;
mod usage;

pub use estimate::count_tokens;
pub use price_book::{
    Basis, Dimension, Line, Match, OverrideError, PriceBook, PriceOrigin, Priced, Unpriced,
};
pub use price_map::{GenerateError, PriceMapSource, generate};
pub use proxy_cost::ProxyCost;
pub use tracker::{CostTracker, DriftThreshold, DriftThresholdError};
pub use usage::{UsageError, parse_usage};
