//! `octo` and the stand-in upstream as processes of their own.

use std::ffi::OsString;
use std::fs::File;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use super::build::Built;

/// For a process to say that it listens, and to end.
const LIMIT: Duration = Duration::from_secs(45);

/// A process that serves HTTP. It ends with [`stop`](Self::stop), and when it is dropped.
pub(super) struct Served {
    name: &'static str,
    child: Child,
    url: String,
}

impl Served {
    /// The stand-in upstream. It also ends when this process is gone, because its stdin closes.
    pub(super) async fn upstream(built: &Built) -> Result<Self> {
        let mut command = Command::new(&built.xtask);
        command.args(["bench", "--serve-upstream"]);
        Self::start("the stand-in upstream", command).await
    }

    /// `octo serve` with its data, its log and its working folder in `folder`: no file of the caller's is read.
    pub(super) async fn octo(
        built: &Built,
        folder: &Path,
        upstream: &Upstream<'_>,
        log: &str,
    ) -> Result<Self> {
        let log_file = File::create(folder.join("log"))?;
        let settings: [(&str, OsString); 6] = [
            ("OCTO_LISTEN", "127.0.0.1:0".into()),
            ("OCTOAGENT_DATA_DIR", folder.join("data").into()),
            ("LITELLM_PROXY_URL", upstream.url.into()),
            ("LITELLM_PROXY_KEY", upstream.key.into()),
            ("RUST_LOG", log.into()),
            ("PATH", std::env::var_os("PATH").unwrap_or_default()),
        ];
        let mut command = Command::new(&built.octo);
        command
            .arg("serve")
            .current_dir(folder)
            .env_clear()
            .envs(settings)
            .stderr(log_file);
        Self::start("octo", command).await
    }

    async fn start(name: &'static str, mut command: Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        let stdout = child.stdout.take().context("its stdout is a pipe")?;
        let mut line = String::new();
        let mut lines = BufReader::new(stdout);
        tokio::time::timeout(LIMIT, lines.read_line(&mut line))
            .await
            .with_context(|| format!("{name} does not listen after {LIMIT:?}"))??;
        let Some(url) = line.trim().strip_prefix("listening on ") else {
            bail!("{name} did not start, it said `{}`", line.trim());
        };
        Ok(Self {
            name,
            url: url.to_owned(),
            child,
        })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn id(&self) -> Result<u32> {
        let id = self.child.id();
        id.with_context(|| format!("{} has ended", self.name))
    }

    /// SIGTERM, and waits for the end.
    pub(super) async fn stop(mut self) -> Result<()> {
        let id = i32::try_from(self.id()?).ok().and_then(Pid::from_raw);
        kill_process(id.context("a process has a number")?, Signal::TERM)?;
        let status = tokio::time::timeout(LIMIT, self.child.wait())
            .await
            .with_context(|| format!("{} does not end after SIGTERM", self.name))??;
        if self.name == "octo" && !status.success() {
            bail!("octo ended with {status}");
        }
        Ok(())
    }
}

/// What an `octo` calls.
#[derive(Clone, Copy)]
pub(super) struct Upstream<'a> {
    pub(super) url: &'a str,
    pub(super) key: &'a str,
}
