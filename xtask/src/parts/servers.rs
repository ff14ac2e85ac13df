//! A database and a broker: Postgres and NATS with JetStream.

use std::process::Command;

use anyhow::{Context, Result};
use real_stack::{NatsServer, Postgres, Servers};

use crate::steps::{note, step};

/// What is started from.
pub(super) fn installed() -> Result<Servers> {
    step("Postgres and NATS", || {
        Ok(Servers::ensure(|line: &str| note(line))?)
    })
}

/// The running servers, one of each.
pub(super) struct Pair {
    servers: Servers,
    postgres: Postgres,
    nats: NatsServer,
}

impl Pair {
    pub(super) async fn start(servers: Servers) -> Result<Self> {
        let postgres = Postgres::start(&servers).await.context("no Postgres")?;
        let nats = NatsServer::start(&servers).await.context("no NATS")?;
        note(format!("{}, {}", postgres.url(), nats.url()));
        Ok(Self {
            servers,
            postgres,
            nats,
        })
    }

    /// Where both run, for a test that makes a database of its own, and where their programs are, for one that
    /// kills a server.
    pub(super) fn tell(&self, command: &mut Command) {
        command
            .env("OCTO_TEST_POSTGRES_URL", self.postgres.url())
            .env("OCTO_TEST_POSTGRES_BIN", self.servers.postgres_bin())
            .env("OCTO_TEST_NATS_URL", self.nats.url())
            .env("OCTO_TEST_NATS_SERVER", self.servers.nats_server());
    }

    /// Says nothing unless it goes wrong: the command's output stays the last.
    pub(super) async fn stop(mut self) {
        for outcome in [self.postgres.stop().await, self.nats.stop().await] {
            super::note_failure(outcome);
        }
    }
}
