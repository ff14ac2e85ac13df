//! `octo doctor`: what is wrong, and what to do about it.

mod costs;
mod nats;
mod postgres;

use std::path::Path;
use std::time::Duration;

use event_store::StoreError;
use provider_litellm::{LiteLlmClient, ModelInfo, ProbeError};
use serde::Serialize;

use super::{Exit, output};
use crate::app::proxy_client;
use crate::config::{Config, ConfigError};
use crate::storage;

/// For each question to the proxy.
const LIMIT: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    Ok,
    Warning,
    Problem,
    Skipped,
}

/// What one check found.
#[derive(Debug, Serialize)]
struct Finding {
    check: &'static str,
    level: Level,
    message: String,
    /// What to do; empty if there is nothing to do.
    hint: String,
}

fn finding(check: &'static str, level: Level, message: impl Into<String>, hint: &str) -> Finding {
    Finding {
        check,
        level,
        message: message.into(),
        hint: hint.to_owned(),
    }
}

pub(super) async fn doctor(config: Result<Config, ConfigError>, json: bool) -> Exit {
    let findings = match config {
        Ok(config) => examine(&config).await,
        Err(error) => vec![finding(
            "settings",
            Level::Problem,
            error.to_string(),
            "correct the setting, then run octo doctor again",
        )],
    };
    if json {
        output::json(&findings);
    } else {
        for finding in &findings {
            print(finding);
        }
    }
    let sick = findings
        .iter()
        .any(|finding| finding.level == Level::Problem);
    if sick { Exit::Failed } else { Exit::Good }
}

fn print(finding: &Finding) {
    let mark = match finding.level {
        Level::Ok => output::paint("ok     ", "32"),
        Level::Warning => output::paint("warning", "33"),
        Level::Problem => output::paint("problem", "31;1"),
        Level::Skipped => output::paint("skipped", "2"),
    };
    output::line(format!("{mark}  {:<9} {}", finding.check, finding.message));
    if !finding.hint.is_empty() {
        output::line(format!("                   → {}", finding.hint));
    }
}

async fn examine(config: &Config) -> Vec<Finding> {
    let mut findings = vec![finding(
        "settings",
        Level::Ok,
        "every setting can be used",
        "",
    )];
    findings.extend(
        config
            .warnings
            .iter()
            .map(|warning| finding("settings", Level::Warning, warning, "correct the value")),
    );
    findings.push(store(config).await);
    findings.extend(costs::findings(config).await);
    findings.extend(nats::finding(config).await);
    match proxy_client(config) {
        Ok(None) => findings.push(finding(
            "proxy",
            Level::Skipped,
            "echo mode: no model is ever asked",
            "set OCTOAGENT_LLM_MODE=litellm to use the proxy",
        )),
        Ok(Some(client)) => findings.extend(proxy(config, &client).await),
        Err(error) => findings.push(finding(
            "proxy",
            Level::Problem,
            error.to_string(),
            "correct the setting",
        )),
    }
    findings
}

async fn store(config: &Config) -> Finding {
    if config.storage.database_url.is_some() {
        return postgres::finding_of(config).await;
    }
    let path = config.storage.db_path.display();
    for needed in [&config.storage.db_path, &config.storage.artifacts_dir] {
        if let Err(error) = may_write(needed) {
            let message = format!("{} can not be written: {error}", needed.display());
            return finding(
                "store",
                Level::Problem,
                message,
                "let this user write there, or set OCTOAGENT_DATA_DIR to another folder",
            );
        }
    }
    if !config.storage.db_path.exists() {
        return finding(
            "store",
            Level::Ok,
            format!("{path} does not exist yet, octo serve makes it"),
            "",
        );
    }
    match storage::open_read_only(&config.storage).await {
        Ok(_) => finding("store", Level::Ok, format!("{path} can be read"), ""),
        Err(StoreError::TooOld { .. }) => finding(
            "store",
            Level::Ok,
            format!("{path} is of an older version, octo serve brings it up to date"),
            "",
        ),
        Err(error) => finding(
            "store",
            Level::Problem,
            format!("{path}: {error}"),
            "see that the file is a database of octo and that you may read it",
        ),
    }
}

