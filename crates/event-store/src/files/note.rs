//! Notes on disk about files that may have no row: a kill leaves the note, and the next start decides by the
//! database.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use event_payloads::{ArtifactId, TaskId};
use ulid::Ulid;

use super::{ArtifactFiles, io_error, is_file_name, sync_folder};
use crate::{Artifact, StoreError};

/// Where the notes are. No identifier contains `~`, so no task has this folder as its own.
const NOTES: &str = ".incoming~";

/// Says that the file of an artifact may have no row: the folder `<ulid>~<task_id>/<artifact_id>`, in which the
/// content waits for its name.
///
/// It is made before the file gets its name or loses its row, and removed once both are there or both are
/// gone.
#[derive(Debug)]
pub(super) struct Note {
    /// Empty but for [`of_artifact`](Self::of_artifact).
    folder: PathBuf,
    of_artifact: PathBuf,
}

impl Note {
    /// Where the content waits.
    pub(super) fn content(&self) -> PathBuf {
        self.of_artifact.join("content")
    }

    /// The file has its row, or is gone. A note that stays behind does no harm: the next start looks again.
    pub(super) fn remove(&self) {
        for folder in [&self.of_artifact, &self.folder] {
            is_gone(fs::remove_dir(folder), folder);
        }
    }

    /// What a crash left, unless its name says that it is no note.
    fn left(folder: PathBuf) -> Option<(Self, TaskId, ArtifactId)> {
        let name = folder.file_name()?.to_str()?;
        let task_id = name.split_once('~')?.1;
        // Nothing outside of our folder is removed, whoever wrote the note.
        let task_id = task_id.parse().ok().filter(|_| is_file_name(task_id))?;
        let of_artifact = fs::read_dir(&folder).ok()?.flatten().next()?.path();
        let artifact_id = of_artifact.file_name()?.to_str()?.parse().ok()?;
        let note = Self {
            folder,
            of_artifact,
        };
        Some((note, task_id, artifact_id))
    }
}

/// An artifact that loses its row, with the note of that if it has a file of its name.
#[derive(Debug)]
pub(crate) struct Leaving {
    artifact: Artifact,
    note: Option<Note>,
}

impl ArtifactFiles {
    /// Makes the folders. Only the writer may call it.
    pub(crate) fn prepare(&self) -> Result<(), StoreError> {
        let notes = self.dir.join(NOTES);
        fs::create_dir_all(&notes).map_err(io_error("make the folder", &notes))
    }

    /// Notes that the file of an artifact may have no row.
    pub(super) fn note(
        &self,
        task_id: &TaskId,
        artifact_id: &ArtifactId,
    ) -> Result<Note, StoreError> {
        let name = format!("{}~{task_id}", Ulid::generate());
        let folder = self.dir.join(NOTES).join(name);
        let note = Note {
            of_artifact: folder.join(artifact_id.as_str()),
            folder,
        };
        for folder in [&note.folder, &note.of_artifact] {
            fs::create_dir(folder).map_err(io_error("make the folder", folder))?;
        }
        Ok(note)
    }

    /// Notes that files are about to lose their rows, on stable storage.
    pub(crate) fn leaving(&self, artifacts: Vec<Artifact>) -> Result<Vec<Leaving>, StoreError> {
        let is_file = |each: &Artifact| {
            each.storage_ref.is_some()
                && is_file_name(each.task_id.as_str())
                && is_file_name(each.artifact_id.as_str())
        };
        let leaving: Vec<Leaving> = artifacts
            .into_iter()
            .map(|artifact| {
                let note = is_file(&artifact)
                    .then(|| self.note(&artifact.task_id, &artifact.artifact_id))
                    .transpose()?;
                Ok(Leaving { artifact, note })
            })
            .collect::<Result<_, StoreError>>()?;
        if leaving.iter().any(|each| each.note.is_some()) {
            sync_folder(&self.dir.join(NOTES))?;
        }
        Ok(leaving)
    }

    /// Removes files that have lost their rows. One that stays behind is told of and no reason to stop; all do while
    /// somebody [`hold`](Self::hold)s them.
    pub(crate) fn remove_all(&self, leaving: Vec<Leaving>) {
        if leaving.is_empty() {
            return;
        }
        let _alone = match self.alone() {
            Ok(alone) => alone,
            Err(error) => {
                tracing::info!(%error, "the files of pruned artifacts stay until the next start");
                return;
            }
        };
        for Leaving { artifact, note } in leaving {
            match self.remove(&artifact) {
                Ok(()) => note.iter().for_each(Note::remove),
                Err(error) => {
                    tracing::warn!(%error, "a pruned artifact's file stays until the next start");
                }
            }
        }
    }

    /// Removes what a crash left: contents that waited for their name, and files that have one and no row. Only
    /// the writer may call it, when the database says what is on record.
    ///
    /// What can not be removed is told of and tried again at the next start: it is in nobody's way.
    pub(crate) fn clear_up<E: From<StoreError>>(
        &self,
        mut has_row: impl FnMut(&TaskId, &ArtifactId) -> Result<bool, E>,
    ) -> Result<(), E> {
        let notes = self.dir.join(NOTES);
        let left = fs::read_dir(&notes).map_err(io_error("read the folder", &notes))?;
        for entry in left.flatten() {
            let path = entry.path();
            if path.is_file() {
                // As earlier versions let contents wait.
                is_gone(fs::remove_file(&path), &path);
            } else if let Some((note, task_id, artifact_id)) = Note::left(path.clone()) {
                is_gone(fs::remove_file(note.content()), &note.content());
                if has_row(&task_id, &artifact_id)? || self.discard(&task_id, &artifact_id) {
                    note.remove();
                }
            } else {
                // Not even the artifact was named.
                is_gone(fs::remove_dir(&path), &path);
            }
        }
        Ok(())
    }

    /// Removes a file that has no row, and the folder of its task if it was the last. False if it can not.
    fn discard(&self, task_id: &TaskId, artifact_id: &ArtifactId) -> bool {
        let path = self.place(task_id, artifact_id);
        if !is_gone(fs::remove_file(&path), &path) {
            return false;
        }
        self.leave_folder_of(&path);
        true
    }
}

/// True if what was to be removed is gone. If not, that is told, and keeps nobody from going on.
pub(super) fn is_gone(removed: io::Result<()>, path: &Path) -> bool {
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(%error, path = %path.display(), "can not be removed, the next start tries again");
            false
        }
        _ => true,
    }
}
