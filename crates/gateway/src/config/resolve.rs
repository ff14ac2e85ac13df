//! From the layers to one checked [`Config`].

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use alias_registry::AliasRegistry;
use cost_tracker::DriftThreshold;
use event_payloads::Usd;
use rust_decimal::Decimal;
use secrecy::SecretString;

use super::file::{self, File};
use super::{
    Config, ConfigError, CostConfig, DAY, Environment, LlmMode, ProxyConfig, ServerConfig,
    StorageConfig, TaskConfig,
};

/// Used if `--config` does not name another, and only if it exists.
const DEFAULT_FILE: &str = "config/octo.toml";
/// The user's own prices, used if it exists.
const DEFAULT_PRICES: &str = "config/prices.toml";
/// Longest time that any setting may ask for: a day.
const MAX_SECONDS: f64 = 86_400.0;
/// Longest time that events may be kept before they go: a hundred years.
const MAX_DAYS: u64 = 36_500;
const DEFAULT_CALL_TIMEOUT_S: f64 = 30.0;

/// What the command line overrides.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// `--config`
    pub config: Option<PathBuf>,
    /// `--listen`
    pub listen: Option<String>,
}

impl Config {
    /// Reads every layer of settings.
    ///
    /// # Errors
    /// A file that can not be read, a value that is not allowed, two aliases of one name.
    pub fn load(environment: &Environment, overrides: &Overrides) -> Result<Self, ConfigError> {
        let file = match &overrides.config {
            Some(path) => read_file(path)?,
            None if Path::new(DEFAULT_FILE).exists() => read_file(Path::new(DEFAULT_FILE))?,
            None => File::default(),
        };
        Resolver {
            environment,
            warnings: Vec::new(),
        }
        .config(file, overrides)
    }
}

fn read_file(path: &Path) -> Result<File, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    File::parse(path, &text)
}

struct Resolver<'a> {
    environment: &'a Environment,
    warnings: Vec<String>,
}

