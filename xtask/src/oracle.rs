//! `cargo xtask oracle`: our prices beside those of the pinned LiteLLM's own calculator.

use anyhow::{Context as _, Result};

use crate::{commands, parts};

/// Of the random usages, unless told otherwise.
const SEED: u64 = 24_301;

/// Price every entry of the map with our book and with LiteLLM's own calculator, and compare
///
/// Every entry × usages that reach every dimension and both sides of every tier × classes of service ×
/// other names, with random usages from a seed. Shows what agrees, the reviewed table of what does not, and
/// every difference that is in no class of it, which is an error.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Write the result to stdout as JSON, and nothing else
    #[arg(long)]
    json: bool,
    /// The seed of the random usages
    #[arg(long, default_value_t = SEED, value_name = "N")]
    seed: u64,
    /// Only the part that the tests ask
    #[arg(long)]
    subset: bool,
}

impl Default for Args {
    fn default() -> Self {
        Self {
            json: false,
            seed: SEED,
            subset: false,
        }
    }
}

/// Runs the task.
pub(crate) fn run(args: &Args) -> Result<()> {
    let environments = parts::environments()?;
    let folder = tempfile::tempdir().context("no folder for the result")?;
    let result = folder.path().join("oracle.json");
    let mut command = commands::cargo(&["test", "--locked", "--package", "cost-tracker"]);
    command.args(["--test", "litellm_oracle", "--", "--exact", "--nocapture"]);
    command.arg("every_entry_costs_what_litellm_says");
    parts::tell_pythons(&mut command, &environments);
    command.env("OCTO_ORACLE_SEED", args.seed.to_string());
    if !args.subset {
        command.env("OCTO_ORACLE", "whole");
    }
    if !args.json {
        return commands::run(command);
    }
    command
        .env("OCTO_ORACLE_JSON", &result)
        .stdout(std::process::Stdio::null());
    let outcome = commands::run(command);
    // Also what disagrees is a result.
    if let Ok(text) = std::fs::read_to_string(&result) {
        #[expect(clippy::print_stdout, reason = "what the task is for")]
        {
            println!("{text}");
        }
    }
    outcome
}
