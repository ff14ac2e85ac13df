//! `cargo xtask kills`: every part of the chain, killed in the middle of streams, as often as one likes.

use std::process::ExitCode;

use anyhow::Result;

use crate::commands;
use crate::parts::{self, Needs};

/// Kill the real model and the real proxy in the middle of streams, many times
///
/// Every test run does it a few times; this is the long version (100 times take about 40 minutes: a start of
/// the proxy takes 13 s). Clients that vanish and an octo that is killed, each 100 times, are part of it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How often each of the real parts is killed
    #[arg(long, default_value_t = 100)]
    times: u32,
}

/// Runs the task.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let mut command = commands::cargo(&[
        "test",
        "--locked",
        "--no-fail-fast",
        "-p",
        "gateway",
        "--test",
        "stream_kills",
        "--test",
        "real_kills",
        "--",
        "--nocapture",
    ]);
    command.env("OCTO_TEST_KILLS", args.times.to_string());
    parts::run_beside(command, Needs::Chain)
}
