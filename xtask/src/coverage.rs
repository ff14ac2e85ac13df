//! `cargo xtask coverage`: line coverage of the provider crates, with a threshold for each.

mod report;

use anyhow::{Context, Result};

use crate::steps::{note, step};
use crate::{commands, parts, tools};
use real_stack::workspace_root;

/// The crates that are measured: all that a model call goes through below the gateway.
const CRATES: [&str; 8] = [
    "event-payloads",
    "provider-core",
    "alias-registry",
    "cost-tracker",
    "provider-echo",
    "provider-litellm",
    "event-store",
    "provider-service",
];

/// The integration tests that run under measurement. Not the crash test of the store: it kills itself
/// again and again, which a tracer takes for a failure.
const TESTS: [&str; 10] = [
    "schemas",
    "old_events",
    "litellm_oracle",
    "overrides",
    "price_book",
    "price_properties",
    "settle",
    "usage",
    "it",
    "tasks",
];

/// Where it builds and reports, apart from the other builds: instrumented code fits nothing else.
const FOLDER: &str = "target/coverage";

/// Measure the line coverage of the provider crates; below 90 % of one of them is an error
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Runs the task.
pub(crate) fn run() -> Result<()> {
    tools::ensure(&tools::TARPAULIN)?;
    // The interpreters are enough: what needs the running parts is the gateway's.
    let environments = parts::environments()?;
    step("line coverage", || {
        let mut command = commands::cargo(&[
            "tarpaulin",
            "--engine",
            "ptrace",
            "--skip-clean",
            "--locked",
            "--target-dir",
            FOLDER,
            "--output-dir",
            FOLDER,
            "--out",
            "json",
            "--include-files",
            "crates/*/src/*",
            "--timeout",
            "600",
        ]);
        for package in CRATES {
            command.args(["--packages", package]);
        }
        command.arg("--lib");
        for test in TESTS {
            command.args(["--test", test]);
        }
        parts::tell_pythons(&mut command, &environments);
        let folder = workspace_root().join(FOLDER);
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("cannot make {}", folder.display()))?;
        commands::run(command)?;

        let path = folder.join("tarpaulin-report.json");
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let coverage = report::read(&text, &CRATES)?;
        for row in coverage.table() {
            note(row);
        }
        coverage.hold()
    })
}
