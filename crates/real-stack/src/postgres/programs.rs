//! The programs of a Postgres that is installed, and the user that runs them.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::StackError;

/// Names another folder than the one that would be found.
const CHOSEN: &str = "OCTO_POSTGRES_BIN";

/// What is used of it. Some packages have the server without its client.
const NEEDED: [&str; 4] = ["postgres", "initdb", "psql", "pg_basebackup"];

/// Where packages put one folder for each version: Debian and Ubuntu, Homebrew on both kinds of Mac, and
/// the RPMs of the Postgres project. Before and after the version.
const PACKAGED: [(&str, &str); 4] = [
    ("/usr/lib/postgresql", ""),
    ("/opt/homebrew/opt", "postgresql@"),
    ("/usr/local/opt", "postgresql@"),
    ("/usr", "pgsql-"),
];

/// Every package makes this user.
const USER: &str = "postgres";

/// The folder of the programs, and who runs them.
#[derive(Debug, Clone)]
pub(crate) struct Programs {
    folder: PathBuf,
    user: Option<User>,
}

/// The user that runs a server when we are root: Postgres refuses root.
#[derive(Debug, Clone)]
pub(crate) struct User {
    pub(crate) name: &'static str,
    pub(crate) id: u32,
    pub(crate) group: u32,
}

impl Programs {
    /// The one on the PATH, else the newest of those that packages have put elsewhere.
    pub(crate) fn find() -> Result<Self, StackError> {
        let chosen = std::env::var_os(CHOSEN).filter(|folder| !folder.is_empty());
        let candidates = match chosen {
            Some(folder) => vec![PathBuf::from(folder)],
            None => on_path().into_iter().chain(packaged()).collect(),
        };
        let folder = candidates.iter().find_map(|folder| whole(folder));
        let folder = folder.ok_or_else(|| StackError::NoPostgres {
            tried: candidates
                .iter()
                .map(|folder| format!("{}, ", folder.display()))
                .collect(),
        })?;
        Ok(Self {
            folder,
            user: User::needed()?,
        })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn user(&self) -> Option<&User> {
        self.user.as_ref()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A command that makes files of the server, as the user who runs it.
    pub(crate) fn command(&self, name: &str) -> Command {
        use std::os::unix::process::CommandExt as _;

        let mut command = Command::new(self.path(name));
        if let Some(user) = &self.user {
            command.uid(user.id).gid(user.group);
        }
        command
    }
}

impl User {
    /// Nobody else when we are not root.
    fn needed() -> Result<Option<Self>, StackError> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let ask = |option: &str| {
            let output = Command::new("id").args([option, USER]).output().ok()?;
            String::from_utf8(output.stdout).ok()?.trim().parse().ok()
        };
        match (ask("-u"), ask("-g")) {
            (Some(id), Some(group)) => Ok(Some(Self {
                name: USER,
                id,
                group,
            })),
            _ => Err(StackError::NoPostgresUser { user: USER }),
        }
    }
}

/// Folders of the PATH that have a `postgres`, which may be a link into the folder that has all the others.
fn on_path() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let servers = std::env::split_paths(&path).map(|folder| folder.join("postgres"));
    let servers = servers.filter_map(|server| server.canonicalize().ok());
    servers
        .filter_map(|server| server.parent().map(Path::to_path_buf))
        .collect()
}

/// The folders of packages, the newest version first.
fn packaged() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for (folder, before) in PACKAGED {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            if let Some(version) = version(&entry.file_name(), before) {
                found.push((version, entry.path().join("bin")));
            }
        }
    }
    found.sort();
    found.into_iter().rev().map(|(_, folder)| folder).collect()
}

fn version(name: &OsStr, before: &str) -> Option<u32> {
    name.to_str()?.strip_prefix(before)?.parse().ok()
}

/// The folder, if all that is needed is there.
fn whole(folder: &Path) -> Option<PathBuf> {
    let all = NEEDED.iter().all(|name| folder.join(name).is_file());
    all.then(|| folder.to_path_buf())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_folder_of_a_version_is_one() {
        let version = |name: &str, before| version(OsStr::new(name), before);
        assert_eq!(version("15", ""), Some(15));
        assert_eq!(version("postgresql@17", "postgresql@"), Some(17));
        assert_eq!(version("postgresql", "postgresql@"), None);
        assert_eq!(version("share", "pgsql-"), None);
    }

    #[test]
    fn a_server_without_its_client_is_not_enough() {
        let folder = tempfile::tempdir().unwrap();
        for name in NEEDED {
            assert_eq!(whole(folder.path()), None);
            fs::write(folder.path().join(name), "").unwrap();
        }
        assert!(whole(folder.path()).is_some());
    }
}
