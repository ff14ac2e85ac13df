//! Postgres: a server of one's own, to be stopped, killed and started again on the same data.

mod cluster;
mod programs;
mod standby;

use std::process::Command;

use rustix::process::Signal;

use crate::probe::Probe;
use crate::process::Leader;
use crate::server::{Recipe, Server, controls};
use crate::{Servers, StackError};
use cluster::Cluster;
#[cfg(test)]
pub(crate) use programs::PACKAGE;
pub(crate) use programs::Programs;

/// The role of every server: its superuser, without a password.
const ROLE: &str = "octo";

/// What differs from Postgres's own defaults. It is as durable as any: `fsync` and `synchronous_commit` are
/// named so that nobody's `postgresql.conf.sample` decides.
const SETTINGS: [&str; 7] = [
    "fsync=on",
    "synchronous_commit=on",
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "shared_buffers=64MB",
    "max_connections=160",
    // Files in the data folder, so that nothing is left in the machine's shared memory by a crash.
    "dynamic_shared_memory_type=mmap",
];

/// A running Postgres server with a fresh data folder.
///
/// It ends with [`stop`](Self::stop), when it is dropped, and when this process dies; with the last two its
/// data folder goes too.
pub struct Postgres {
    server: Server,
    cluster: Cluster,
}

impl Postgres {
    /// Makes a data folder, starts a server on a free loopback port and waits until it takes connections
    /// (about 1 s, 120 s at most). Making the folder blocks.
    ///
    /// When we are root, the server runs as the user `postgres`, or `nobody` if there is none.
    ///
    /// # Errors
    ///
    /// [`StackError::SetUp`], [`StackError::EndedEarly`] or [`StackError::NotReady`] with the last lines of
    /// the log, [`StackError::PortsTaken`], and [`StackError::Io`] when the folder cannot be made.
    pub async fn start(servers: &Servers) -> Result<Self, StackError> {
        let cluster = Cluster::init(servers, ROLE)?;
        Self::run(servers, cluster).await
    }

    async fn run(servers: &Servers, cluster: Cluster) -> Result<Self, StackError> {
        let mut arguments = cluster.keep();
        for setting in SETTINGS {
            arguments.extend(["-c".into(), setting.into()]);
        }
        arguments.push("-p".into());
        let recipe = Recipe {
            part: "Postgres",
            log_name: "postgres",
            // A fast shutdown: it waits for no client, and leaves nothing to recover.
            end_signal: Signal::INT,
            leader: Leader::Keeper,
            python: servers.python(),
            arguments,
            environment: Vec::new(),
            probe: Probe::Postmaster {
                data: cluster.data(),
            },
        };
        let server = Server::start(recipe, servers.layout().clone()).await?;
        Ok(Self { server, cluster })
    }

    /// The database that is there from the start, as its superuser: `postgres://octo@127.0.0.1:PORT/postgres`.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_of("postgres")
    }

    /// Makes an empty database and gives its address. It blocks (about 0.1 s).
    ///
    /// # Errors
    ///
    /// [`StackError::Query`] when the name is taken, is not made of lower-case letters, digits and `_`, or
    /// the server does not answer.
    pub fn database(&self, name: &str) -> Result<String, StackError> {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if name.is_empty() || !name.bytes().all(fits) {
            return Err(StackError::Query {
                reason: format!(
                    "`{name}` is no name for a database; take lower-case letters, digits and _"
                ),
            });
        }
        self.query(&format!("create database \"{name}\""))?;
        Ok(self.url_of(name))
    }

    /// Runs SQL in the database of [`url`](Self::url) with `psql`: a row a line, columns parted by `|`. It
    /// blocks.
    ///
    /// # Errors
    ///
    /// [`StackError::Query`] with what the server said.
    pub fn query(&self, sql: &str) -> Result<String, StackError> {
        let mut command = Command::new(self.cluster.programs().path("psql"));
        command
            .args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"])
            .args(["--set", "ON_ERROR_STOP=1", "--command", sql, "--dbname"])
            .arg(self.url())
            // Nothing of what a user's environment says about other servers.
            .env_clear()
            .env("PGCONNECT_TIMEOUT", "10");
        let output = command.output().map_err(StackError::io("start psql"))?;
        if !output.status.success() {
            return Err(StackError::Query {
                reason: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            });
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// The server's first process, the postmaster.
    ///
    /// # Errors
    ///
    /// [`StackError::Io`] when the server does not run.
    pub fn pid(&self) -> Result<u32, StackError> {
        self.cluster.postmaster()
    }

    fn url_of(&self, database: &str) -> String {
        format!(
            "postgres://{ROLE}@127.0.0.1:{}/{database}",
            self.server.port()
        )
    }
}

controls!(Postgres);

impl Drop for Postgres {
    fn drop(&mut self) {
        // An immediate shutdown: the data is thrown away, but its shared memory must not stay behind. There
        // is nobody to tell if it fails.
        let _nobody_to_tell = self.server.end_by(Signal::QUIT);
        self.cluster.release_memory();
    }
}
