//! The real parts that tests share: LiteLLM Proxy and a local language model behind it, started for the
//! time that one command runs, and clients that other people wrote.

use std::fmt::Write;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::{Command, ExitCode, ExitStatus};
use std::time::Duration;

use anyhow::{Context, Result};
use real_stack::{
    Clients, Environments, LiteLlmProxy, LocalModel, ProxyConfig, ProxyOptions, workspace_root,
};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::Child;
use tokio::signal::unix::{SignalKind, signal};

use crate::commands;
use crate::steps::{announce, note, step};

/// How long a command that was interrupted may take to end by itself.
const GRACE: Duration = Duration::from_secs(5);
/// What a shell reports for a command that was ended by Ctrl-C.
const INTERRUPTED: u8 = 130;

/// Runs `command` with the parts beside it, says where they are in its environment, and ends them
/// whatever happens. The exit code is the command's; its output is the last thing that is shown.
pub(crate) fn run_beside(command: Command) -> Result<ExitCode> {
    let environments = environments()?;
    let clients = clients()?;
    // Handlers are in place only from here on: before, Ctrl-C ends us and the set-up with us.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let interrupted = interrupted()?;
        tokio::pin!(interrupted);
        let parts = tokio::select! {
            parts = Parts::start(environments) => parts?,
            () = &mut interrupted => return Ok(ExitCode::from(INTERRUPTED)),
        };
        let command = tell_clients(parts.told_to(command), &clients);
        let outcome = run_to_end(command, interrupted).await;
        parts.stop().await;
        outcome
    })
}

/// The Python environments, set up if they are not yet.
pub(crate) fn environments() -> Result<Environments> {
    step("Python environments", || {
        Ok(Environments::ensure(|line: &str| note(line))?)
    })
}

/// The clients of other people, installed if they are not yet.
fn clients() -> Result<Clients> {
    step("clients for Python and Node.js", || {
        Ok(Clients::ensure(|line: &str| note(line))?)
    })
}

fn tell_clients(mut command: Command, clients: &Clients) -> Command {
    command
        .env("OCTO_TEST_CLIENTS_PYTHON", clients.python())
        .env("OCTO_TEST_NODE", clients.node())
        .env("OCTO_TEST_NODE_MODULES", clients.node_modules());
    command
}

/// Tells tests which interpreters they may use.
pub(crate) fn tell_pythons(command: &mut Command, environments: &Environments) {
    command
        .env("OCTO_TEST_PYTHON", environments.model_python())
        .env("OCTO_TEST_LITELLM_PYTHON", environments.litellm_python());
}

struct Parts {
    environments: Environments,
    model: LocalModel,
    proxy: LiteLlmProxy,
}

impl Parts {
    async fn start(environments: Environments) -> Result<Self> {
        announce("start the local model and the proxy");
        let model = LocalModel::start(&environments)
            .await
            .context("no local model")?;
        let options = ProxyOptions {
            config: ProxyConfig::File(workspace_root().join("config/litellm-local.yaml")),
            master_key: random_key()?,
            env: vec![("OCTO_LOCAL_MODEL_URL".to_owned(), model.url())],
        };
        let proxy = LiteLlmProxy::start(&environments, options)
            .await
            .context("no proxy")?;
        note(format!("model {}, proxy {}", model.url(), proxy.url()));
        Ok(Self {
            environments,
            model,
            proxy,
        })
    }

    fn told_to(&self, mut command: Command) -> Command {
        tell_pythons(&mut command, &self.environments);
        command
            .env("OCTO_TEST_PROXY_URL", self.proxy.url())
            .env("OCTO_TEST_PROXY_KEY", self.proxy.key())
            .env("OCTO_TEST_MODEL_URL", self.model.url());
        command
    }

    /// Says nothing unless it goes wrong: the command's output stays the last.
    async fn stop(mut self) {
        for outcome in [self.proxy.stop().await, self.model.stop().await] {
            if let Err(error) = outcome {
                // Dropping them kills what is left.
                note(format!("{:#}", anyhow::Error::from(error)));
            }
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

/// Resolves on Ctrl-C or SIGTERM.
fn interrupted() -> Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

async fn run_to_end(command: Command, interrupted: impl Future<Output = ()>) -> Result<ExitCode> {
    let line = commands::line(&command);
    announce(&line);
    let mut command = tokio::process::Command::from(command);
    // A group of its own: cargo starts compilers and tests, and all of them have to end with us.
    let mut child = command
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("cannot start `{line}`"))?;
    tokio::select! {
        status = child.wait() => Ok(exit_code(status?)),
        () = interrupted => {
            end_group(&mut child).await?;
            Ok(ExitCode::from(INTERRUPTED))
        }
    }
}

async fn end_group(child: &mut Child) -> Result<()> {
    let Some(group) = child
        .id()
        .and_then(|id| i32::try_from(id).ok())
        .and_then(Pid::from_raw)
    else {
        return Ok(());
    };
    // An error means that nobody is left in the group, which is what is wanted.
    let _asked = kill_process_group(group, Signal::INT);
    let ended = tokio::time::timeout(GRACE, child.wait()).await;
    let _killed = kill_process_group(group, Signal::KILL);
    if ended.is_err() {
        child.wait().await?;
    }
    Ok(())
}

fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    code.map_or(ExitCode::FAILURE, ExitCode::from)
}
