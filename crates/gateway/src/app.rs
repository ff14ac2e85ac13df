//! The parts, put together from the configuration.

use std::sync::Arc;

use cost_tracker::{CostTracker, OverrideError, PriceBook};
use event_store::{EventStore, StoreError, must_be_whole};
use provider_core::ModelClient;
use provider_echo::EchoClient;
use provider_litellm::{LiteLlmClient, LiteLlmConfig, LiteLlmConfigError};
use provider_service::{FallbackManager, Limits, LlmService, TaskService};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, CostConfig, LlmMode, ProxyConfig};
use crate::storage;

/// The running parts, shared by every request. Cheap to clone.
#[derive(Clone, Debug)]
pub struct App {
    /// The settings that they were made from.
    pub config: Arc<Config>,
    /// The books.
    pub store: Arc<dyn EventStore>,
    /// Who does the work.
    pub tasks: TaskService,
    /// The client of the proxy; none in echo mode.
    pub proxy: Option<Arc<LiteLlmClient>>,
    /// Cancelled when the gateway ends: streams that would go on for ever stop.
    pub closing: CancellationToken,
    /// Places for event streams: half of all connections, so that calls always find one.
    pub streams: Arc<Semaphore>,
}

/// A part that can not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppError {
    /// The store does not open.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The proxy's address or the like is wrong.
    #[error(transparent)]
    Proxy(#[from] LiteLlmConfigError),
    /// The user's prices can not be read.
    #[error("cannot read {path}: {source}")]
    PricesUnreadable {
        /// The file.
        path: std::path::PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The user's prices are wrong.
    #[error("{path}: {source}")]
    Prices {
        /// The file.
        path: std::path::PathBuf,
        /// The cause.
        #[source]
        source: OverrideError,
    },
}

impl App {
    /// Opens the store for writing, makes the clients, and closes what a crash left open.
    ///
    /// # Errors
    /// A part can not be made, or another gateway has the store.
    pub async fn start(config: Config) -> Result<Self, AppError> {
        let proxy = proxy_client(&config)?;
        let store = storage::open(&config.storage).await?;
        match Self::on(config, proxy, store.clone()).await {
            Ok(app) => Ok(app),
            Err(error) => {
                // Others would count this one as alive, and leave alone what it can not end any more.
                if let Err(closing) = store.close().await {
                    let error = &closing as &dyn std::error::Error;
                    tracing::warn!(error, "the store was not closed");
                }
                Err(error)
            }
        }
    }

    /// The parts around an open store.
    async fn on(
        config: Config,
        proxy: Option<Arc<LiteLlmClient>>,
        store: Arc<dyn EventStore>,
    ) -> Result<Self, AppError> {
        must_be_whole(store.as_ref()).await?;
        let llm = LlmService::new(config.aliases.clone(), clients(proxy.clone()))
            .with_summary_bytes(config.storage.payload_max_bytes);
        let limits = Limits {
            max_running: config.tasks.max_running,
            max_queued: config.tasks.max_queued,
        };
        let tasks = TaskService::new(store.clone(), llm, limits);
        let recovered = tasks.recover().await?;
        if recovered != Default::default() {
            tracing::warn!(
                calls = recovered.calls,
                tasks = recovered.tasks,
                "closed what the last run left open"
            );
        }
        let streams = Arc::new(Semaphore::new(config.server.max_connections.div_ceil(2)));
        Ok(Self {
            config: Arc::new(config),
            store,
            tasks,
            proxy,
            closing: CancellationToken::new(),
            streams,
        })
    }
}

/// The proxy with the echo behind it, or the echo alone.
fn clients(proxy: Option<Arc<LiteLlmClient>>) -> FallbackManager {
    let echo = Arc::new(EchoClient);
    match proxy {
        Some(proxy) => FallbackManager::new(proxy as Arc<dyn ModelClient>, echo),
        None => FallbackManager::without_fallback(echo),
    }
}

/// The client of the proxy; none in echo mode.
///
/// # Errors
/// A setting of the proxy or of prices is wrong.
pub fn proxy_client(config: &Config) -> Result<Option<Arc<LiteLlmClient>>, AppError> {
    if config.mode == LlmMode::Echo {
        return Ok(None);
    }
    let ProxyConfig {
        url,
        key,
        connect_timeout,
        call_timeout,
        stream_idle_timeout,
        stream_timeout,
        max_response_bytes,
    } = config.proxy.clone();
    let settings = LiteLlmConfig::new(&url, key)?
        .with_connect_timeout(connect_timeout)
        .with_call_timeout(call_timeout)
        .with_stream_idle_timeout(stream_idle_timeout)
        .with_stream_timeout(stream_timeout)
        .with_max_response_bytes(max_response_bytes);
    let client = LiteLlmClient::new(settings, cost_tracker(&config.cost)?)?;
    Ok(Some(Arc::new(client)))
}

/// The price book with the user's own prices, and the threshold of drift.
fn cost_tracker(config: &CostConfig) -> Result<CostTracker, AppError> {
    Ok(CostTracker::new(price_book(config)?).with_threshold(config.drift))
}

/// The price book with the user's own prices.
///
/// # Errors
/// The user's prices can not be read, or are wrong.
pub fn price_book(config: &CostConfig) -> Result<Arc<PriceBook>, AppError> {
    let Some(path) = &config.prices else {
        return Ok(PriceBook::builtin());
    };
    let text = std::fs::read_to_string(path).map_err(|source| AppError::PricesUnreadable {
        path: path.clone(),
        source,
    })?;
    let book = PriceBook::builtin().with_overrides(&text);
    let book = book.map_err(|source| AppError::Prices {
        path: path.clone(),
        source,
    })?;
    Ok(Arc::new(book))
}
