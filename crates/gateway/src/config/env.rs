//! The environment: names that installations use, read in one place.

use std::collections::HashMap;
use std::path::Path;

use super::ConfigError;

/// Every variable that this program reads. Nothing else is looked at, in the environment or `.env`.
const NAMES: [&str; 14] = [
    "LITELLM_PROXY_URL",
    "LITELLM_PROXY_KEY",
    "OCTOAGENT_LLM_MODE",
    "OCTOAGENT_LLM_TIMEOUT_S",
    "OCTOAGENT_DATA_DIR",
    "OCTOAGENT_DB_PATH",
    "OCTOAGENT_ARTIFACTS_DIR",
    "OCTOAGENT_EVENT_PAYLOAD_MAX_BYTES",
    "OCTOAGENT_ARTIFACT_INLINE_THRESHOLD",
    "OCTOAGENT_SSE_HEARTBEAT_INTERVAL",
    "OCTO_GATEWAY_KEY",
    "OCTO_LISTEN",
    "OCTO_NATS_URL",
    "OCTO_DATABASE_URL",
];

/// The variables that this program reads, with the values they have; an empty value counts as unset.
#[derive(Clone, Default)]
pub struct Environment(HashMap<&'static str, String>);

impl Environment {
    /// From the process, and from a `.env` file if there is one; the process wins.
    ///
    /// # Errors
    /// The file is there and can not be read, or a value is not text.
    pub fn of_process(dotenv: &Path) -> Result<Self, ConfigError> {
        let mut environment = Self::default();
        match std::fs::read_to_string(dotenv) {
            Ok(text) => environment.extend(parse_dotenv(&text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(source) => {
                return Err(ConfigError::Unreadable {
                    path: dotenv.to_owned(),
                    source,
                });
            }
        }
        for name in NAMES {
            let Some(value) = std::env::var_os(name) else {
                continue;
            };
            let value = value.into_string().map_err(|_| ConfigError::Value {
                name: name.to_owned(),
                value: "not text".to_owned(),
                allowed: "UTF-8 text".to_owned(),
            })?;
            environment.extend([(name, value)]);
        }
        Ok(environment)
    }

    /// From pairs; names that this program does not read are passed over.
    #[must_use]
    pub fn of_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, String)>) -> Self {
        let mut environment = Self::default();
        environment.extend(pairs);
        environment
    }

    /// The value of a variable, if it is set and not empty.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    fn extend<'a>(&mut self, pairs: impl IntoIterator<Item = (&'a str, String)>) {
        for (name, value) in pairs {
            let known = NAMES.into_iter().find(|known| *known == name);
            if let (Some(known), false) = (known, value.trim().is_empty()) {
                self.0.insert(known, value.trim().to_owned());
            }
        }
    }
}

/// `NAME=value` lines: comments, `export`, single and double quotes; no expansion.
fn parse_dotenv(text: &str) -> Vec<(&str, String)> {
    text.lines().filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<(&str, String)> {
    let line = line.trim();
    if line.starts_with('#') {
        return None;
    }
    let (name, value) = line.split_once('=')?;
    let name = name.trim();
    let name = name.strip_prefix("export ").unwrap_or(name).trim();
    let value = value.trim();
    for quote in ['"', '\''] {
        let quoted = value
            .strip_prefix(quote)
            .and_then(|rest| rest.split_once(quote));
        if let Some((inner, _)) = quoted {
            return Some((name, inner.to_owned()));
        }
    }
    let bare = value.split(" #").next().unwrap_or_default();
    Some((name, bare.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dotenv_file_is_read_as_people_write_it() {
        let text = "# comment\nexport OCTO_LISTEN = 127.0.0.1:1\nLITELLM_PROXY_KEY=\"sk # 1\"\n\
                    OCTOAGENT_LLM_MODE='echo' # why\nLITELLM_PROXY_URL=http://a # proxy\nnonsense\n";
        let environment = Environment::of_pairs(parse_dotenv(text));
        assert_eq!(environment.get("OCTO_LISTEN"), Some("127.0.0.1:1"));
        assert_eq!(environment.get("LITELLM_PROXY_KEY"), Some("sk # 1"));
        assert_eq!(environment.get("OCTOAGENT_LLM_MODE"), Some("echo"));
        assert_eq!(environment.get("LITELLM_PROXY_URL"), Some("http://a"));
    }

    #[test]
    fn providers_keys_are_not_looked_at_and_empty_counts_as_unset() {
        let pairs = [
            ("OPENAI_API_KEY", "sk-1".to_owned()),
            ("LITELLM_PROXY_URL", "  ".to_owned()),
        ];
        let environment = Environment::of_pairs(pairs);
        assert!(environment.0.is_empty());
    }
}
