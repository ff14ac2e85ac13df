//! Postgres through its own client, so that no other has to be built.

use std::path::PathBuf;
use std::process::Command;

use real_stack::{Postgres, Servers};
use tokio::sync::Mutex;

/// A database, and the program that asks it.
#[derive(Clone, Debug)]
pub(crate) struct Psql {
    program: PathBuf,
    pub(crate) url: String,
}

impl Psql {
    /// Runs these commands in one session; what they print, a row a line. Blocks.
    pub(crate) fn run(&self, commands: &[String]) -> Result<String, String> {
        let mut psql = Command::new(&self.program);
        psql.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"])
            .args(["--set", "ON_ERROR_STOP=1", "--dbname", &self.url])
            .env_clear()
            .env("PGCONNECT_TIMEOUT", "10")
            .env("PGCLIENTENCODING", "UTF8");
        for command in commands {
            psql.args(["--command", command]);
        }
        let output = psql.output().unwrap();
        if output.status.success() {
            Ok(String::from_utf8(output.stdout).unwrap())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }
}

/// A Postgres server: the one that all tests share, or one of our own, which may be killed.
#[derive(Debug)]
pub(crate) struct Cluster {
    admin: Psql,
    own: Option<Mutex<Postgres>>,
}

impl Cluster {
    /// The server that `cargo xtask test` runs beside the tests; without it, one of our own.
    pub(crate) async fn shared() -> Self {
        let var = |name| std::env::var(name).ok();
        let url = var("OCTO_TEST_POSTGRES_URL");
        let Some((url, programs)) = url.zip(var("OCTO_TEST_POSTGRES_BIN")) else {
            return Self::own().await;
        };
        let program = PathBuf::from(programs).join("psql");
        Self {
            admin: Psql { program, url },
            own: None,
        }
    }

    pub(crate) async fn own() -> Self {
        let ensure = || Servers::ensure(|_| {});
        let servers = tokio::task::spawn_blocking(ensure).await.unwrap().unwrap();
        let postgres = Postgres::start(&servers).await.unwrap();
        let admin = Psql {
            program: servers.postgres_bin().join("psql"),
            url: postgres.url(),
        };
        Self {
            admin,
            own: Some(Mutex::new(postgres)),
        }
    }

    /// An empty database, which nobody else has.
    pub(crate) fn create(&self, name: &str) -> Psql {
        self.admin
            .run(&[format!("CREATE DATABASE {name}")])
            .unwrap();
        self.named(name)
    }

    /// A database of the server, whether it is there or not.
    pub(crate) fn named(&self, name: &str) -> Psql {
        let (server, _) = self.admin.url.rsplit_once('/').unwrap();
        Psql {
            url: format!("{server}/{name}"),
            program: self.admin.program.clone(),
        }
    }

    pub(crate) fn remove(&self, name: &str) {
        // A server that is gone has no database any more.
        let _ = self
            .admin
            .run(&[format!("DROP DATABASE {name} WITH (FORCE)")]);
    }

    /// SIGKILL to all of the server's processes.
    pub(crate) async fn kill(&self) {
        let own = self.own.as_ref().unwrap();
        own.lock().await.kill().unwrap();
    }

    /// Starts the server again and waits until it answers.
    pub(crate) async fn start_again(&self) {
        let own = self.own.as_ref().unwrap();
        own.lock().await.restart().await.unwrap();
    }
}
