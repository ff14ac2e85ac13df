//! A model client that echoes the last user message: what answers when the proxy cannot.
//!
//! It needs nothing and cannot fail, so a task always ends. It is honest about what it is: model and
//! provider are `echo`, and the cost is a known 0.
//!
//! ```
//! use provider_core::{ModelRequest, ModelCall, ModelClient};
//! use provider_echo::EchoClient;
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
//! # runtime.block_on(async {
//! let call = ModelCall {
//!     model_alias: "planner".into(),
//!     runtime_group: "main".parse()?,
//!     request: ModelRequest::from_prompt("Are you there?"),
//! };
//! let answer = EchoClient.complete(&call).await?.result;
//! assert_eq!(answer.content, "Echo: Are you there?");
//! assert_eq!(answer.model_name, "echo");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod echo;
mod shape;

pub use echo::EchoClient;
