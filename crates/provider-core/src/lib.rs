//! What a model client is: the [`ModelClient`] trait, the [`ModelRequest`] it is given, the
//! [`ModelCallResult`] it gives back, whole or piece by piece ([`AnswerStream`]), the [`ProviderError`] it
//! fails with.
//!
//! A client is one way to have a model answer: over HTTP, or an echo. Whoever calls it decides what
//! a failure means ([`ProviderError::is_recoverable`]) and keeps the books
//! ([`ProviderError::may_be_billed`]).
//!
//! ```
//! use bytes::Bytes;
//! use event_payloads::{Cost, RuntimeGroup};
//! use provider_core::{
//!     Chunk, Closed, Completion, ModelCall, ModelCallResult, ModelClient, ModelRequest, ModelStream,
//!     ProviderError, ReadyStream,
//! };
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
//!
//!     async fn stream(&self, call: &ModelCall) -> Result<ModelStream, ProviderError> {
//!         let Completion { result, .. } = self.complete(call).await?;
//!         let chunk = Chunk { text: result.content.clone(), ..Chunk::default() };
//!         Ok(Box::new(ReadyStream::new([chunk], Closed::whole(result, Bytes::new()))))
//!     }
//! }
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
//! # runtime.block_on(async {
//! let call = ModelCall {
//!     model_alias: "planner".into(),
//!     runtime_group: "main".parse::<RuntimeGroup>()?,
//!     request: ModelRequest::from_prompt("Say something."),
//! };
//! let answer = Parrot.complete(&call).await?;
//! assert_eq!(answer.result.content, "Hello.");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod client;
mod endpoint;
mod error;
mod prompt;
mod request;
mod result;
mod stream;

pub use client::{Completion, ModelCall, ModelClient};
pub use endpoint::Endpoint;
pub use error::{BoxError, CallerFault, ProviderError, ProxyReply, TimeoutPhase};
pub use prompt::Prompt;
pub use request::{InvalidRequest, ModelRequest};
pub use result::{FallbackReason, ModelCallResult, ProxyTrace};
pub use stream::{AnswerStream, Chunk, Closed, ModelStream, ReadyStream};
