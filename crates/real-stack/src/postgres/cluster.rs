//! A data folder of Postgres. It is removed when it is dropped.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::Programs;
use crate::probe::Note;
use crate::setup::{self, Step};
use crate::{Servers, StackError};

const INIT: Step = Step {
    name: "making a Postgres data folder",
    way_out: "check that the folder for temporary files has 100 MB free, and that every user can reach it",
};

/// The folder, below the system's one for temporary files: the user who runs the server has to reach it.
#[derive(Debug)]
pub(crate) struct Cluster {
    folder: TempDir,
    /// Those that its user can reach.
    programs: Programs,
}

impl Cluster {
    /// A fresh one, with a superuser who needs no password.
    pub(crate) fn init(servers: &Servers, role: &str) -> Result<Self, StackError> {
        let cluster = Self::empty(servers.postgres())?;
        let mut command = cluster.programs.command("initdb");
        command
            .current_dir(cluster.folder.path())
            .args(["--auth", "trust", "--encoding", "UTF8", "--locale", "C"])
            // The system crashing is not among the tests; the server itself syncs what it writes.
            .args(["--no-sync", "--username", role, "--pgdata"])
            .arg(cluster.data());
        setup::run(command, INIT, &servers.layout().logs(), &|_| ())?;
        Ok(cluster)
    }

    /// A folder with nothing in it.
    pub(super) fn empty(programs: &Programs) -> Result<Self, StackError> {
        let make = || {
            let folder = tempfile::Builder::new()
                .prefix("octo-postgres-")
                .tempdir()?;
            if let Some(user) = programs.user() {
                chown(folder.path(), Some(user.id), Some(user.group))?;
            }
            Ok(folder)
        };
        let folder = make().map_err(StackError::io("make a folder for Postgres"))?;
        let programs = programs.within_reach(folder.path())?;
        Ok(Self { folder, programs })
    }

    pub(crate) fn programs(&self) -> &Programs {
        &self.programs
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Arguments of `owned.py` that run the server on this folder.
    pub(crate) fn keep(&self) -> Vec<OsString> {
        let user = self.programs.user().map_or("", |user| user.name);
        vec![
            "keep".into(),
            user.into(),
            self.folder.path().into(),
            self.programs.path("postgres").into(),
            "-D".into(),
            self.data().into(),
        ]
    }

    /// The process that says it runs on this folder.
    pub(crate) fn postmaster(&self) -> Result<u32, StackError> {
        let path = self.data().join("postmaster.pid");
        let text = fs::read_to_string(&path);
        let text = text.map_err(StackError::io(format!("read {}", path.display())))?;
        Note::read(&text)
            .map(|note| note.process)
            .ok_or_else(|| StackError::Io {
                action: format!("read a process from {}", path.display()),
                source: std::io::ErrorKind::InvalidData.into(),
            })
    }

    /// A killed server leaves a piece of System V shared memory behind, which its next start would take
    /// over. For when there is no next start, and nothing of the server runs any more.
    pub(crate) fn release_memory(&self) {
        let Ok(text) = fs::read_to_string(self.data().join("postmaster.pid")) else {
            return;
        };
        if let Some(note) = Note::read(&text) {
            // Some 50 bytes: not worth an error.
            let _few_bytes = Command::new("ipcrm")
                .args(["-m", note.shared_memory])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
        }
    }
}
