//! Settings: `config/octo.toml` < `.env` < environment < flags.
//!
//! [`Config::load`] reads them once, at start; everything after works on typed values. A provider's
//! own key (`OPENAI_API_KEY` and the like) is never read: those belong to the proxy.

mod database;
mod env;
mod error;
mod events;
mod file;
mod resolve;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use alias_registry::AliasRegistry;
use cost_tracker::DriftThreshold;
use event_relay::NatsConfig;
use secrecy::SecretString;

pub use env::Environment;
pub use error::ConfigError;
pub use resolve::Overrides;

/// The unit of how long things are kept.
pub(crate) const DAY: Duration = Duration::from_secs(86_400);

/// Which client answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LlmMode {
    /// The LiteLLM Proxy, and the echo when it can not.
    Litellm,
    /// Only the echo.
    Echo,
}

/// Every setting, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where `octo serve` listens.
    pub server: ServerConfig,
    /// The LiteLLM Proxy behind us.
    pub proxy: ProxyConfig,
    /// Who answers.
    pub mode: LlmMode,
    /// Where events and artifacts are kept.
    pub storage: StorageConfig,
    /// How many tasks may run and wait.
    pub tasks: TaskConfig,
    /// How costs are compared, and where the user's prices are.
    pub cost: CostConfig,
    /// Where events are published, if anywhere.
    pub nats: Option<NatsConfig>,
    /// True if `/v1` may answer with the echo without being asked to.
    pub v1_allow_fallback: bool,
    /// The aliases.
    pub aliases: AliasRegistry,
    /// What was odd but not wrong; to be logged once logging works.
    pub warnings: Vec<String>,
}

/// The HTTP server.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Address and port; port 0 picks a free one.
    pub listen: SocketAddr,
    /// Callers have to send it as a bearer token, if it is set.
    pub key: Option<SecretString>,
    /// Connections open at once; more wait in the system's queue.
    pub max_connections: usize,
    /// For a client to send its request head.
    pub header_timeout: Duration,
    /// Largest request body.
    pub max_body_bytes: usize,
    /// For calls in flight to finish after SIGTERM.
    pub shutdown_grace: Duration,
    /// Between two heartbeats of an idle event stream.
    pub sse_heartbeat: Duration,
}

/// The LiteLLM Proxy.
#[derive(Clone, Debug)]
pub struct ProxyConfig {
    /// Its base URL.
    pub url: String,
    /// Our key for it; not a provider's.
    pub key: SecretString,
    /// For a connection to stand.
    pub connect_timeout: Duration,
    /// For a whole call.
    pub call_timeout: Duration,
    /// In which a stream that has begun has to go on.
    pub stream_idle_timeout: Duration,
    /// A whole stream.
    pub stream_timeout: Duration,
    /// Largest answer.
    pub max_response_bytes: usize,
}

/// Events and artifacts.
#[derive(Clone, Debug)]
pub struct StorageConfig {
    /// The SQLite file.
    pub db_path: PathBuf,
    /// The folder of large artifacts.
    pub artifacts_dir: PathBuf,
    /// The URL of a Postgres database, which is used instead of file and folder if it is set.
    pub database_url: Option<SecretString>,
    /// How long a gateway counts as alive in it after it was last heard of.
    pub lease: Duration,
    /// How long the events of tasks that have ended are kept; `None` is for ever.
    pub retention: Option<Duration>,
    /// Longest `response_summary` of an event.
    pub payload_max_bytes: usize,
    /// Artifacts up to this size are kept in the database.
    pub artifact_inline_bytes: usize,
}

/// Limits of the work at hand.
#[derive(Clone, Copy, Debug)]
pub struct TaskConfig {
    /// Model calls in flight at once.
    pub max_running: usize,
    /// Tasks that may wait for one of those.
    pub max_queued: usize,
}

/// Costs.
#[derive(Clone, Debug, Default)]
pub struct CostConfig {
    /// From which difference on two figures for one call are called drift.
    pub drift: DriftThreshold,
    /// The file of the user's own prices, if there is one.
    pub prices: Option<PathBuf>,
}
