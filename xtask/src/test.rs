//! `cargo xtask test`: every test of the workspace, the real parts beside them.

use std::process::ExitCode;

use anyhow::Result;

use crate::commands;
use crate::parts::{self, Needs};

/// Run every test, doctests and the integration on the real parts included
///
/// Sets up the pinned LiteLLM Proxy, a small language model and NATS under `target/` (the first time takes
/// minutes, later seconds), starts them and the machine's Postgres on free loopback ports, runs `cargo test`
/// and ends them.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Args {
    /// Handed on to `cargo test`: `cargo xtask test -- NAME`, `cargo xtask test -- -p event-store`
    #[arg(last = true, value_name = "ARGS")]
    cargo_test: Vec<String>,
}

/// Runs the task.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let mut command = commands::cargo(&["test", "--locked", "--no-fail-fast"]);
    let chosen = |arg: &String| arg.starts_with("-p") || arg.starts_with("--package");
    if !args.cargo_test.iter().any(chosen) {
        command.arg("--workspace");
    }
    command.args(&args.cargo_test);
    parts::run_beside(command, Needs::Everything)
}
