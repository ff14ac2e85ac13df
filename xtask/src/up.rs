//! `cargo xtask up`: the whole chain on this machine, one real message through it, then it keeps running.

mod keys;
mod message;
mod octo;
mod proxy;

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};

use anyhow::{Context as _, Result};
use real_stack::{Environments, workspace_root};
use tokio::signal::unix::{SignalKind, signal};

use crate::steps::{Step, note, step};
use message::Gateway;
use octo::Octo;
use proxy::Proxy;

/// Build octo, start it with the real proxy and a real model, send one message, and keep running until Ctrl-C.
///
/// With a provider key in `.env.litellm` the models of `config/litellm-config.yaml` answer, without one a
/// small local model does.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Run LiteLLM Proxy in a container (needs a provider key) instead of a Python environment under `target/`
    #[arg(long)]
    docker: bool,

    /// Address and port that octo listens on; port 0 picks a free one
    #[arg(long, default_value = "127.0.0.1:8000")]
    listen: SocketAddr,
}

#[derive(Default)]
struct Running {
    octo: Option<Octo>,
    proxy: Option<Proxy>,
}

/// Runs until it is told to stop; leaves no process behind, however it ends.
pub(crate) fn run(args: Args) -> Result<()> {
    port_is_free(args.listen)?;
    let root = workspace_root();
    let providers = keys::of_providers(&root.join(".env.litellm"))?;
    let binary = step("build octo (minutes the first time)", octo::build)?;
    let environments = if args.docker { None } else { Some(set_up()?) };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime
        .context("cannot start the runtime")?
        .block_on(async {
            let stop = stop_signal()?;
            let mut running = Running::default();
            let plan = Plan {
                args,
                binary,
                environments,
                providers,
            };
            let outcome = tokio::select! {
                outcome = plan.carry_out(&mut running) => outcome,
                () = stop => Ok(()),
            };
            let ended = running.end().await;
            outcome.and(ended)
        })
}

struct Plan {
    args: Args,
    binary: std::path::PathBuf,
    environments: Option<Environments>,
    providers: Vec<(String, String)>,
}

impl Plan {
    /// Starts all, shows one answer, and returns only when something fails.
    async fn carry_out(self, running: &mut Running) -> Result<()> {
        let proxy = match &self.environments {
            Some(environments) => Proxy::from_package(environments, self.providers).await?,
            None => Proxy::from_container(&self.providers).await?,
        };
        let proxy = running.proxy.insert(proxy);

        let log = workspace_root().join("target").join("octo.log");
        let url = proxy.url();
        let settings = [
            ("LITELLM_PROXY_URL", url.as_str()),
            ("LITELLM_PROXY_KEY", proxy.key()),
            // A real call is what this is for, whatever .env says.
            ("OCTOAGENT_LLM_MODE", "litellm"),
        ];
        let step = Step::begin("start octo");
        let listen = self.args.listen.to_string();
        let octo = Octo::start(
            &self.binary,
            self.environments.as_ref(),
            &listen,
            &settings,
            &log,
        )
        .await;
        step.end(&octo);
        let octo = running.octo.insert(octo?);

        let key = gateway_key()?;
        let gateway = Gateway {
            url: octo.url(),
            key: key.as_deref(),
        };
        let step = Step::begin("send one message");
        let outcome = message::send(&gateway).await;
        step.end(&outcome);
        show(&format!("\n{}\n\n", outcome?))?;
        show(&next_steps(octo.url(), key.is_some()))?;
        note(format!("octo's log: {}", log.display()));
        octo.ended().await
    }
}

impl Running {
    /// octo first: what it still has in flight needs the proxy.
    async fn end(self) -> Result<()> {
        let step = Step::begin("end everything");
        let octo = match self.octo {
            Some(octo) => octo.end().await,
            None => Ok(()),
        };
        let proxy = match self.proxy {
            Some(proxy) => proxy.end().await,
            None => Ok(()),
        };
        let outcome = octo.and(proxy);
        step.end(&outcome);
        outcome
    }
}

fn set_up() -> Result<Environments> {
    step(
        "set up LiteLLM Proxy and the local model (minutes the first time)",
        || Ok(Environments::ensure(|line| note(line))?),
    )
}

/// Before the long steps: a taken port is the most likely thing to go wrong.
fn port_is_free(listen: SocketAddr) -> Result<()> {
    let bound = TcpListener::bind(listen);
    bound.map(drop).with_context(|| {
        format!("octo cannot listen on {listen}; end what runs there, or choose another with --listen 127.0.0.1:0")
    })
}

/// Resolves at the first Ctrl-C or SIGTERM.
fn stop_signal() -> Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for Ctrl-C")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// octo reads it from the environment, else from `.env`.
fn gateway_key() -> Result<Option<String>> {
    const NAME: &str = "OCTO_GATEWAY_KEY";
    let set = std::env::var(NAME)
        .ok()
        .filter(|key| !key.trim().is_empty());
    if let Some(key) = set {
        return Ok(Some(key.trim().to_owned()));
    }
    let file = keys::of_providers(&workspace_root().join(".env"))?;
    Ok(file
        .into_iter()
        .find(|(name, _)| name == NAME)
        .map(|(_, key)| key))
}

fn next_steps(url: &str, keyed: bool) -> String {
    let key = if keyed {
        " -H \"Authorization: Bearer $OCTO_GATEWAY_KEY\""
    } else {
        ""
    };
    format!(
        "octo listens on {url}. Try next:\n\
         \n  curl -s{key} {url}/v1/chat/completions -H 'content-type: application/json' \\\
         \n    -d '{{\"model\": \"router\", \"max_tokens\": 32, \"messages\": [{{\"role\": \"user\", \"content\": \"Hello\"}}]}}'\
         \n  curl -s{key} {url}/api/tasks\
         \n  curl -s{key} '{url}/api/costs?group_by=model'\
         \n  curl -s{key} '{url}/ready?profile=llm'\
         \n\nCtrl-C ends everything.\n"
    )
}

fn show(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.context("cannot write to stdout")
}
