//! The local model: llama.cpp's HTTP server with Gemma 3 270M.

use std::fmt;
use std::path::Path;

use crate::server::{Probe, Recipe, Server};
use crate::{Environments, StackError};

/// A running local model with an OpenAI-compatible API. It asks for no key and answers to any model name.
///
/// It ends with [`stop`](Self::stop), when it is dropped, and when this process dies.
pub struct LocalModel {
    server: Server,
}

impl LocalModel {
    /// Starts it on a free loopback port and waits until it answers (about 2 s, 120 s at most).
    ///
    /// # Errors
    ///
    /// [`StackError::EndedEarly`] or [`StackError::NotReady`] with the last lines of its log, and
    /// [`StackError::PortsTaken`].
    pub async fn start(environments: &Environments) -> Result<Self, StackError> {
        let recipe = Recipe {
            part: "the local model",
            log_name: "model",
            python: environments.model_python(),
            arguments: vec!["model".into(), environments.gguf().into()],
            environment: Vec::new(),
            probe: Probe {
                path: "/v1/models",
                key: String::new(),
                expects: "gemma-3-270m",
            },
        };
        let server = Server::start(recipe, environments.layout().clone()).await?;
        Ok(Self { server })
    }

    /// Base address of its API, `http://127.0.0.1:PORT/v1`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/v1", self.server.port())
    }

    /// Where its output goes.
    #[must_use]
    pub fn log(&self) -> &Path {
        self.server.log_path()
    }

    /// Its process, for a test that looks whether it is gone. Another one after a restart.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.server.process_id()
    }

    /// Whether its process is there.
    ///
    /// # Errors
    ///
    /// [`StackError::Io`] when the system does not say.
    pub fn is_running(&mut self) -> Result<bool, StackError> {
        self.server.is_running()
    }

    /// SIGTERM, after 10 s SIGKILL; returns when it is gone and reaped. Stopping twice is fine.
    ///
    /// # Errors
    ///
    /// [`StackError::Io`] when the system refuses.
    pub async fn stop(&mut self) -> Result<(), StackError> {
        self.server.stop().await
    }

    /// SIGKILL: what a crash looks like from outside.
    ///
    /// # Errors
    ///
    /// [`StackError::Io`] when the system refuses.
    pub fn kill(&mut self) -> Result<(), StackError> {
        self.server.kill()
    }

    /// Starts it again on the same port, after ending it if need be, and waits until it answers.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub async fn restart(&mut self) -> Result<(), StackError> {
        self.server.restart().await
    }
}

impl fmt::Debug for LocalModel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("LocalModel")
            .field("url", &self.url())
            .finish_non_exhaustive()
    }
}
