//! What a model call cost: exact, or not known for a reason that is said. Never a quiet zero.
//!
//! Two sources speak about a call. The LiteLLM Proxy reports a figure ([`ProxyCost`]); and the usage of
//! the answer ([`parse_billable`]) has a price by LiteLLM's public price map and the user's own prices
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
//! # What counts
//!
//! [`parse_billable`] reads every count that a chat, completion, responses, embedding, rerank or
//! transcription usage carries, and the class of service; [`PriceBook::price_call`] prices them by the
//! rules of the model's provider, as LiteLLM's own calculator does, digit by digit
//! (`tests/litellm_oracle`). [`Priced::lines`] shows each part with the reason for its price.
//!
//! Not priced, and so said to be: models that make images, video, speech or music, capacity that is bought by the
//! hour, and tools that a usage does not count (file search, code interpreters).

mod billable;
mod estimate;
mod exact;
mod price_book;
mod price_map;
mod proxy_cost;
mod recount;
mod shown;
mod tracker;
mod usage;

pub use billable::{Billable, CallType, Place, Residency, ServiceTier, Units, UnknownWord};
pub use estimate::count_tokens;
pub use price_book::{
    Basis, Deployment, Dimension, Line, Match, MatchedBy, OverrideError, PriceBook, PriceOrigin,
    Priced, Unpriced,
};
pub use price_map::{GenerateError, PriceMapSource, generate};
pub use proxy_cost::ProxyCost;
pub use tracker::{CostTracker, DriftThreshold, DriftThresholdError, Settled};
pub use usage::{UsageError, parse_billable, parse_usage};
