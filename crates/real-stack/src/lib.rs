//! The real parts as owned processes: a LiteLLM Proxy and a local language model, no key needed, a Postgres
//! and a NATS server. And the clients that other people wrote, to call the proxy with.
//!
//! All but a Postgres that the machine has comes from the package indexes of Python and npm, pinned by hash,
//! and lives under `target/real-stack/`. A part listens on a free port of the loopback address and
//! ends when it is told to, when its handle is dropped, and when the process that started it dies, however
//! that happens.
//!
//! ```no_run
//! use real_stack::{Environments, LiteLlmProxy, LocalModel, ProxyConfig, ProxyOptions};
//!
//! # async fn example() -> Result<(), real_stack::StackError> {
//! let environments = Environments::ensure(|step| eprintln!("{step}"))?;
//! let mut model = LocalModel::start(&environments).await?;
//! let config = real_stack::workspace_root().join("config/litellm-local.yaml");
//! let options = ProxyOptions {
//!     config: ProxyConfig::File(config),
//!     master_key: "sk-of-this-run".to_owned(),
//!     env: vec![("OCTO_LOCAL_MODEL_URL".to_owned(), model.url())],
//! };
//! let mut proxy = LiteLlmProxy::start(&environments, options).await?;
//! println!("{} asks for a key", proxy.url());
//! proxy.stop().await?;
//! model.stop().await?;
//! # Ok(())
//! # }
//! ```

mod clients;
mod environments;
mod error;
mod exchange;
mod family;
mod layout;
mod log;
mod model;
mod nats;
mod node;
mod port;
mod postgres;
mod probe;
mod process;
mod proxy;
mod python;
mod server;
mod servers;
mod setup;
mod venv;

pub use clients::Clients;
pub use environments::Environments;
pub use error::StackError;
pub use exchange::{Answer, Exchange};
pub use layout::workspace_root;
pub use model::LocalModel;
pub use nats::NatsServer;
pub use postgres::Postgres;
pub use proxy::{LiteLlmProxy, ProxyConfig, ProxyOptions};
pub use servers::Servers;
