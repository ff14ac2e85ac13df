//! `cargo xtask integration`: only the tests that need the real parts.

use std::process::ExitCode;

use anyhow::Result;

use crate::commands;
use crate::parts::{self, Needs};

/// The test targets: package and name.
const TARGETS: [(&str, &str); 4] = [
    ("gateway", "integration"),
    ("gateway", "clients"),
    ("gateway", "real_costs"),
    ("gateway", "real_kills"),
];

/// Run only the tests that go through the real proxy to the real model
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Handed on to `cargo test`: `cargo xtask integration -- NAME`
    #[arg(last = true, value_name = "ARGS")]
    cargo_test: Vec<String>,
}

/// Runs the task.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let mut command = commands::cargo(&["test", "--locked", "--no-fail-fast"]);
    for (package, target) in TARGETS {
        command.args(["-p", package, "--test", target]);
    }
    command.args(&args.cargo_test);
    parts::run_beside(command, Needs::Everything)
}