impl Resolver<'_> {
    fn config(mut self, file: File, overrides: &Overrides) -> Result<Config, ConfigError> {
        let server = self.server(&file.server, overrides.listen.as_deref())?;
        let proxy = self.proxy(file.proxy)?;
        let aliases = match file.alias.as_slice() {
            [] => AliasRegistry::default(),
            _ => AliasRegistry::new(file.alias).map_err(|error| ConfigError::Value {
                name: "[[alias]]".to_owned(),
                value: error.to_string(),
                allowed: "aliases with different names".to_owned(),
            })?,
        };
        Ok(Config {
            server,
            proxy,
            mode: self.mode(file.llm.mode.as_deref())?,
            storage: self.storage(file.storage)?,
            tasks: TaskConfig {
                max_running: count("tasks.max_running", file.tasks.max_running, 512, 1)?,
                max_queued: count("tasks.max_queued", file.tasks.max_queued, 1024, 0)?,
            },
            cost: cost(file.cost)?,
            nats: super::events::nats(self.environment, &file.events)?,
            v1_allow_fallback: file.v1.allow_fallback.unwrap_or(false),
            aliases,
            warnings: self.warnings,
        })
    }

    fn server(&self, file: &file::Server, flag: Option<&str>) -> Result<ServerConfig, ConfigError> {
        let listen = flag
            .map(|value| ("--listen", value))
            .or_else(|| {
                self.environment
                    .get("OCTO_LISTEN")
                    .map(|value| ("OCTO_LISTEN", value))
            })
            .or_else(|| file.listen.as_deref().map(|value| ("server.listen", value)))
            .unwrap_or(("server.listen", "127.0.0.1:8000"));
        let listen: SocketAddr = parse(
            listen.0,
            listen.1,
            "an address and a port such as 127.0.0.1:8000",
        )?;
        let key = self
            .environment
            .get("OCTO_GATEWAY_KEY")
            .map(SecretString::from);
        if !listen.ip().is_loopback() && key.is_none() {
            return Err(ConfigError::OpenWithoutKey { listen });
        }
        let heartbeat = "OCTOAGENT_SSE_HEARTBEAT_INTERVAL";
        Ok(ServerConfig {
            listen,
            key,
            max_connections: count("server.max_connections", file.max_connections, 1024, 1)?,
            header_timeout: seconds("server.header_timeout_s", file.header_timeout_s, 10.0)?,
            max_body_bytes: count("server.max_body_bytes", file.max_body_bytes, 16 << 20, 1024)?,
            shutdown_grace: seconds("server.shutdown_grace_s", file.shutdown_grace_s, 30.0)?,
            sse_heartbeat: match self.environment.get(heartbeat) {
                Some(value) => seconds(heartbeat, Some(parse(heartbeat, value, SECONDS)?), 0.0)?,
                None => seconds("server.sse_heartbeat_s", file.sse_heartbeat_s, 15.0)?,
            },
        })
    }

    fn proxy(&mut self, file: file::Proxy) -> Result<ProxyConfig, ConfigError> {
        let url = self
            .environment
            .get("LITELLM_PROXY_URL")
            .map(str::to_owned)
            .or(file.url);
        let key = self
            .environment
            .get("LITELLM_PROXY_KEY")
            .unwrap_or_default();
        let call_timeout_s = self.call_timeout_s().or(file.timeout_s);
        Ok(ProxyConfig {
            url: url.unwrap_or_else(|| "http://localhost:4000".to_owned()),
            key: SecretString::from(key),
            connect_timeout: seconds("proxy.connect_timeout_s", file.connect_timeout_s, 5.0)?,
            call_timeout: seconds("proxy.timeout_s", call_timeout_s, DEFAULT_CALL_TIMEOUT_S)?,
            stream_idle_timeout: seconds(
                "proxy.stream_idle_timeout_s",
                file.stream_idle_timeout_s,
                60.0,
            )?,
            stream_timeout: seconds("proxy.stream_timeout_s", file.stream_timeout_s, 3600.0)?,
            max_response_bytes: count(
                "proxy.max_response_bytes",
                file.max_response_bytes,
                32 << 20,
                1024,
            )?,
        })
    }

    /// Existing installations rely on it: a bad value warns, and the default holds.
    fn call_timeout_s(&mut self) -> Option<f64> {
        let name = "OCTOAGENT_LLM_TIMEOUT_S";
        let value = self.environment.get(name)?;
        match value
            .parse::<f64>()
            .map(|s| seconds(name, Some(s), 0.0).map(|_| s))
        {
            Ok(Ok(seconds)) => Some(seconds),
            _ => {
                let value = event_payloads::first_chars(value, 40);
                self.warnings.push(format!(
                    "{name} is `{value}`, allowed is {SECONDS}; using {DEFAULT_CALL_TIMEOUT_S}"
                ));
                Some(DEFAULT_CALL_TIMEOUT_S)
            }
        }
    }

    fn mode(&self, file: Option<&str>) -> Result<LlmMode, ConfigError> {
        let (name, value) = match self.environment.get("OCTOAGENT_LLM_MODE") {
            Some(value) => ("OCTOAGENT_LLM_MODE", value),
            None => ("llm.mode", file.unwrap_or("litellm")),
        };
        match value {
            "litellm" => Ok(LlmMode::Litellm),
            "echo" => Ok(LlmMode::Echo),
            _ => Err(bad_value(name, value, "litellm or echo")),
        }
    }

    fn storage(&self, file: file::Storage) -> Result<StorageConfig, ConfigError> {
        let path =
            |name, file: Option<PathBuf>| self.environment.get(name).map(PathBuf::from).or(file);
        let data_dir = path("OCTOAGENT_DATA_DIR", file.data_dir).unwrap_or_else(|| "data".into());
        Ok(StorageConfig {
            db_path: path("OCTOAGENT_DB_PATH", file.db_path)
                .unwrap_or_else(|| data_dir.join("sqlite/octoagent.db")),
            artifacts_dir: path("OCTOAGENT_ARTIFACTS_DIR", file.artifacts_dir)
                .unwrap_or_else(|| data_dir.join("artifacts")),
            database_url: super::database::url(self.environment, file.database_url.as_deref())?,
            lease: lease(file.lease_s.unwrap_or(15.0))?,
            retention: retention(file.retention_days.unwrap_or(0))?,
            payload_max_bytes: self.bytes(
                "OCTOAGENT_EVENT_PAYLOAD_MAX_BYTES",
                "storage.payload_max_bytes",
                file.payload_max_bytes,
                8192,
                64,
            )?,
            artifact_inline_bytes: self.bytes(
                "OCTOAGENT_ARTIFACT_INLINE_THRESHOLD",
                "storage.artifact_inline_bytes",
                file.artifact_inline_bytes,
                4096,
                0,
            )?,
        })
    }

    fn bytes(
        &self,
        variable: &str,
        key: &str,
        file: Option<u64>,
        default: u64,
        least: u64,
    ) -> Result<usize, ConfigError> {
        match self.environment.get(variable) {
            Some(value) => {
                let number = parse(variable, value, "a whole number of bytes")?;
                count(variable, Some(number), default, least)
            }
            None => count(key, file, default, least),
        }
    }
}

const SECONDS: &str = "a number of seconds above 0 and up to 86400";

