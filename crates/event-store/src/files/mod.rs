//! Contents that are too large for the database, as files.

mod hold;
mod note;
mod staged;

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use event_payloads::{ArtifactId, TaskId};
use ring::digest::{SHA256, digest};

pub(crate) use self::note::Leaving;
pub(crate) use self::staged::StagedFile;
use crate::{Artifact, StoreError};

/// The folder of the artifacts: `<task_id>/<artifact_id>`.
#[derive(Clone, Debug)]
pub(crate) struct ArtifactFiles {
    dir: PathBuf,
}

/// Names what was done to which path, for an error.
pub(crate) fn io_error(doing: &str, path: &Path) -> impl FnOnce(io::Error) -> StoreError + use<> {
    let doing = format!("{doing} {}", path.display());
    move |error| {
        let source = Arc::new(error);
        if matches!(
            source.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
        ) {
            return StoreError::Full { source };
        }
        StoreError::Io { doing, source }
    }
}

fn damaged(artifact_id: &ArtifactId, problem: String) -> StoreError {
    StoreError::Corrupt {
        what: format!("artifact {artifact_id}"),
        problem,
        source: None,
    }
}

/// SHA-256 in hexadecimal.
pub(crate) fn sha256(content: &[u8]) -> String {
    use std::fmt::Write as _;
    digest(&SHA256, content)
        .as_ref()
        .iter()
        .fold(String::with_capacity(64), |mut hex, byte| {
            // Writing to a string does not fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}

/// Makes a new name in a folder survive a power loss.
pub(crate) fn sync_folder(dir: &Path) -> Result<(), StoreError> {
    // Only Unix lets a folder be opened and synced; elsewhere the rename itself has to do.
    if cfg!(unix) {
        let folder = File::open(dir).map_err(io_error("open the folder", dir))?;
        folder
            .sync_all()
            .map_err(io_error("sync the folder", dir))?;
    }
    Ok(())
}

impl ArtifactFiles {
    pub(crate) const fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// Reads the file of an artifact, checked against its row.
    pub(crate) fn read(&self, artifact: &Artifact, reference: &str) -> Result<Vec<u8>, StoreError> {
        let content = self.read_as_it_is(artifact, reference)?;
        verify(artifact, &content)?;
        Ok(content)
    }

    fn read_as_it_is(&self, artifact: &Artifact, reference: &str) -> Result<Vec<u8>, StoreError> {
        let path = self.locate(artifact, reference)?;
        let file = File::open(&path).map_err(io_error("open", &path))?;
        let mut content = Vec::new();
        // One byte more than there should be is enough to see that there is too much.
        let most = if says_nothing(artifact) {
            u64::MAX
        } else {
            artifact.size.saturating_add(1)
        };
        file.take(most)
            .read_to_end(&mut content)
            .map_err(io_error("read", &path))?;
        Ok(content)
    }

    /// Copies the file of an artifact into another folder as it is, and nothing where it can not be read: a
    /// check of the copy finds what is wrong with each.
    pub(crate) fn copy(&self, artifact: &Artifact, to: &Self) -> Result<(), StoreError> {
        let reference = artifact.storage_ref.as_deref().unwrap_or_default();
        let content = match self.read_as_it_is(artifact, reference) {
            Ok(content) => content,
            Err(error) => {
                tracing::warn!(%error, "an artifact is left out of a copy");
                return Ok(());
            }
        };
        let mut copy = to.stage(&artifact.task_id, &artifact.artifact_id, &content)?;
        copy.place()?;
        copy.keep();
        Ok(())
    }

    /// Where the file of an artifact is put.
    fn place(&self, task_id: &TaskId, artifact_id: &ArtifactId) -> PathBuf {
        self.dir.join(task_id.as_str()).join(artifact_id.as_str())
    }

    /// Removes the file of an artifact whose row is gone, and the folder of its task if it was the last.
    fn remove(&self, artifact: &Artifact) -> Result<(), StoreError> {
        let Some(reference) = artifact
            .storage_ref
            .as_deref()
            .filter(|text| !text.is_empty())
        else {
            return Ok(());
        };
        // What is not there, or not in our folder, is not ours to remove.
        let Ok(path) = self.locate(artifact, reference) else {
            return Ok(());
        };
        fs::remove_file(&path).map_err(io_error("remove", &path))?;
        self.leave_folder_of(&path);
        Ok(())
    }

    /// Removes the folder of a file that is gone, unless other artifacts are in it.
    fn leave_folder_of(&self, path: &Path) {
        if let Some(folder) = path.parent().filter(|folder| *folder != self.dir) {
            // It fails while there are.
            let _ = fs::remove_dir(folder);
        }
    }

    /// The file that a row refers to. Old rows hold absolute paths, paths from their program's working
    /// folder, or paths of a data folder that has moved since; whatever they say, only files inside
    /// the artifacts folder are read.
    fn locate(&self, artifact: &Artifact, reference: &str) -> Result<PathBuf, StoreError> {
        let inside = fs::canonicalize(&self.dir).map_err(io_error("find the folder", &self.dir))?;
        let usual = self.place(&artifact.task_id, &artifact.artifact_id);
        [self.dir.join(reference), PathBuf::from(reference), usual]
            .into_iter()
            .filter_map(|path| fs::canonicalize(path).ok())
            .find(|path| path.starts_with(&inside) && path.is_file())
            .ok_or_else(|| {
                let shown = event_payloads::first_chars(reference, 200).escape_debug();
                damaged(
                    &artifact.artifact_id,
                    format!("its file `{shown}` is not in {}", self.dir.display()),
                )
            })
    }
}

fn says_nothing(artifact: &Artifact) -> bool {
    artifact.hash.is_empty() && artifact.size == 0
}

/// Checks a content against what its row says. Old rows may say nothing.
pub(crate) fn verify(artifact: &Artifact, content: &[u8]) -> Result<(), StoreError> {
    if says_nothing(artifact) {
        return Ok(());
    }
    let size = u64::try_from(content.len()).unwrap_or(u64::MAX);
    if size != artifact.size {
        return Err(damaged(
            &artifact.artifact_id,
            format!(
                "its content does not have the {} bytes of its row",
                artifact.size
            ),
        ));
    }
    if !artifact.hash.is_empty() && !artifact.hash.eq_ignore_ascii_case(&sha256(content)) {
        return Err(damaged(
            &artifact.artifact_id,
            "its content does not have the SHA-256 of its row".to_owned(),
        ));
    }
    Ok(())
}

/// True for an identifier that is a file name and nothing else.
pub(crate) fn is_file_name(id: &str) -> bool {
    let mut components = Path::new(id).components();
    matches!(components.next(), Some(Component::Normal(_))) && components.next().is_none()
}

/// The reference that a row holds.
pub(crate) fn reference(task_id: &TaskId, artifact_id: &ArtifactId) -> String {
    format!("{task_id}/{artifact_id}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_has_its_own_error_and_others_say_what_was_done_to_what() {
        let told = |kind: io::ErrorKind| io_error("write", Path::new("a/b"))(kind.into());
        assert!(told(io::ErrorKind::StorageFull).is_full());
        assert!(told(io::ErrorKind::QuotaExceeded).is_full());
        let other = told(io::ErrorKind::PermissionDenied);
        assert_eq!(other.to_string(), "can not write a/b");
    }

    #[test]
    fn only_plain_names_are_file_names() {
        for id in ["01KJN4VZZZ0000000000000000", "a.b", "..."] {
            assert!(is_file_name(id), "{id}");
        }
        for id in ["", ".", "..", "a/b", "/a"] {
            assert!(!is_file_name(id), "{id}");
        }
    }

    #[test]
    fn sha256_is_the_published_one() {
        // FIPS 180-2, appendix B.1.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256(b"abc"), abc);
    }
}