/// Whether a file or folder can be written, or made where it does not exist yet.
fn may_write(path: &Path) -> std::io::Result<()> {
    let absolute = std::path::absolute(path)?;
    let existing = absolute
        .ancestors()
        .find(|ancestor| ancestor.exists())
        .unwrap_or(&absolute);
    Ok(rustix::fs::access(existing, rustix::fs::Access::WRITE_OK)?)
}

async fn proxy(config: &Config, client: &LiteLlmClient) -> Vec<Finding> {
    let url = &config.proxy.url;
    let groups = match client.groups(LIMIT).await {
        Ok(groups) => groups,
        Err(error) => return vec![unusable(url, &error)],
    };
    let mut findings = vec![finding(
        "proxy",
        Level::Ok,
        format!("{url} answers and takes our key"),
        "",
    )];
    findings.extend(
        config
            .aliases
            .groups()
            .into_iter()
            .map(|group| served(group.as_str(), &groups, config)),
    );
    match client.models(LIMIT).await {
        Ok(models) => findings.extend(prices(config, client, &models)),
        Err(error) => findings.push(finding(
            "prices",
            Level::Warning,
            format!("the proxy does not say which models it has: {error}"),
            "allow /model/info for our key, so that prices can be checked beforehand",
        )),
    }
    findings
}

fn unusable(url: &str, error: &ProbeError) -> Finding {
    let hint = match error {
        ProbeError::Unreachable(_) => {
            "start the proxy (cargo xtask up, or docker compose -f docker-compose.litellm.yml up), or correct LITELLM_PROXY_URL"
        }
        ProbeError::KeyRejected(_) => {
            "set LITELLM_PROXY_KEY to a key of the proxy: its master key, or one made with /key/generate"
        }
        _ => "see the proxy's own log",
    };
    finding("proxy", Level::Problem, format!("{url}: {error}"), hint)
}

fn served(group: &str, groups: &[String], config: &Config) -> Finding {
    let aliases: Vec<&str> = config
        .aliases
        .by_group(group)
        .map(|alias| alias.name.as_str())
        .collect();
    let aliases = aliases.join(", ");
    if groups.iter().any(|served| served == group) {
        return finding(
            "aliases",
            Level::Ok,
            format!("{aliases} → {group}: served"),
            "",
        );
    }
    finding(
        "aliases",
        Level::Problem,
        format!(
            "{aliases} → {group}: the proxy has no such group, it has {}",
            groups.join(", ")
        ),
        "add a model with this model_name to the proxy's configuration, or change the alias in config/octo.toml",
    )
}

/// Every model behind a group that an alias stands for has a price, at the proxy or here.
fn prices(config: &Config, client: &LiteLlmClient, models: &[ModelInfo]) -> Vec<Finding> {
    let used = |info: &&ModelInfo| config.aliases.by_group(&info.group).next().is_some();
    models
        .iter()
        .filter(used)
        .map(|info| {
            let name = format!(
                "{} → {}{}",
                info.group,
                info.provider
                    .as_deref()
                    .map(|p| format!("{p}/"))
                    .unwrap_or_default(),
                info.model
            );
            let known = client
                .tracker()
                .book()
                .lookup(info.provider.as_deref(), &info.model);
            match (known, info.has_price) {
                (Some(price), _) => finding(
                    "prices",
                    Level::Ok,
                    format!("{name}: priced here as {}", price.key()),
                    "",
                ),
                (None, true) => finding(
                    "prices",
                    Level::Ok,
                    format!("{name}: priced by the proxy"),
                    "",
                ),
                (None, false) => finding(
                    "prices",
                    Level::Problem,
                    format!("{name}: nobody knows its price, so its calls will have no cost"),
                    "add its price to config/prices.toml",
                ),
            }
        })
        .collect()
}
