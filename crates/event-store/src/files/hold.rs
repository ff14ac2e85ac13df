//! Who reads all artifacts keeps their files from being removed meanwhile.

use std::fs::{File, TryLockError};
use std::io;

use super::{ArtifactFiles, io_error};
use crate::StoreError;

/// The folder of the artifacts, locked: with others who read, or alone. Let go of when dropped.
#[derive(Debug)]
pub(crate) struct Hold {
    _folder: File,
}

impl ArtifactFiles {
    /// Keeps files that lose their rows from being removed. Who reads the database as it was at one moment needs
    /// the files of that moment, so it has to be taken before.
    ///
    /// `None` where the folder can not be opened: then it has no files.
    pub(crate) fn hold(&self) -> Result<Option<Hold>, StoreError> {
        let Ok(folder) = File::open(&self.dir) else {
            return Ok(None);
        };
        // Whoever removes files has it for a moment.
        folder
            .lock_shared()
            .map_err(io_error("lock the folder", &self.dir))?;
        Ok(Some(Hold { _folder: folder }))
    }

    /// For who removes files. An error if somebody holds them, and if nobody can know.
    pub(super) fn alone(&self) -> Result<Hold, StoreError> {
        let folder = File::open(&self.dir).map_err(io_error("open the folder", &self.dir))?;
        folder.try_lock().map_err(|error| {
            let source = match error {
                TryLockError::WouldBlock => io::ErrorKind::ResourceBusy.into(),
                TryLockError::Error(source) => source,
            };
            io_error("lock the folder", &self.dir)(source)
        })?;
        Ok(Hold { _folder: folder })
    }
}
