//! Cargo's extensions that a task needs, at the versions that were tried.

use std::process::Stdio;

use anyhow::Result;

use crate::commands;
use crate::steps::{note, step};

/// An extension of cargo.
pub(crate) struct Tool {
    krate: &'static str,
    subcommand: &'static str,
    version: &'static str,
    /// How it is built, beyond `--locked`.
    options: &'static [&'static str],
}

/// Licences, banned and duplicate crates, sources, advisories.
pub(crate) const DENY: Tool = Tool {
    krate: "cargo-deny",
    subcommand: "deny",
    version: "0.20.2",
    // Without a second TLS stack and git: it calls the git that is installed.
    options: &["--no-default-features"],
};

/// Fuzzing.
pub(crate) const FUZZ: Tool = Tool {
    krate: "cargo-fuzz",
    subcommand: "fuzz",
    version: "0.13.2",
    options: &[],
};

/// Line coverage.
pub(crate) const TARPAULIN: Tool = Tool {
    krate: "cargo-tarpaulin",
    subcommand: "tarpaulin",
    version: "0.37.5",
    options: &[],
};

/// Installs the tool if it is missing. Another version is used as it is, and named.
pub(crate) fn ensure(tool: &Tool) -> Result<()> {
    match installed(tool)? {
        Some(version) if version == tool.version => Ok(()),
        Some(version) => {
            note(format!(
                "{} {version} is installed; tried with {}",
                tool.krate, tool.version
            ));
            Ok(())
        }
        None => step(
            &format!("install {} {} (takes minutes)", tool.krate, tool.version),
            || {
                let mut command =
                    commands::cargo(&["install", "--locked", "--version", tool.version]);
                command.args(tool.options).arg(tool.krate);
                commands::run(command)
            },
        ),
    }
}

fn installed(tool: &Tool) -> Result<Option<String>> {
    let output = commands::cargo(&[tool.subcommand, "--version"])
        .stderr(Stdio::null())
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text.split_whitespace().last().map(str::to_owned);
    Ok(version.filter(|_| output.status.success()))
}
