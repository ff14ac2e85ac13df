//! What runs while streams are measured.

use std::path::Path;

use anyhow::Result;
use real_stack::LiteLlmProxy;

use super::way::Way;
use crate::bench::build::Built;
use crate::bench::process::{Served, Upstream};
use crate::bench::proxy;
use crate::bench::run::KEY;

/// As many calls as there are streams. Nothing else differs from the defaults.
const SETTINGS: &str = "\
[server]
max_connections = 2048

[tasks]
max_running = 1024
";

/// To the stand-in upstream, at once.
const PROXY_CONNECTIONS: usize = 1024;

/// The processes: the stand-in upstream, and each way to it.
pub(super) struct Cast {
    stand_in: Served,
    octo: Served,
    proxy: Option<LiteLlmProxy>,
}

impl Cast {
    /// `octo` keeps its data and its log in `folder`.
    pub(super) async fn start(built: &Built, folder: &Path, with_proxy: bool) -> Result<Self> {
        let stand_in = Served::upstream(built).await?;
        let folder = folder.join("octo-streams");
        std::fs::create_dir_all(folder.join("config"))?;
        std::fs::write(folder.join("config").join("octo.toml"), SETTINGS)?;
        let octo = Served::octo(built, &folder, &served(stand_in.url()), "warn").await?;
        let proxy = if with_proxy {
            Some(proxy::start_before(stand_in.url(), PROXY_CONNECTIONS).await?)
        } else {
            None
        };
        Ok(Self {
            stand_in,
            octo,
            proxy,
        })
    }

    pub(super) fn direct(&self) -> Result<Way> {
        let stand_in = &self.stand_in;
        Way::new("upstream, directly", served(stand_in.url()), stand_in.id()?)
    }

    pub(super) fn octo(&self) -> Result<Way> {
        let octo = &self.octo;
        Way::new("octo → upstream", served(octo.url()), octo.id()?)
    }

    pub(super) fn proxy(&self) -> Result<Option<Way>> {
        let Some(proxy) = &self.proxy else {
            return Ok(None);
        };
        let (name, url) = ("LiteLLM Proxy → upstream", proxy.url());
        Way::new(name, served(&url), proxy.process_id()).map(Some)
    }

    pub(super) fn litellm(&self) -> Option<&LiteLlmProxy> {
        self.proxy.as_ref()
    }

    pub(super) async fn stop(self) -> Result<()> {
        self.octo.stop().await?;
        if let Some(mut proxy) = self.proxy {
            proxy.stop().await?;
        }
        self.stand_in.stop().await
    }
}

fn served(url: &str) -> Upstream<'_> {
    Upstream { url, key: KEY }
}
