//! Everything that runs while it is measured.

use std::path::{Path, PathBuf};

use anyhow::Result;
use real_stack::LiteLlmProxy;

use super::build::Built;
use super::gateway_load::Target;
use super::process::{Served, Upstream};
use super::report::Memory;
use super::run::KEY;
use super::{commits, system};

/// How an `octo` logs while it is measured.
const QUIET: &str = "warn";

/// Folder of the `octo` that logs its groups.
const OBSERVED: &str = "octo-groups";

/// Everything that runs.
pub(super) struct Cast {
    data: PathBuf,
    stand_in: Served,
    octo: Served,
    octo_that_logs: Served,
    octo_with_groups: Served,
    proxy: Option<(LiteLlmProxy, Served)>,
}

impl Cast {
    pub(super) async fn start(
        built: &Built,
        data: &Path,
        proxy: Option<LiteLlmProxy>,
    ) -> Result<Self> {
        let stand_in = Served::upstream(built).await?;
        let octo = async |name: &str, url: &str, log| {
            let folder = data.join(name);
            std::fs::create_dir_all(&folder)?;
            Served::octo(built, &folder, &Upstream { url, key: KEY }, log).await
        };
        let url = stand_in.url();
        let quiet = octo("octo", url, QUIET).await?;
        let octo_that_logs = octo("octo-info", url, "info").await?;
        let octo_with_groups = octo(OBSERVED, url, commits::LOG).await?;
        let proxy = match proxy {
            Some(proxy) => {
                let before_it = octo("octo-proxy", &proxy.url(), QUIET).await?;
                Some((proxy, before_it))
            }
            None => None,
        };
        Ok(Self {
            stand_in,
            octo: quiet,
            octo_that_logs,
            octo_with_groups,
            proxy,
            data: data.to_owned(),
        })
    }

    pub(super) fn upstream(&self) -> Upstream<'_> {
        served(&self.stand_in)
    }

    /// What is measured in turns.
    pub(super) fn targets(&self) -> Result<Vec<Target>> {
        let octo = |name, octo: &Served| -> Result<Target> {
            Ok(Target::new(name, served(octo), octo.id()?)?.with_books())
        };
        let mut targets = vec![
            Target::new("upstream, directly", self.upstream(), self.stand_in.id()?)?,
            octo("octo → upstream", &self.octo)?,
            octo("octo → upstream, info log", &self.octo_that_logs)?,
        ];
        if let Some((proxy, before_it)) = &self.proxy {
            let url = proxy.url();
            let itself = Upstream {
                url: &url,
                key: KEY,
            };
            targets.push(Target::new(
                "LiteLLM Proxy, mock answer",
                itself,
                proxy.process_id(),
            )?);
            targets.push(octo("octo → LiteLLM Proxy", before_it)?);
        }
        Ok(targets)
    }

    pub(super) fn observed(&self) -> Result<Target> {
        let octo = &self.octo_with_groups;
        Ok(Target::new("octo, trace log", served(octo), octo.id()?)?.with_books())
    }

    pub(super) fn log_of_groups(&self) -> PathBuf {
        self.data.join(OBSERVED).join("log")
    }

    pub(super) fn memory(&self) -> Result<Vec<Memory>> {
        let mut memory = vec![
            system::memory("stand-in upstream", self.stand_in.id()?)?,
            system::memory("octo → upstream", self.octo.id()?)?,
        ];
        if let Some((proxy, before_it)) = &self.proxy {
            memory.push(system::memory("octo → LiteLLM Proxy", before_it.id()?)?);
            memory.push(system::memory("LiteLLM Proxy", proxy.process_id())?);
        }
        Ok(memory)
    }

    pub(super) fn proxy(&self) -> Option<&LiteLlmProxy> {
        self.proxy.as_ref().map(|(proxy, _)| proxy)
    }

    pub(super) async fn stop(self) -> Result<()> {
        for octo in [self.octo, self.octo_that_logs, self.octo_with_groups] {
            octo.stop().await?;
        }
        if let Some((mut proxy, before_it)) = self.proxy {
            before_it.stop().await?;
            proxy.stop().await?;
        }
        self.stand_in.stop().await
    }
}

fn served(process: &Served) -> Upstream<'_> {
    Upstream {
        url: process.url(),
        key: KEY,
    }
}
