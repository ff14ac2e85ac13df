//! `cargo xtask fuzz`: any bytes into what reads the other side's bytes.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use real_stack::workspace_root;

use crate::steps::{note, step};
use crate::{commands, tools};

/// What is fuzzed: the crate, and its target (`fuzz/fuzz_targets/NAME.rs`).
const TARGETS: [(&str, &str); 3] = [
    ("crates/sse-reader", "read"),
    ("crates/cost-tracker", "usage"),
    ("crates/cost-tracker", "overrides"),
];

/// Where it builds and keeps what it finds, apart from the other builds: another compiler makes it.
const FOLDER: &str = "target/fuzz";

/// Fuzz the readers of event streams, usages and prices; an input that breaks one is an error
///
/// Needs a nightly compiler from rustup. Inputs that reach new code are kept for the next run under
/// `target/fuzz/corpus`; one that breaks a reader is written to `target/fuzz/artifacts`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How long to try each
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// Only this target: read, usage or overrides
    #[arg(long, value_name = "NAME", value_parser = TARGETS.map(|(_, target)| target))]
    target: Option<String>,
}

/// Runs the task.
pub(crate) fn run(args: &Args) -> Result<()> {
    note(format!("compiler: {}", nightly()?));
    tools::ensure(&tools::FUZZ)?;
    TARGETS
        .iter()
        .filter(|(_, target)| args.target.as_deref().is_none_or(|only| only == *target))
        .try_for_each(|(fuzzed, target)| one(fuzzed, target, args.seconds))
}

fn one(fuzzed: &str, target: &str, seconds: u32) -> Result<()> {
    let root = workspace_root();
    let folder = root.join(FOLDER);
    let corpus = folder.join("corpus").join(target);
    let artifacts = folder.join("artifacts").join(target);
    for folder in [&corpus, &artifacts] {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let name = format!("fuzzing {fuzzed}, {target}, for {seconds} s");
    step(&name, || {
        let project = root.join(fuzzed).join("fuzz");
        let mut command = in_nightly(&["cargo", "fuzz", "run"]);
        command
            .arg("--fuzz-dir")
            .arg(&project)
            .arg("--target-dir")
            .arg(&folder)
            .arg(target)
            // What is found goes into the first.
            .args([&corpus, &project.join("seeds").join(target)])
            .arg("--")
            .arg("-print_final_stats=1")
            .arg(format!("-max_total_time={seconds}"))
            .arg(format!("-artifact_prefix={}/", artifacts.display()));
        commands::run(command).with_context(|| {
            let folder = artifacts.display();
            format!("if an input broke it, it is in {folder}")
        })
    })
}

/// The version of the nightly compiler; without one, how to get it.
fn nightly() -> Result<String> {
    const HOW: &str = "the sanitizers need a nightly compiler: `rustup toolchain install nightly`";
    let output = in_nightly(&["rustc", "--version"])
        .stderr(Stdio::null())
        .output()
        .with_context(|| format!("cannot start rustup; {HOW}"))?;
    if !output.status.success() {
        bail!("no nightly compiler is installed; {HOW}");
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn in_nightly(arguments: &[&str]) -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", "nightly"]).args(arguments);
    commands::as_from_outside(&mut command);
    command
}
