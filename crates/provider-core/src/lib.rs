//! What a model client is: the [`ModelClient`] trait, the [`ChatRequest`] it is given, the
//! [`ModelCallResult`] it gives back, the [`ProviderError`] it fails with.
//!
//! A client is one way to have a model answer: over HTTP, or an echo. Whoever calls it decides what
//! a failure means ([`ProviderError::is_recoverable`]) and keeps the books
//! ([`ProviderError::may_be_billed`]).
//!
//! ```
//! use bytes::Bytes;
//! use event_payloads::{Cost, RuntimeGroup};
//! use provider_core::{ChatRequest, Completion, ModelCall, ModelCallResult, ModelClient, ProviderError};
//!
//! /// Answers every question with the same word.
//! struct Parrot;
//!
//! #[async_trait::async_trait]
//! impl ModelClient for Parrot {
//!     fn name(&self) -> &'static str {
//!         "parrot"
//!     }
//!
//!     async fn complete(&self, call: &ModelCall) -> Result<Completion, ProviderError> {
//!         let result = ModelCallResult::answered(call, "parrot", "parrot", "Hello.", Cost::FREE);
//!         Ok(Completion { body: Bytes::new(), result })
//!     }
//! }
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
//! # runtime.block_on(async {
//! let call = ModelCall {
//!     model_alias: "planner".into(),
//!     runtime_group: "main".parse::<RuntimeGroup>()?,
//!     request: ChatRequest::from_prompt("Say something."),
//! };
//! let answer = Parrot.complete(&call).await?;
//! assert_eq!(answer.result.content, "Hello.");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod client;
mod error;
mod request;
mod result;

pub use client::{Completion, ModelCall, ModelClient};
pub use error::{BoxError, CallerFault, ProviderError, ProxyReply, TimeoutPhase};
pub use request::{ChatRequest, InvalidRequest};
pub use result::{FallbackReason, ModelCallResult, ProxyTrace};
