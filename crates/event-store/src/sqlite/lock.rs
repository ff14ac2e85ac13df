//! One writing process for a database.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};

use crate::StoreError;
use crate::files::io_error;

/// The lock on `<database>.lock`. The system lets go of it when the process ends, however it ends,
/// so the file itself may stay.
#[derive(Debug)]
pub(crate) struct DatabaseLock {
    _file: File,
}

impl DatabaseLock {
    pub(crate) fn take(database: &Path) -> Result<Self, StoreError> {
        // Two names for one file must not be two locks.
        let database = std::fs::canonicalize(database).unwrap_or_else(|_| database.to_owned());
        let path = lock_of(&database);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(io_error("open", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::InUse {
                    path: database,
                    pid: owner(&mut file),
                });
            }
            Err(TryLockError::Error(error)) => return Err(io_error("lock", &path)(error)),
        }
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(std::process::id().to_string().as_bytes()))
            .map_err(io_error("write", &path))?;
        Ok(Self { _file: file })
    }

    /// Keeps others from writing, without writing anything. `None` if nobody ever wrote here.
    pub(crate) fn share(database: &Path) -> Result<Option<Self>, StoreError> {
        let database = std::fs::canonicalize(database).unwrap_or_else(|_| database.to_owned());
        let path = lock_of(&database);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io_error("open", &path)(error)),
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Err(StoreError::InUse {
                path: database,
                pid: owner(&mut file),
            }),
            Err(TryLockError::Error(error)) => Err(io_error("lock", &path)(error)),
        }
    }
}

fn lock_of(database: &Path) -> PathBuf {
    let mut path = database.to_owned().into_os_string();
    path.push(".lock");
    PathBuf::from(path)
}

/// Who says in the file that it has the lock.
fn owner(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