fn cost(file: file::Cost) -> Result<CostConfig, ConfigError> {
    let default = Path::new(DEFAULT_PRICES);
    let prices = file
        .prices
        .or_else(|| default.exists().then(|| default.to_owned()));
    let (relative, absolute) = (file.drift_relative, file.drift_absolute_usd);
    if relative.is_none() && absolute.is_none() {
        return Ok(CostConfig {
            drift: DriftThreshold::default(),
            prices,
        });
    }
    let relative = relative.as_deref().unwrap_or("0.01");
    let absolute = absolute.as_deref().unwrap_or("0.000000001");
    let allowed = "a number of at least 0, as text";
    let ratio: Decimal = parse("cost.drift_relative", relative, allowed)?;
    let usd: Usd = parse("cost.drift_absolute_usd", absolute, allowed)?;
    let drift = DriftThreshold::new(ratio, usd)
        .map_err(|_| bad_value("cost.drift_relative", relative, allowed))?;
    Ok(CostConfig { drift, prices })
}

fn bad_value(name: &str, value: &str, allowed: &str) -> ConfigError {
    ConfigError::Value {
        name: name.to_owned(),
        value: event_payloads::first_chars(value, 80).to_owned(),
        allowed: allowed.to_owned(),
    }
}

fn parse<T: FromStr>(name: &str, value: &str, allowed: &str) -> Result<T, ConfigError> {
    value
        .trim()
        .parse()
        .map_err(|_| bad_value(name, value, allowed))
}

fn seconds(name: &str, value: Option<f64>, default: f64) -> Result<Duration, ConfigError> {
    let value = value.unwrap_or(default);
    if !(value > 0.0 && value <= MAX_SECONDS) {
        return Err(bad_value(name, &value.to_string(), SECONDS));
    }
    Ok(Duration::from_secs_f64(value))
}

/// Shorter, and a moment's silence is taken for an end; longer, and what a dead gateway left stays open for as
/// long.
fn lease(value: f64) -> Result<Duration, ConfigError> {
    if (3.0..=3600.0).contains(&value) {
        return Ok(Duration::from_secs_f64(value));
    }
    let allowed = "a number of seconds from 3 to 3600";
    Err(bad_value("storage.lease_s", &value.to_string(), allowed))
}

/// No days are no limit.
fn retention(days: u64) -> Result<Option<Duration>, ConfigError> {
    if days > MAX_DAYS {
        let allowed = format!("a whole number of days up to {MAX_DAYS}, or 0 to keep everything");
        return Err(bad_value(
            "storage.retention_days",
            &days.to_string(),
            &allowed,
        ));
    }
    Ok((days > 0).then(|| Duration::from_secs(days * DAY.as_secs())))
}

