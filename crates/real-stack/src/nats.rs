//! NATS with JetStream: a broker of one's own, to be stopped, killed and started again on the same streams.

use rustix::process::Signal;
use tempfile::TempDir;

use crate::probe::Probe;
use crate::process::Leader;
use crate::server::{Recipe, Server, controls};
use crate::{Servers, StackError};

/// A running NATS server with JetStream and a fresh folder for its streams. It asks for no credentials.
///
/// It ends with [`stop`](Self::stop), when it is dropped, and when this process dies; with the last two its
/// folder goes too.
pub struct NatsServer {
    // Before its folder: it ends before that is removed.
    server: Server,
    _folder: TempDir,
}

impl NatsServer {
    /// Starts it on a free loopback port and waits until it takes connections (about 0.2 s, 120 s at most).
    ///
    /// # Errors
    ///
    /// [`StackError::EndedEarly`] or [`StackError::NotReady`] with the last lines of its log,
    /// [`StackError::PortsTaken`], and [`StackError::Io`] when its folder cannot be made.
    pub async fn start(servers: &Servers) -> Result<Self, StackError> {
        let folder = tempfile::Builder::new().prefix("octo-nats-").tempdir();
        let folder = folder.map_err(StackError::io("make a folder for NATS"))?;
        // Nobody else has this name, so that a foreign server on our port does not pass for ours.
        let name = folder.path().file_name().unwrap_or_default().to_owned();
        let recipe = Recipe {
            part: "NATS",
            log_name: "nats",
            end_signal: Signal::INT,
            leader: Leader::Keeper,
            python: servers.python(),
            arguments: vec![
                "keep".into(),
                "".into(),
                folder.path().into(),
                servers.nats_server().into(),
                "-js".into(),
                "-sd".into(),
                folder.path().join("streams").into(),
                "-n".into(),
                name.clone(),
                "-a".into(),
                "127.0.0.1".into(),
                "-p".into(),
            ],
            environment: Vec::new(),
            probe: Probe::Nats {
                name: name.to_string_lossy().into_owned(),
            },
        };
        let server = Server::start(recipe, servers.layout().clone()).await?;
        Ok(Self {
            server,
            _folder: folder,
        })
    }

    /// Its address, `nats://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.server.port())
    }
}

controls!(NatsServer);
