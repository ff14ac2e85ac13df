//! `cargo xtask coverage`: line coverage of the provider crates, with a threshold for each.

mod report;

use std::collections::BTreeSet;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};

use crate::parts::{self, Needs};
use crate::steps::{note, step};
use crate::{commands, tools};
use real_stack::workspace_root;

/// The crates that are measured: all that a model call goes through below the gateway.
const CRATES: [&str; 10] = [
    "event-payloads",
    "sse-reader",
    "provider-core",
    "alias-registry",
    "cost-tracker",
    "provider-echo",
    "provider-litellm",
    "event-store",
    "event-relay",
    "provider-service",
];

/// The tests that are not measured: they start and kill themselves again and again, which a tracer takes for a
/// failure.
const NOT_MEASURED: [&str; 2] = ["crash", "faults"];

/// Where it builds and reports, apart from the other builds: instrumented code fits nothing else.
const FOLDER: &str = "target/coverage";

/// Measure the line coverage of the provider crates; below 90 % of one of them is an error
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Runs the task.
pub(crate) fn run() -> Result<()> {
    tools::ensure(&tools::TARPAULIN)?;
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
        for test in integration_tests()? {
            command.args(["--test", &test]);
        }
        parts::tell_pythons(&mut command, &environments);
        let folder = workspace_root().join(FOLDER);
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("cannot make {}", folder.display()))?;
        // Postgres and NATS, for the tests of what keeps something in them; the model and the proxy are the
        // gateway's.
        let line = commands::line(&command);
        let code = parts::run_beside(command, Needs::Servers)?;
        ensure!(code == ExitCode::SUCCESS, "`{line}` failed");

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

/// The integration tests of the measured crates: `tests/NAME.rs` and `tests/NAME/main.rs`.
fn integration_tests() -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for package in CRATES {
        let folder = workspace_root().join("crates").join(package).join("tests");
        let Ok(entries) = std::fs::read_dir(&folder) else {
            // A crate may have its tests beside the code alone.
            continue;
        };
        for entry in entries {
            let path = entry?.path();
            let is_test =
                path.extension().is_some_and(|end| end == "rs") || path.join("main.rs").exists();
            let name = path.file_stem().and_then(|stem| stem.to_str());
            if let (true, Some(name)) = (is_test, name.filter(|name| !NOT_MEASURED.contains(name)))
            {
                names.insert(name.to_owned());
            }
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_integration_test_counts_but_the_one_that_kills_itself() {
        let names = integration_tests().unwrap();
        for name in ["it", "tasks", "old_events", "litellm_oracle"] {
            assert!(names.contains(name), "{name} is not among {names:?}");
        }
        assert!(!NOT_MEASURED.iter().any(|name| names.contains(*name)));
        assert!(!names.contains("fixtures"));
    }
}
