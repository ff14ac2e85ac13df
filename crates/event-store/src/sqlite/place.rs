//! Whether the files that are written to are those that the next start will find.

use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::StoreError;

/// The database and its log, as they were when the database was opened.
///
/// A file that is deleted or replaced while it is open goes on taking writes, which vanish with the last
/// program that has it open.
#[derive(Debug)]
pub(crate) struct Place {
    files: Vec<(PathBuf, Identity)>,
}

impl Place {
    /// Looks at the files of an open database.
    pub(crate) fn of(database: &Path) -> Self {
        let mut log = database.as_os_str().to_owned();
        log.push("-wal");
        let files = [database.to_owned(), log.into()];
        // What is not there can not vanish: a disk without shared memory gets no log.
        let there = files.into_iter().filter_map(|path| {
            let found = identity(&path).ok()?;
            Some((path, found))
        });
        Self {
            files: there.collect(),
        }
    }

    /// Fails if a file is no longer there, or another one is.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        for (path, expected) in &self.files {
            let failed = |source: io::Error| StoreError::Io {
                doing: format!(
                    "record into {}: it was moved, deleted or replaced while it was in use; stop the program, put it back and start again",
                    path.display()
                ),
                source: Arc::new(source),
            };
            if identity(path).map_err(failed)? != *expected {
                return Err(failed(io::Error::other("another file has its name")));
            }
        }
        Ok(())
    }
}

#[cfg(unix)]
type Identity = (u64, u64);
#[cfg(not(unix))]
type Identity = Option<std::time::SystemTime>;

/// What tells a file from every other one.
///
/// Who asks for a file's times too, as [`fs::metadata`] does, makes the next write note one of its own in the
/// inode (Linux 6.13 and later, "multigrain timestamps"), and the sync after it write the inode as well: with
/// that before each commit, a single writer's took a quarter longer.
#[cfg(target_os = "linux")]
fn identity(path: &Path) -> io::Result<Identity> {
    use rustix::fs::{AtFlags, CWD, StatxFlags, makedev, statx};
    match statx(CWD, path, AtFlags::empty(), StatxFlags::INO) {
        Ok(file) => Ok((
            makedev(file.stx_dev_major, file.stx_dev_minor),
            file.stx_ino,
        )),
        Err(rustix::io::Errno::NOSYS) => fs::metadata(path).map(|file| identity_in(&file)),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(target_os = "linux"))]
fn identity(path: &Path) -> io::Result<Identity> {
    fs::metadata(path).map(|file| identity_in(&file))
}

#[cfg(unix)]
fn identity_in(file: &Metadata) -> Identity {
    use std::os::unix::fs::MetadataExt;
    (file.dev(), file.ino())
}

#[cfg(not(unix))]
fn identity_in(file: &Metadata) -> Identity {
    file.created().ok()
}
