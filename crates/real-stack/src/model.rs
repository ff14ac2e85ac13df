//! The local model: llama.cpp's HTTP server with Gemma 3 270M.

use rustix::process::Signal;

use crate::probe::Probe;
use crate::process::Leader;
use crate::server::{Recipe, Server, controls};
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
            end_signal: Signal::TERM,
            leader: Leader::Part,
            python: environments.model_python(),
            arguments: vec!["model".into(), environments.gguf().into()],
            environment: Vec::new(),
            probe: Probe::Http {
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
}

controls!(LocalModel);
