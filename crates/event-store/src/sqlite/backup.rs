//! A copy of the whole store, beside a running gateway.

use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;

use super::failure::Failure;
use super::{SqliteOptions, row};
use crate::files::{ArtifactFiles, io_error, sync_folder};
use crate::rows;
use crate::sql::ARTIFACT_COLUMNS;
use crate::{Artifact, StoreError};

/// Writes the database as it is at this moment into a new file, then copies the files of its artifacts. An
/// artifact's file never changes, and none is removed meanwhile, so those that the database speaks of are the
/// right ones.
pub(crate) fn write(
    conn: &Connection,
    files: &ArtifactFiles,
    to: &SqliteOptions,
) -> Result<(), Failure> {
    if to.path.exists() {
        return Err(StoreError::Io {
            doing: format!("back up into {}", to.path.display()),
            source: Arc::new(std::io::Error::from(std::io::ErrorKind::AlreadyExists)),
        }
        .into());
    }
    super::open::make_parent(&to.path)?;
    let target = to.path.to_str().ok_or_else(|| StoreError::Io {
        doing: format!("back up into {}, its name is no UTF-8", to.path.display()),
        source: Arc::new(std::io::Error::from(std::io::ErrorKind::InvalidFilename)),
    })?;
    let _hold = files.hold()?;
    conn.execute("VACUUM INTO ?1", [target])?;
    sync(&to.path)?;
    let copy = super::readers::open(&to.path, to.busy_timeout)?;
    let target = ArtifactFiles::new(to.artifacts_dir.clone());
    target.prepare()?;
    for artifact in with_files(&copy)? {
        files.copy(&artifact, &target)?;
    }
    Ok(())
}

fn with_files(conn: &Connection) -> Result<Vec<Artifact>, Failure> {
    let sql = format!(
        "SELECT {ARTIFACT_COLUMNS} FROM artifacts WHERE storage_ref IS NOT NULL AND storage_ref <> ''"
    );
    row::all(conn, &sql, [], |row| rows::artifact(row))
}

fn sync(path: &Path) -> Result<(), StoreError> {
    std::fs::File::open(path)
        .and_then(|file| file.sync_all())
        .map_err(io_error("sync", path))?;
    path.parent().map_or(Ok(()), sync_folder)
}
