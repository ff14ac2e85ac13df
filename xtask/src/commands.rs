//! Other programs that a task runs. Their output passes through.

use std::process::Command;

use anyhow::{Context, Result, ensure};

/// What `cargo run` tells this program about itself. Another cargo would hand it on to build scripts
/// that watch these names (ring's does), and so build half the tree again, each time.
const OURS_ONLY: [&str; 7] = [
    "CARGO_BIN_NAME",
    "CARGO_CRATE_NAME",
    "CARGO_MANIFEST_DIR",
    "CARGO_MANIFEST_LINKS",
    "CARGO_MANIFEST_PATH",
    "CARGO_PRIMARY_PACKAGE",
    "OUT_DIR",
];

/// The cargo that runs us, in the workspace's root.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.args(arguments);
    as_from_outside(&mut command);
    command
}

/// In the workspace's root, and without what `cargo run` tells this program about itself.
pub(crate) fn as_from_outside(command: &mut Command) {
    command.current_dir(real_stack::workspace_root());
    for name in OURS_ONLY {
        command.env_remove(name);
    }
    for (name, _) in std::env::vars_os() {
        if name
            .to_str()
            .is_some_and(|name| name.starts_with("CARGO_PKG_"))
        {
            command.env_remove(name);
        }
    }
}

/// Runs it to its end; a bad end is an error that names it.
pub(crate) fn run(mut command: Command) -> Result<()> {
    let line = line(&command);
    let status = command
        .status()
        .with_context(|| format!("cannot start `{line}`"))?;
    ensure!(status.success(), "`{line}` failed ({status})");
    Ok(())
}

/// The command as one would type it.
pub(crate) fn line(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let name = program
        .file_name()
        .unwrap_or(command.get_program())
        .to_string_lossy();
    let arguments = command
        .get_args()
        .map(|argument| argument.to_string_lossy());
    std::iter::once(name)
        .chain(arguments)
        .collect::<Vec<_>>()
        .join(" ")
}
