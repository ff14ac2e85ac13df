//! The shape of `config/octo.toml`. Every key is optional; an unknown one is an error.

use std::path::{Path, PathBuf};

use alias_registry::Alias;
use serde::Deserialize;

use super::ConfigError;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct File {
    pub server: Server,
    pub proxy: Proxy,
    pub llm: Llm,
    pub storage: Storage,
    pub tasks: Tasks,
    pub cost: Cost,
    pub events: Events,
    pub v1: V1,
    /// `[[alias]]`; none means the default six.
    pub alias: Vec<Alias>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Server {
    pub listen: Option<String>,
    pub max_connections: Option<u64>,
    pub header_timeout_s: Option<f64>,
    pub max_body_bytes: Option<u64>,
    pub shutdown_grace_s: Option<f64>,
    pub sse_heartbeat_s: Option<f64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Proxy {
    pub url: Option<String>,
    pub connect_timeout_s: Option<f64>,
    pub timeout_s: Option<f64>,
    pub stream_idle_timeout_s: Option<f64>,
    pub stream_timeout_s: Option<f64>,
    pub max_response_bytes: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Llm {
    pub mode: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Storage {
    pub data_dir: Option<PathBuf>,
    pub db_path: Option<PathBuf>,
    pub artifacts_dir: Option<PathBuf>,
    pub database_url: Option<String>,
    pub lease_s: Option<f64>,
    pub retention_days: Option<u64>,
    pub payload_max_bytes: Option<u64>,
    pub artifact_inline_bytes: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Tasks {
    pub max_running: Option<u64>,
    pub max_queued: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Cost {
    /// Text, so that money and ratios are never read through a binary float.
    pub drift_relative: Option<String>,
    pub drift_absolute_usd: Option<String>,
    pub prices: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Events {
    pub nats_url: Option<String>,
    pub nats_stream: Option<String>,
    pub nats_subjects: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct V1 {
    pub allow_fallback: Option<bool>,
}

impl File {
    pub(super) fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        // Not the error's own text: it repeats the line, which may hold a key that does not belong there.
        toml::from_str(text).map_err(|error| {
            let before = error
                .span()
                .and_then(|span| text.get(..span.start))
                .unwrap_or_default();
            ConfigError::Syntax {
                path: path.to_owned(),
                message: format!(
                    "line {}: {}",
                    before.matches('\n').count() + 1,
                    error.message()
                ),
            }
        })
    }
}
