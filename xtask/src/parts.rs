//! The real parts that tests share: LiteLLM Proxy and a local language model behind it, clients that other
//! people wrote, a Postgres and a NATS server, started for the time that one command runs.

mod chain;
mod run;
mod servers;

use std::process::{Command, ExitCode};

use anyhow::Result;
use real_stack::{Environments, Servers, StackError};

use crate::steps::{announce, note, step};
use chain::Chain;
use run::{INTERRUPTED, interrupted, run_to_end};
use servers::Pair;

/// Which of the parts a command needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    /// All of them.
    Everything,
    /// The model, the proxy, and the clients.
    Chain,
    /// Postgres and NATS.
    Servers,
}

/// Runs a command that starts what it needs itself; it ends with us, as [`run_beside`]'s does.
pub(crate) fn run_alone(command: Command) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async { run_to_end(command, interrupted()?).await })
}

/// Runs `command` with the parts beside it, says where they are in its environment, and ends them
/// whatever happens. The exit code is the command's; its output is the last thing that is shown.
pub(crate) fn run_beside(mut command: Command, needs: Needs) -> Result<ExitCode> {
    let installed = Installed::ensure(needs)?;
    // Handlers are in place only from here on: before, Ctrl-C ends us and the set-up with us.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let interrupted = interrupted()?;
        tokio::pin!(interrupted);
        let parts = tokio::select! {
            parts = Parts::start(installed) => parts?,
            () = &mut interrupted => return Ok(ExitCode::from(INTERRUPTED)),
        };
        parts.tell(&mut command);
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

/// Tells tests which interpreters they may use.
pub(crate) fn tell_pythons(command: &mut Command, environments: &Environments) {
    command
        .env("OCTO_TEST_PYTHON", environments.model_python())
        .env("OCTO_TEST_LITELLM_PYTHON", environments.litellm_python());
}

/// What is started from.
struct Installed {
    chain: Option<chain::Installed>,
    servers: Option<Servers>,
}

impl Installed {
    fn ensure(needs: Needs) -> Result<Self> {
        // The servers first: a machine without Postgres hears of it before anything is installed.
        let servers = (needs != Needs::Chain).then(servers::installed);
        let chain = (needs != Needs::Servers).then(chain::Installed::ensure);
        Ok(Self {
            servers: servers.transpose()?,
            chain: chain.transpose()?,
        })
    }
}

/// The running parts.
struct Parts {
    chain: Option<Chain>,
    servers: Option<Pair>,
}

impl Parts {
    async fn start(installed: Installed) -> Result<Self> {
        announce("start the real parts");
        let servers = match installed.servers {
            Some(servers) => Some(Pair::start(servers).await?),
            None => None,
        };
        let chain = match installed.chain {
            Some(chain) => Some(Chain::start(chain).await?),
            None => None,
        };
        Ok(Self { chain, servers })
    }

    fn tell(&self, command: &mut Command) {
        if let Some(servers) = &self.servers {
            servers.tell(command);
        }
        if let Some(chain) = &self.chain {
            chain.tell(command);
        }
    }

    async fn stop(self) {
        if let Some(chain) = self.chain {
            chain.stop().await;
        }
        if let Some(servers) = self.servers {
            servers.stop().await;
        }
    }
}

/// Dropping a part kills what is left of it.
fn note_failure(outcome: Result<(), StackError>) {
    if let Err(error) = outcome {
        note(format!("{:#}", anyhow::Error::from(error)));
    }
}
