//! LiteLLM Proxy.

use std::ffi::OsString;
use std::fmt;
use std::io::Write as _;
use std::path::PathBuf;

use rustix::process::Signal;
use tempfile::NamedTempFile;

use crate::layout::Layout;
use crate::probe::Probe;
use crate::process::Leader;
use crate::server::{Recipe, Server, controls};
use crate::{Environments, StackError};

/// The proxy's configuration.
#[derive(Debug, Clone)]
pub enum ProxyConfig {
    /// A file, such as `config/litellm-local.yaml`.
    File(PathBuf),
    /// The YAML itself, for a test with its own.
    Yaml(String),
}

/// What a proxy is started with. Its `Debug` shows no key.
#[derive(Clone)]
pub struct ProxyOptions {
    /// The model groups and the rest.
    pub config: ProxyConfig,
    /// The key that callers must send. It reaches the proxy as `LITELLM_MASTER_KEY`.
    pub master_key: String,
    /// More environment for the proxy, such as provider keys or `OCTO_LOCAL_MODEL_URL`. It inherits
    /// nothing of ours that could be one.
    pub env: Vec<(String, String)>,
}

impl fmt::Debug for ProxyOptions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.env.iter().map(|(name, _)| name.as_str()).collect();
        formatter
            .debug_struct("ProxyOptions")
            .field("config", &self.config)
            .field("env", &names)
            .finish_non_exhaustive()
    }
}

/// A running LiteLLM Proxy, without a database.
///
/// It ends with [`stop`](Self::stop), when it is dropped, and when this process dies.
pub struct LiteLlmProxy {
    server: Server,
    key: String,
    /// Removed when the proxy is dropped.
    _config: Option<NamedTempFile>,
}

impl LiteLlmProxy {
    /// Starts it on a free loopback port and waits until it lists its models for our key (about 13 s, 120 s
    /// at most).
    ///
    /// # Errors
    ///
    /// [`StackError::EndedEarly`] or [`StackError::NotReady`] with the last lines of its log,
    /// [`StackError::PortsTaken`], and [`StackError::Io`] when the configuration cannot be written or found.
    pub async fn start(
        environments: &Environments,
        options: ProxyOptions,
    ) -> Result<Self, StackError> {
        let layout = environments.layout().clone();
        let (path, config) = place(options.config, &layout)?;
        let mut arguments: Vec<OsString> = vec!["litellm".into(), "--config".into(), path.into()];
        arguments
            .extend(["--host", "127.0.0.1", "--telemetry", "False", "--port"].map(OsString::from));
        let recipe = Recipe {
            part: "LiteLLM Proxy",
            log_name: "litellm",
            end_signal: Signal::TERM,
            leader: Leader::Part,
            python: environments.litellm_python(),
            arguments,
            environment: environment(&options.master_key, options.env),
            probe: Probe::Http {
                path: "/v1/models",
                key: options.master_key.clone(),
                expects: "\"data\"",
            },
        };
        let server = Server::start(recipe, layout).await?;
        Ok(Self {
            server,
            key: options.master_key,
            _config: config,
        })
    }

    /// Its base address, `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.server.port())
    }

    /// The key that it accepts.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }
}

controls!(LiteLlmProxy);

/// The configuration's path, and the file to keep when it was ours to write.
fn place(
    config: ProxyConfig,
    layout: &Layout,
) -> Result<(PathBuf, Option<NamedTempFile>), StackError> {
    let yaml = match config {
        ProxyConfig::Yaml(yaml) => yaml,
        ProxyConfig::File(path) => {
            let found = path.canonicalize();
            let path = found.map_err(StackError::io(format!(
                "find the configuration {}",
                path.display()
            )))?;
            return Ok((path, None));
        }
    };
    let write = || {
        let mut file = tempfile::Builder::new()
            .suffix(".yaml")
            .tempfile_in(layout.run())?;
        file.write_all(yaml.as_bytes())?;
        Ok(file)
    };
    let file = write().map_err(StackError::io("write the proxy's configuration"))?;
    Ok((file.path().to_path_buf(), Some(file)))
}

fn environment(master_key: &str, more: Vec<(String, String)>) -> Vec<(String, String)> {
    let ours = [
        ("LITELLM_MASTER_KEY", master_key),
        // The price map out of the package, not from the network.
        ("LITELLM_LOCAL_MODEL_COST_MAP", "True"),
        // Otherwise it loads the nearest `.env` above its own code: that is OctoAgent's.
        ("LITELLM_MODE", "PRODUCTION"),
    ];
    let ours = ours.map(|(name, value)| (name.to_owned(), value.to_owned()));
    ours.into_iter().chain(more).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_shows_in_debug_output() {
        let options = ProxyOptions {
            config: ProxyConfig::Yaml("model_list: []".into()),
            master_key: "sk-master".into(),
            env: vec![("OPENAI_API_KEY".into(), "sk-provider".into())],
        };
        let shown = format!("{options:?}");
        assert!(shown.contains("OPENAI_API_KEY"));
        assert!(!shown.contains("sk-"), "{shown}");
    }

    #[test]
    fn the_price_map_is_never_fetched_and_no_dotenv_is_read() {
        let environment = environment("k", Vec::new());
        let value = |name: &str| {
            environment
                .iter()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.as_str())
        };
        assert_eq!(value("LITELLM_LOCAL_MODEL_COST_MAP"), Some("True"));
        assert_eq!(value("LITELLM_MODE"), Some("PRODUCTION"));
        assert_eq!(value("LITELLM_MASTER_KEY"), Some("k"));
    }
}
