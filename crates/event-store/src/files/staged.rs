//! A content on its way to its place, as a file.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;

use event_payloads::{ArtifactId, TaskId};

use super::note::{Note, is_gone};
use super::{ArtifactFiles, io_error, sync_folder};
use crate::StoreError;

/// A file that is removed again unless its commit is recorded.
#[derive(Debug)]
pub(crate) struct StagedFile {
    note: Note,
    folder: PathBuf,
    place: PathBuf,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// In its note.
    Waiting,
    Placed,
    /// Placed, and the next start decides if it stays.
    Left,
    Kept,
}

impl ArtifactFiles {
    /// Writes a content to stable storage, without its name.
    pub(crate) fn stage(
        &self,
        task_id: &TaskId,
        artifact_id: &ArtifactId,
        content: &[u8],
    ) -> Result<StagedFile, StoreError> {
        let staged = StagedFile {
            note: self.note(task_id, artifact_id)?,
            folder: self.dir.join(task_id.as_str()),
            place: self.place(task_id, artifact_id),
            state: State::Waiting,
        };
        let path = &staged.note.content();
        let mut file = File::create_new(path).map_err(io_error("create", path))?;
        file.write_all(content).map_err(io_error("write", path))?;
        file.sync_all().map_err(io_error("sync", path))?;
        Ok(staged)
    }
}

impl StagedFile {
    /// Gives the file its name, on stable storage. Call it when no row has the name: it replaces
    /// what a crash may have left there.
    pub(crate) fn place(&mut self) -> Result<(), StoreError> {
        if self.state != State::Waiting {
            return Ok(());
        }
        let folder = &self.folder;
        if !folder.is_dir() {
            fs::create_dir_all(folder).map_err(io_error("make the folder", folder))?;
            if let Some(parent) = folder.parent() {
                sync_folder(parent)?;
            }
        }
        let rename = fs::rename(self.note.content(), &self.place);
        rename.map_err(io_error("rename to", &self.place))?;
        self.state = State::Placed;
        sync_folder(folder)
    }

    /// The commit is refused, others of its group may not be: the name is free for theirs.
    pub(crate) fn take_back(&mut self) -> Result<(), StoreError> {
        if self.state != State::Placed {
            return Ok(());
        }
        let waiting = self.note.content();
        fs::rename(&self.place, &waiting).map_err(io_error("rename to", &waiting))?;
        self.state = State::Waiting;
        Ok(())
    }

    /// The commit is recorded: the file stays if it has its name.
    pub(crate) fn keep(&mut self) {
        if matches!(self.state, State::Placed | State::Left) {
            self.state = State::Kept;
        }
    }

    /// The commit may come to be on record: so the file stays, with its note.
    pub(crate) fn leave(&mut self) {
        if self.state == State::Placed {
            self.state = State::Left;
        }
    }
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        let settled = match self.state {
            State::Left => false,
            State::Kept => true,
            State::Waiting => {
                let waiting = self.note.content();
                is_gone(fs::remove_file(&waiting), &waiting)
            }
            State::Placed => is_gone(fs::remove_file(&self.place), &self.place),
        };
        if settled {
            self.note.remove();
        }
    }
}
