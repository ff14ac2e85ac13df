//! A model client over HTTP to a LiteLLM Proxy.
//!
//! [`LiteLlmClient`] sends a request to the proxy's endpoint of the same name (chat completions, completions,
//! responses, embeddings) and reads what comes back, whole or piece by piece, with distrust: a cut, oversized
//! or malformed answer is an error, never a success; the model's name is never the alias; the cost is the
//! proxy's own figure where it has one, our price book's where it has none, and unavailable with a reason
//! otherwise. The usage of a stream is always asked for; where nobody states one, the text is counted, and the
//! result says so.
//!
//! How the real proxy behaves was measured with LiteLLM 1.102.4; the exchanges are kept as fixtures
//! under `tests/fixtures/recorded/`.
//!
//! A request is sent a second time only if the pooled connection that it was meant for had closed
//! before any byte of it was written: a call that may have been made is never made twice.
//!
//! ```no_run
//! use cost_tracker::{CostTracker, PriceBook};
//! use provider_core::{ModelRequest, ModelCall, ModelClient};
//! use provider_litellm::{LiteLlmClient, LiteLlmConfig};
//!
//! # async fn ask() -> Result<(), Box<dyn std::error::Error>> {
//! let config = LiteLlmConfig::new("http://localhost:4000", "sk-…".into())?;
//! let client = LiteLlmClient::new(config, CostTracker::new(PriceBook::builtin()))?;
//! let call = ModelCall {
//!     model_alias: "planner".into(),
//!     runtime_group: "main".parse()?,
//!     request: ModelRequest::from_prompt("What is 2 + 2?"),
//! };
//! let answer = client.complete(&call).await?.result;
//! println!("{} by {}: {:?}", answer.content, answer.model_name, answer.cost);
//! # Ok(())
//! # }
//! ```

mod answer;
mod client;
mod config;
mod connect;
mod directory;
mod estimate;
mod failure;
mod head;
mod mask;
mod model_name;
mod naming;
mod probe;
mod providers;
mod refusal;
mod stream;
mod transport;

pub use client::LiteLlmClient;
pub use config::{LiteLlmConfig, LiteLlmConfigError};
pub use directory::ModelInfo;
pub use probe::ProbeError;
