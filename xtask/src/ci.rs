//! `cargo xtask ci`: everything that has to hold, the tests (`cargo xtask test`) last.

use std::process::ExitCode;

use anyhow::Result;

use crate::steps::{note, step};
use crate::{commands, coverage, oracle, schema, test, tools};

/// Check everything: format, lints, docs, schemas, dependencies, prices, coverage, and then run every test
///
/// All that `.ci/run` does. Stops at the first step that fails; ends with the test runner's own summary.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Runs the task.
pub(crate) fn run(_args: &Args) -> Result<ExitCode> {
    cargo("format", &["fmt", "--all", "--check"])?;
    cargo(
        "lints",
        &[
            "clippy",
            "--locked",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ],
    )?;
    step("docs", || {
        let mut command = commands::cargo(&["doc", "--locked", "--workspace", "--no-deps"]);
        command.env("RUSTDOCFLAGS", "-D warnings");
        commands::run(command)
    })?;
    schema::check()?;
    let advisories = dependencies()?;
    oracle::run(&oracle::Args::default())?;
    coverage::run()?;
    if let Advisories::LeftOut = advisories {
        note("left out: security advisories, their database cannot be reached from here");
    }
    test::run(&test::Args::default())
}

fn cargo(name: &str, arguments: &[&str]) -> Result<()> {
    step(name, || commands::run(commands::cargo(arguments)))
}

enum Advisories {
    Checked,
    LeftOut,
}

fn dependencies() -> Result<Advisories> {
    tools::ensure(&tools::DENY)?;
    // Licences are read from the sources of every platform's crates; a build fetches only its own.
    cargo("sources of every dependency", &["fetch", "--locked"])?;
    cargo(
        "licences, duplicates, sources",
        &["deny", "--offline", "check", "bans", "licenses", "sources"],
    )?;

    let database = step("advisory database", || {
        commands::run(commands::cargo(&["deny", "fetch", "db"]))
    });
    if let Err(error) = database {
        note(format!("{error:#}: advisories are NOT checked in this run"));
        return Ok(Advisories::LeftOut);
    }
    cargo("advisories", &["deny", "--offline", "check", "advisories"])?;
    Ok(Advisories::Checked)
}