fn count(name: &str, value: Option<u64>, default: u64, least: u64) -> Result<usize, ConfigError> {
    let value = value.unwrap_or(default);
    let most = u64::from(u32::MAX);
    if value < least || value > most {
        let allowed = format!("a whole number from {least} to {most}");
        return Err(bad_value(name, &value.to_string(), &allowed));
    }
    usize::try_from(value).map_err(|_| bad_value(name, &value.to_string(), "a smaller number"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    fn load(pairs: &[(&str, &str)], toml: &str) -> Result<Config, ConfigError> {
        let environment = Environment::of_pairs(
            pairs
                .iter()
                .map(|(name, value)| (*name, (*value).to_owned())),
        );
        let file = File::parse(Path::new("octo.toml"), toml)?;
        Resolver {
            environment: &environment,
            warnings: Vec::new(),
        }
        .config(file, &Overrides::default())
    }

    #[test]
    fn without_any_setting_the_defaults_hold() {
        let config = load(&[], "").unwrap();
        assert_eq!(config.server.listen.to_string(), "127.0.0.1:8000");
        assert_eq!(config.proxy.url, "http://localhost:4000");
        assert_eq!(config.proxy.call_timeout, Duration::from_secs(30));
        assert_eq!(
            config.storage.db_path,
            Path::new("data/sqlite/octoagent.db")
        );
        assert_eq!(config.storage.artifacts_dir, Path::new("data/artifacts"));
        assert_eq!(config.storage.payload_max_bytes, 8192);
        assert_eq!(config.mode, LlmMode::Litellm);
        assert_eq!(config.aliases.all().count(), 6);
        assert!(config.warnings.is_empty());
    }

    #[test]
    fn the_environment_wins_over_the_file() {
        let toml = "[proxy]\nurl = \"http://file\"\ntimeout_s = 5\n[llm]\nmode = \"echo\"\n";
        let config = load(&[("LITELLM_PROXY_URL", "http://env")], toml).unwrap();
        assert_eq!(config.proxy.url, "http://env");
        assert_eq!(config.proxy.call_timeout, Duration::from_secs(5));
        assert_eq!(config.mode, LlmMode::Echo);
    }

    #[test]
    fn a_bad_timeout_warns_and_keeps_the_default() {
        for value in ["soon", "0", "-1", "NaN", "1e9"] {
            let config = load(&[("OCTOAGENT_LLM_TIMEOUT_S", value)], "").unwrap();
            assert_eq!(
                config.proxy.call_timeout,
                Duration::from_secs(30),
                "{value}"
            );
            assert!(config.warnings[0].contains(value), "{:?}", config.warnings);
        }
    }

    #[test]
    fn every_other_bad_value_is_an_error_that_names_it() {
        for (name, value) in [
            ("OCTOAGENT_LLM_MODE", "openai"),
            ("OCTOAGENT_EVENT_PAYLOAD_MAX_BYTES", "many"),
            ("OCTOAGENT_ARTIFACT_INLINE_THRESHOLD", "-1"),
            ("OCTOAGENT_SSE_HEARTBEAT_INTERVAL", "0"),
            ("OCTO_LISTEN", "localhost"),
        ] {
            let message = load(&[(name, value)], "").unwrap_err().to_string();
            assert!(
                message.contains(name) && message.contains(value),
                "{message}"
            );
        }
        assert!(
            load(&[], "[server]\nlisten_on = \"x\"")
                .unwrap_err()
                .to_string()
                .contains("line 2")
        );
    }

    #[test]
    fn events_are_kept_for_ever_or_for_some_days() {
        let kept = |days: &str| {
            let config = load(&[], &format!("[storage]\nretention_days = {days}"));
            config.map(|config| config.storage.retention)
        };
        assert_eq!(load(&[], "").unwrap().storage.retention, None);
        assert_eq!(kept("0").unwrap(), None);
        assert_eq!(kept("1").unwrap(), Some(Duration::from_secs(86_400)));
        assert!(kept("36500").is_ok());
        for value in ["36501", "-1", "0.5", "\"90d\""] {
            assert!(kept(value).is_err(), "{value}");
        }
    }

    #[test]
    fn a_lease_is_neither_a_moment_nor_a_day() {
        let lease = |value: &str| load(&[], &format!("[storage]\nlease_s = {value}"));
        for value in [
            "0.0", "0.001", "2.999", "3600.1", "86400.0", "-5.0", "nan", "inf",
        ] {
            let told = lease(value).unwrap_err().to_string();
            assert!(
                told.contains("storage.lease_s") && told.contains("from 3 to 3600"),
                "{value}: {told}"
            );
        }
        for (value, seconds) in [("3.0", 3), ("15.0", 15), ("3600.0", 3600)] {
            assert_eq!(lease(value).unwrap().storage.lease.as_secs(), seconds);
        }
        assert_eq!(load(&[], "").unwrap().storage.lease.as_secs(), 15);
    }

    #[test]
    fn a_gateway_that_others_reach_needs_a_key() {
        let open = [("OCTO_LISTEN", "0.0.0.0:8000")];
        assert!(matches!(
            load(&open, ""),
            Err(ConfigError::OpenWithoutKey { .. })
        ));
        let config = load(&[open[0], ("OCTO_GATEWAY_KEY", "k")], "").unwrap();
        assert_eq!(config.server.key.unwrap().expose_secret(), "k");
    }

    #[test]
    fn two_aliases_of_one_name_are_an_error() {
        let alias = "[[alias]]\nname = \"a\"\ncategory = \"c\"\nruntime_group = \"g\"\n";
        assert!(
            load(&[], &alias.repeat(2))
                .unwrap_err()
                .to_string()
                .contains("`a`")
        );
        assert_eq!(load(&[], alias).unwrap().aliases.all().count(), 1);
    }

    #[test]
    fn a_key_in_the_wrong_place_is_refused_without_being_shown() {
        let message = load(&[], "[proxy]\nkey = \"sk-hidden\"")
            .unwrap_err()
            .to_string();
        assert!(
            message.contains("line 2") && message.contains("`key`"),
            "{message}"
        );
        assert!(!message.contains("sk-hidden"), "{message}");
    }

    #[test]
    fn no_key_shows_in_debug_output() {
        let config = load(
            &[
                ("LITELLM_PROXY_KEY", "sk-hidden"),
                ("OCTO_GATEWAY_KEY", "gk-hidden"),
            ],
            "",
        );
        assert!(!format!("{:?}", config.unwrap()).contains("hidden"));
    }
}
