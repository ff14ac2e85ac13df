//! The proxy behind octo: the pinned one from the package index, or the one in a container.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use real_stack::{
    Environments, Exchange, LiteLlmProxy, LocalModel, ProxyConfig, ProxyOptions, workspace_root,
};
use tokio::process::Command;

use super::keys;
use crate::steps::Step;

/// A running proxy, and what it needs.
pub(super) enum Proxy {
    Package {
        proxy: Box<LiteLlmProxy>,
        model: Option<Box<LocalModel>>,
    },
    Container {
        url: String,
        key: String,
    },
}

impl Proxy {
    /// From the package index: with a provider key on the real providers, without one on the local model.
    pub(super) async fn from_package(
        environments: &Environments,
        providers: Vec<(String, String)>,
    ) -> Result<Self> {
        let (file, env, model) = if keys::has_provider_key(&providers) {
            ("litellm-config.yaml", providers, None)
        } else {
            let step = Step::begin("start the local model (no provider key in .env.litellm)");
            let model = LocalModel::start(environments).await.map_err(Into::into);
            step.end(&model);
            let model = model?;
            let address = ("OCTO_LOCAL_MODEL_URL".to_owned(), model.url());
            ("litellm-local.yaml", vec![address], Some(Box::new(model)))
        };
        let options = ProxyOptions {
            config: ProxyConfig::File(workspace_root().join("config").join(file)),
            master_key: format!("sk-{}", keys::random()?),
            env,
        };
        let step = Step::begin("start LiteLLM Proxy (about 15 s)");
        let proxy = LiteLlmProxy::start(environments, options)
            .await
            .map_err(Into::into);
        step.end(&proxy);
        Ok(Self::Package {
            proxy: Box::new(proxy?),
            model,
        })
    }

    /// In a container, on the provider keys of `.env.litellm`.
    pub(super) async fn from_container(providers: &[(String, String)]) -> Result<Self> {
        ensure!(
            keys::has_provider_key(providers),
            "the container needs a provider key: cp .env.litellm.example .env.litellm and fill one in \
             (without --docker a local model answers, and no key is needed)"
        );
        let key = format!("sk-{}", keys::random()?);
        let step = Step::begin("start LiteLLM Proxy in a container");
        let started = compose(&["up", "-d", "--wait"], &key).await;
        step.end(&started);
        let container = Self::Container {
            url: format!("http://127.0.0.1:{}", port()),
            key,
        };
        let checked = match started {
            Ok(()) => container.takes_the_key().await,
            Err(error) => Err(error),
        };
        if let Err(error) = checked {
            // A container that started and is not healthy would be started again for ever.
            container
                .end()
                .await
                .with_context(|| format!("{error:#}"))?;
            return Err(error);
        }
        Ok(container)
    }

    /// Where it listens.
    pub(super) fn url(&self) -> String {
        match self {
            Self::Package { proxy, .. } => proxy.url(),
            Self::Container { url, .. } => url.clone(),
        }
    }

    /// The key of this run. Never shown.
    pub(super) fn key(&self) -> &str {
        match self {
            Self::Package { proxy, .. } => proxy.key(),
            Self::Container { key, .. } => key,
        }
    }

    /// Ends it and what it needed.
    pub(super) async fn end(self) -> Result<()> {
        match self {
            Self::Package { mut proxy, model } => {
                // Both are ended, whatever comes of the first.
                let proxy = proxy.stop().await;
                if let Some(mut model) = model {
                    model.stop().await?;
                }
                Ok(proxy?)
            }
            Self::Container { key, .. } => compose(&["down"], &key).await,
        }
    }

    async fn takes_the_key(&self) -> Result<()> {
        let models = Exchange::get(format!("{}/v1/models", self.url())).bearer(self.key());
        let answer = models.within(Duration::from_secs(10)).send().await?;
        ensure!(
            answer.status.is_success(),
            "the container at {} does not take the key of this run ({})",
            self.url(),
            answer.status
        );
        Ok(())
    }
}

/// The port on the loopback address that the compose file publishes.
fn port() -> String {
    let set = std::env::var("LITELLM_PORT").ok();
    set.filter(|port| !port.is_empty())
        .unwrap_or_else(|| "4000".to_owned())
}

async fn compose(arguments: &[&str], key: &str) -> Result<()> {
    let status = Command::new("docker")
        .args(["compose", "-f", "docker-compose.litellm.yml"])
        .args(arguments)
        .current_dir(workspace_root())
        .env("LITELLM_MASTER_KEY", key)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .await
        .context("cannot run docker; install it, or leave out --docker")?;
    ensure!(
        status.success(),
        "docker compose {} failed ({status})",
        arguments.join(" ")
    );
    Ok(())
}
