//! The disk that fails on demand: how the library is built and told.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The names that the library looks for.
pub(crate) const FOLDER: &str = "IO_FAULTS_FOLDER";
pub(crate) const PLAN: &str = "IO_FAULTS_PLAN";

/// The numbers of Linux.
pub(crate) const EIO: i32 = 5;
pub(crate) const ENOSPC: i32 = 28;
pub(crate) const EROFS: i32 = 30;

/// Builds the library.
pub(crate) fn library(dir: &Path) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults/io_faults.c");
    let library = dir.join("io_faults.so");
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let built = Command::new(&compiler)
        .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-pthread", "-o"])
        .args([&library, &source])
        .output()
        .unwrap_or_else(|error| {
            panic!("can not run the C compiler `{compiler}` ({error}): install one (Debian: `apt install gcc libc6-dev`) or name it in CC")
        });
    let said = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "{compiler}: {said}");
    library
}

/// What fails. See `io_faults.c`.
#[derive(Clone, Copy)]
pub(crate) struct Fault {
    pub(crate) operation: &'static str,
    pub(crate) file: &'static str,
    pub(crate) skip: u32,
    /// For ever if `None`.
    pub(crate) times: Option<u32>,
    pub(crate) per_mille: u16,
    pub(crate) error: i32,
    pub(crate) delay: Duration,
    pub(crate) how: &'static str,
}

impl Fault {
    /// Every call of a kind on every file, for ever.
    pub(crate) const fn every(operation: &'static str, error: i32) -> Self {
        Self {
            operation,
            file: "*",
            skip: 0,
            times: None,
            per_mille: 1_000,
            error,
            delay: Duration::ZERO,
            how: "fail",
        }
    }
}

/// Tells the library what fails from now on.
pub(crate) struct Disk {
    plan: PathBuf,
    serial: AtomicU64,
}

impl Disk {
    pub(crate) fn of_this_process() -> Self {
        Self {
            plan: std::env::var_os(PLAN).unwrap().into(),
            serial: AtomicU64::new(1),
        }
    }

    pub(crate) fn fails(&self, fault: Fault) {
        let Fault {
            operation,
            file,
            skip,
            per_mille,
            error,
            how,
            ..
        } = fault;
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        let times = fault.times.map_or(-1, i64::from);
        let delay = fault.delay.as_millis();
        let line = format!(
            "{serial} {operation} {file} {skip} {times} {per_mille} {error} {delay} {how}\n"
        );
        // The library never sees half of it.
        let next = self.plan.with_extension("next");
        std::fs::write(&next, line).unwrap();
        std::fs::rename(&next, &self.plan).unwrap();
    }

    pub(crate) fn works_again(&self) {
        std::fs::remove_file(&self.plan).unwrap();
    }
}
