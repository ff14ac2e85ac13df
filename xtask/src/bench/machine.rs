//! What it was measured on, and which versions of what.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::build::Built;
use super::report::{Machine, Versions};
use super::system;

pub(super) fn machine() -> Machine {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let cpus = read("/proc/cpuinfo");
    let model = cpus.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        (name.trim() == "model name").then(|| value.trim().to_owned())
    });
    let load = read("/proc/loadavg");
    Machine {
        cpu: model.unwrap_or_else(|| format!("unknown {}", std::env::consts::ARCH)),
        cores: std::thread::available_parallelism().map_or(0, usize::from),
        kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
        memory_kib: system::kib(&read("/proc/meminfo"), "MemTotal:"),
        load_before: load
            .split(' ')
            .next()
            .map(str::to_owned)
            .filter(|load| !load.is_empty()),
    }
}

/// A warning if others used the machine when we began: then every figure is worse than it need be.
pub(super) fn busy(machine: &Machine) -> Option<String> {
    let load = machine.load_before.as_deref()?;
    let is_busy = load.parse::<f64>().ok()? > 0.5;
    is_busy.then(|| {
        format!(
            "BUSY MACHINE: load {load} on {} cores before we began; run it again when it is quiet",
            machine.cores
        )
    })
}

pub(super) fn versions(built: &Built, litellm: Option<String>) -> Result<Versions> {
    Ok(Versions {
        octo: version_of(&built.octo)?,
        rustc: version_of(Path::new("rustc"))?,
        profile: if cfg!(debug_assertions) {
            "debug (its figures say nothing)"
        } else {
            "release"
        },
        litellm,
    })
}

fn version_of(program: &Path) -> Result<String> {
    let output = Command::new(program)
        .arg("--version")
        .output()
        .with_context(|| format!("cannot run {}", program.display()))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
