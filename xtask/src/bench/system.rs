//! What the system knows of a process: its memory and its processor time.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context as _, Result};

use super::report::Memory;

/// Microseconds of a tick in `/proc/…/stat`: Linux tells user space 100 a second on every platform.
const TICK_US: u64 = 10_000;

/// Processor time so far of a process and its children, in microseconds.
pub(super) fn cpu_us(root: u32) -> Result<u64> {
    let tree = tree(root)?;
    let ticks: u64 = tree.iter().filter_map(|id| ticks(*id)).sum();
    Ok(ticks * TICK_US)
}

/// Processor time so far of this process alone, in microseconds.
pub(super) fn own_cpu_us() -> u64 {
    ticks(std::process::id()).unwrap_or(0) * TICK_US
}

/// Memory of a process and its children.
pub(super) fn memory(process: &str, root: u32) -> Result<Memory> {
    let statuses: Vec<String> = tree(root)?
        .iter()
        .filter_map(|id| fs::read_to_string(format!("/proc/{id}/status")).ok())
        .collect();
    let sum = |field| {
        statuses
            .iter()
            .filter_map(|status| kib(status, field))
            .sum()
    };
    Ok(Memory {
        process: process.to_owned(),
        processes: statuses.len(),
        rss_kib: sum("VmRSS:"),
        peak_kib: sum("VmHWM:"),
    })
}

/// A figure in kB out of a file such as `/proc/meminfo`.
pub(super) fn kib(text: &str, field: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(field))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The process and everything that it started.
fn tree(root: u32) -> Result<BTreeSet<u32>> {
    let parents: Vec<(u32, u32)> = fs::read_dir("/proc")
        .context("memory and processor time are read from /proc, which is not there")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|id| Some((id, stat_field(id, PARENT)?.try_into().ok()?)))
        .collect();
    let mut tree = BTreeSet::from([root]);
    loop {
        let size = tree.len();
        let children = parents.iter().filter(|(_, parent)| tree.contains(parent));
        let children: Vec<u32> = children.map(|(id, _)| *id).collect();
        tree.extend(children);
        if tree.len() == size {
            return Ok(tree);
        }
    }
}

fn ticks(id: u32) -> Option<u64> {
    Some(stat_field(id, USER_TIME)? + stat_field(id, SYSTEM_TIME)?)
}

// Places in `/proc/ID/stat` after the name in brackets, which may itself hold spaces (proc_pid_stat(5)).
const PARENT: usize = 1;
const USER_TIME: usize = 11;
const SYSTEM_TIME: usize = 12;

fn stat_field(id: u32, place: usize) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_whitespace().nth(place)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_and_its_peak_is_no_less() {
        let memory = memory("this", std::process::id()).unwrap();
        assert!(memory.processes >= 1);
        assert!(memory.rss_kib > 100);
        assert!(memory.peak_kib >= memory.rss_kib);
    }

    #[test]
    fn a_child_belongs_to_the_tree() {
        let mut child = std::process::Command::new("cat")
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let tree = tree(std::process::id()).unwrap();
        assert!(tree.contains(&child.id()));
        drop(child.stdin.take());
        child.wait().unwrap();
    }

    #[test]
    fn a_figure_is_found_by_its_name() {
        let status = "Name:\tocto\nVmHWM:\t   12345 kB\nVmRSS:\t      99 kB\n";
        assert_eq!(kib(status, "VmHWM:"), Some(12345));
        assert_eq!(kib(status, "VmSwap:"), None);
    }
}
