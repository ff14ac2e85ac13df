//! The programs that are measured, as cargo builds them.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

/// Where cargo put them.
#[derive(Debug)]
pub(super) struct Built {
    pub(super) octo: PathBuf,
    pub(super) xtask: PathBuf,
    /// The target folder.
    pub(super) target: PathBuf,
}

/// Builds `octo` and this program, optimised unless told otherwise.
pub(super) fn build(debug: bool) -> Result<Built> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args(["build", "--package", "gateway", "--package", "xtask"])
        .args(["--bins", "--message-format", "json-render-diagnostics"])
        .current_dir(real_stack::workspace_root())
        .stderr(Stdio::inherit());
    if !debug {
        command.arg("--release");
    }
    let output = command.output().context("cannot start cargo")?;
    if !output.status.success() {
        bail!("cargo build failed, see above");
    }
    let octo = executable(&output.stdout, "octo")?;
    let xtask = executable(&output.stdout, "xtask")?;
    let target = octo.ancestors().nth(2).map(PathBuf::from);
    Ok(Built {
        target: target.context("octo is not in a target folder")?,
        octo,
        xtask,
    })
}

/// The path of a binary, out of cargo's messages.
fn executable(messages: &[u8], name: &str) -> Result<PathBuf> {
    messages
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice::<Value>(line).ok())
        .filter(|message| message.pointer("/target/name").and_then(Value::as_str) == Some(name))
        .find_map(|message| message.get("executable")?.as_str().map(PathBuf::from))
        .with_context(|| format!("cargo does not say where it put {name}"))
}
