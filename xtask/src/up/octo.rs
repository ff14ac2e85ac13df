//! `octo` itself: built, started, and ended by SIGTERM.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use real_stack::{Environments, workspace_root};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// What `octo serve` prints on stdout once it takes requests.
const READY: &str = "listening on ";

/// Starting opens the database and closes what a crash left open.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// A little above octo's own limit for calls in flight (30 s).
const ENDS_WITHIN: Duration = Duration::from_secs(40);

/// A running `octo serve`.
pub(super) struct Octo {
    child: Child,
    url: String,
    /// Kept open, and out of `child`, whose `wait` would close it: octo ends when it is closed.
    _stdin: ChildStdin,
    /// Kept open: octo must not find its stdout closed.
    _stdout: BufReader<ChildStdout>,
}

/// Builds the binary and says where it is.
pub(super) fn build() -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = std::process::Command::new(cargo)
        .args(["build", "--release", "-p", "gateway", "--bin", "octo"])
        .arg("--message-format=json-render-diagnostics")
        .current_dir(workspace_root())
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run cargo")?;
    ensure!(output.status.success(), "octo did not build");
    executable(&output.stdout).context("cargo did not say where octo is")
}

/// The path in cargo's messages, wherever the target folder is.
fn executable(messages: &[u8]) -> Option<PathBuf> {
    let lines = messages.split(|byte| *byte == b'\n');
    let messages = lines.filter_map(|line| serde_json::from_slice::<serde_json::Value>(line).ok());
    let mut paths =
        messages.filter_map(|message| Some(message.get("executable")?.as_str()?.into()));
    paths.find(|path: &PathBuf| path.file_name().is_some_and(|name| name == "octo"))
}

impl Octo {
    /// Starts it and waits for its first line. With `environments` it also ends when we are killed.
    pub(super) async fn start(
        binary: &Path,
        environments: Option<&Environments>,
        listen: &str,
        settings: &[(&str, &str)],
        log: &Path,
    ) -> Result<Self> {
        let file =
            std::fs::File::create(log).with_context(|| format!("cannot make {}", log.display()))?;
        let command = environments.map_or_else(
            || std::process::Command::new(binary),
            |all| all.owned(binary),
        );
        let mut child = Command::from(command)
            .args(["serve", "--listen", listen])
            .current_dir(workspace_root())
            // Provider keys are the proxy's business alone.
            .env_remove("OPENAI_API_KEY")
            .env_remove("ANTHROPIC_API_KEY")
            .envs(settings.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(file)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", binary.display()))?;
        let stdin = child.stdin.take().context("octo has no stdin")?;
        let stdout = child.stdout.take().context("octo has no stdout")?;
        let mut stdout = BufReader::new(stdout);
        let ready = tokio::time::timeout(READY_WITHIN, ready_line(&mut stdout)).await;
        let url = match ready {
            Ok(Ok(Some(url))) => url,
            Ok(Ok(None)) => bail!("octo ended at once: {}", last_line(log)),
            Ok(Err(error)) => return Err(error).context("cannot read what octo prints"),
            Err(_) => bail!(
                "octo did not listen after {READY_WITHIN:?}; see {}",
                log.display()
            ),
        };
        Ok(Self {
            child,
            url,
            _stdin: stdin,
            _stdout: stdout,
        })
    }

    /// Where it listens, `http://127.0.0.1:8000`.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Returns when it ended without being told to.
    pub(super) async fn ended(&mut self) -> Result<()> {
        let status = self.child.wait().await.context("cannot look after octo")?;
        bail!("octo ended by itself ({status})")
    }

    /// SIGTERM, and SIGKILL if it is still there after its own limit.
    pub(super) async fn end(mut self) -> Result<()> {
        self.signal(Signal::TERM);
        if tokio::time::timeout(ENDS_WITHIN, self.child.wait())
            .await
            .is_ok()
        {
            return Ok(());
        }
        self.signal(Signal::KILL);
        self.child.wait().await.context("octo does not end")?;
        bail!("octo did not end after {ENDS_WITHIN:?} and was killed")
    }

    fn signal(&self, signal: Signal) {
        let group = self
            .child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw);
        if let Some(group) = group {
            // An error means that it has ended already, which is what was wanted.
            let _gone = kill_process_group(group, signal);
        }
    }
}

impl Drop for Octo {
    fn drop(&mut self) {
        // The child may be a guard around octo: the whole group goes.
        self.signal(Signal::KILL);
    }
}

async fn ready_line(stdout: &mut BufReader<ChildStdout>) -> std::io::Result<Option<String>> {
    let mut line = String::new();
    loop {
        line.clear();
        if stdout.read_line(&mut line).await? == 0 {
            return Ok(None);
        }
        if let Some(url) = line.trim().strip_prefix(READY) {
            return Ok(Some(url.to_owned()));
        }
    }
}

fn last_line(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let last = text.lines().rfind(|line| !line.trim().is_empty());
    last.map_or_else(|| format!("see {}", log.display()), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_binary_is_found_in_cargos_messages() {
        let messages = br#"{"reason":"compiler-artifact","executable":null}
{"reason":"compiler-artifact","executable":"/x/release/octo"}
{"reason":"build-finished","success":true}
"#;
        assert_eq!(executable(messages), Some(PathBuf::from("/x/release/octo")));
        assert_eq!(executable(b""), None);
    }
}
