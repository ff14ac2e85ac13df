//! What one sync of the disk takes where the data is: the floor under every commit.

use std::fs::{File, OpenOptions};
use std::io::{Seek as _, Write as _};
use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result};
use hdrhistogram::Histogram;

use super::load::float;
use super::report::{Disk, Syncs};

/// A page of SQLite's.
const BLOCK: [u8; 4096] = [7; 4096];

/// Blocks, each followed by `fdatasync`: a file that grows, and then the same blocks written over.
///
/// SQLite's log does both. It grows until its first checkpoint, and is written over from then on, which is
/// cheaper: the file system has no new size to record.
pub(super) fn measure(folder: &Path, syncs: u32) -> Result<Disk> {
    let path = folder.join("syncs");
    let mut file = OpenOptions::new()
        .create_new(true)
        .write(true)
        .open(&path)
        .with_context(|| format!("cannot write {}", path.display()))?;
    let appends = blocks(&mut file, syncs)?;
    file.rewind()?;
    let overwrites = blocks(&mut file, syncs)?;
    Ok(Disk {
        file_system: file_system(folder).unwrap_or_else(|| "unknown".to_owned()),
        block_bytes: BLOCK.len(),
        appends,
        overwrites,
    })
}

fn blocks(file: &mut File, syncs: u32) -> Result<Syncs> {
    let mut latencies_ns = Histogram::<u64>::new_with_bounds(1, 60_000_000_000, 3)?;
    for _ in 0..syncs {
        let started = Instant::now();
        file.write_all(&BLOCK)?;
        file.sync_data()?;
        let took = u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        latencies_ns.saturating_record(took);
    }
    let quantile_us = |quantile| float(latencies_ns.value_at_quantile(quantile)) / 1000.0;
    Ok(Syncs {
        syncs: latencies_ns.len(),
        p50_us: quantile_us(0.5),
        p99_us: quantile_us(0.99),
    })
}

/// The type of the file system that a folder is on: `tmpfs` would make every sync free.
fn file_system(folder: &Path) -> Option<String> {
    let folder = folder.canonicalize().ok()?;
    let mounts = std::fs::read_to_string("/proc/self/mounts").ok()?;
    let mounts = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        Some((words.next()?, words.next()?))
    });
    // The last of two on the same place hides the first.
    let on = mounts
        .filter(|(place, _)| folder.starts_with(place))
        .max_by_key(|(place, _)| place.len());
    on.map(|(_, kind)| kind.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sync_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let disk = measure(folder.path(), 3).unwrap();
        for syncs in [&disk.appends, &disk.overwrites] {
            assert_eq!(syncs.syncs, 3);
            assert!(syncs.p99_us >= syncs.p50_us && syncs.p50_us > 0.0);
        }
        let written = std::fs::metadata(folder.path().join("syncs"))
            .unwrap()
            .len();
        assert_eq!(written, 3 * 4096);
    }
}
