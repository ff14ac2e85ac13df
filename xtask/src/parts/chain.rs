//! What a model call goes through: a local language model, LiteLLM Proxy before it, and clients that other
//! people wrote.

use std::fmt::Write;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use real_stack::{
    Clients, Environments, LiteLlmProxy, LocalModel, ProxyConfig, ProxyOptions, workspace_root,
};

use super::tell_pythons;
use crate::steps::{note, step};

/// What is started from.
pub(super) struct Installed {
    environments: Environments,
    clients: Clients,
}

impl Installed {
    pub(super) fn ensure() -> Result<Self> {
        Ok(Self {
            environments: super::environments()?,
            clients: step("clients for Python and Node.js", || {
                Ok(Clients::ensure(|line: &str| note(line))?)
            })?,
        })
    }
}

/// The running parts.
pub(super) struct Chain {
    installed: Installed,
    model: LocalModel,
    proxy: LiteLlmProxy,
}

impl Chain {
    pub(super) async fn start(installed: Installed) -> Result<Self> {
        let environments = &installed.environments;
        let model = LocalModel::start(environments)
            .await
            .context("no local model")?;
        let options = ProxyOptions {
            config: ProxyConfig::File(workspace_root().join("config/litellm-local.yaml")),
            master_key: random_key()?,
            env: vec![("OCTO_LOCAL_MODEL_URL".to_owned(), model.url())],
        };
        let proxy = LiteLlmProxy::start(environments, options)
            .await
            .context("no proxy")?;
        note(format!("model {}, proxy {}", model.url(), proxy.url()));
        Ok(Self {
            installed,
            model,
            proxy,
        })
    }

    pub(super) fn tell(&self, command: &mut Command) {
        let Installed {
            environments,
            clients,
        } = &self.installed;
        tell_pythons(command, environments);
        command
            .env("OCTO_TEST_CLIENTS_PYTHON", clients.python())
            .env("OCTO_TEST_NODE", clients.node())
            .env("OCTO_TEST_NODE_MODULES", clients.node_modules())
            .env("OCTO_TEST_PROXY_URL", self.proxy.url())
            .env("OCTO_TEST_PROXY_KEY", self.proxy.key())
            .env("OCTO_TEST_MODEL_URL", self.model.url());
    }

    /// Says nothing unless it goes wrong: the command's output stays the last.
    pub(super) async fn stop(mut self) {
        for outcome in [self.proxy.stop().await, self.model.stop().await] {
            super::note_failure(outcome);
        }
    }
}

/// A key for this run alone.
fn random_key() -> Result<String> {
    let source = Path::new("/dev/urandom");
    let mut bytes = [0; 16];
    let read = File::open(source).and_then(|mut file| file.read_exact(&mut bytes));
    read.with_context(|| format!("cannot read {}", source.display()))?;
    let mut key = String::from("sk-");
    for byte in bytes {
        write!(key, "{byte:02x}")?;
    }
    Ok(key)
}
