//! The `octo` gateway: the HTTP API, the configuration and the command line over
//! [`provider_service`].
//!
//! - [`config`]: settings, read once and checked
//! - [`app`]: the parts, put together
//! - [`http`]: the routes, one file a subject
//! - [`server`]: connections, limits, the graceful end
//! - [`storage`]: the books, wherever they are
//! - [`cli`]: `octo serve`, `ask`, `costs`, `events`, `price`, `store`, `doctor`
//!
//! ```
//! use gateway::config::{Config, Environment, Overrides};
//!
//! let environment = Environment::of_pairs([("OCTOAGENT_LLM_MODE", "echo".to_owned())]);
//! let config = Config::load(&environment, &Overrides::default())?;
//! assert_eq!(config.server.listen.to_string(), "127.0.0.1:8000");
//! # Ok::<(), gateway::config::ConfigError>(())
//! ```

pub mod app;
pub mod cli;
pub mod config;
pub mod http;
mod logging;
mod relay;
mod retention;
pub mod server;
pub mod storage;
mod takeover;
