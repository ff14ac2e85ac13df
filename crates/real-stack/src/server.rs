//! A server among the real parts: a port, a process, and a probe that says when it answers.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::layout::Layout;
use crate::log::Log;
use crate::probe::Probe;
use crate::process::{Launch, Leader, OwnedProcess};
use crate::{StackError, port};

/// How long a part may take until it answers.
const READY_WITHIN: Duration = Duration::from_secs(120);

/// Pause between two probes.
const PROBE_EVERY: Duration = Duration::from_millis(100);

/// How often a new port is tried when another process was faster.
const PORT_TRIES: u32 = 4;

/// All it takes to start one server, again and again. No `Debug`: it carries keys.
pub(crate) struct Recipe {
    pub(crate) part: &'static str,
    /// First part of the log's file name.
    pub(crate) log_name: &'static str,
    /// What asks it to end, in order and soon.
    pub(crate) end_signal: Signal,
    pub(crate) leader: Leader,
    pub(crate) python: PathBuf,
    /// Arguments of `owned.py`; the port follows as the last one.
    pub(crate) arguments: Vec<OsString>,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) probe: Probe,
}

/// A started server.
pub(crate) struct Server {
    recipe: Recipe,
    layout: Layout,
    port: u16,
    process: OwnedProcess,
}

impl Server {
    /// Starts it on a free port and waits until it answers.
    pub(crate) async fn start(mut recipe: Recipe, mut layout: Layout) -> Result<Self, StackError> {
        for _ in 0..PORT_TRIES {
            let port = port::pick()?;
            let process = launch(&recipe, &layout, port)?;
            let mut server = Self {
                recipe,
                layout,
                port,
                process,
            };
            match server.ready().await {
                Ok(()) => return Ok(server),
                Err(StackError::EndedEarly { .. }) if !port::is_free(port) => {
                    recipe = server.recipe;
                    layout = server.layout;
                }
                Err(error) => return Err(error),
            }
        }
        Err(StackError::PortsTaken {
            part: recipe.part,
            times: PORT_TRIES,
        })
    }

    /// Ends it if it runs, starts it on the same port and waits until it answers.
    pub(crate) async fn restart(&mut self) -> Result<(), StackError> {
        self.process.stop().await?;
        self.process = launch(&self.recipe, &self.layout, self.port)?;
        self.ready().await
    }

    pub(crate) async fn stop(&mut self) -> Result<(), StackError> {
        self.process.stop().await
    }

    /// As [`stop`](Self::stop) with another signal, for a destructor: it blocks.
    pub(crate) fn end_by(&mut self, signal: Signal) -> Result<(), StackError> {
        self.process.end_by(signal)
    }

    pub(crate) fn kill(&mut self) -> Result<(), StackError> {
        self.process.kill()
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn process_id(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn log_path(&self) -> &Path {
        self.process.log().path()
    }

    pub(crate) fn is_running(&mut self) -> Result<bool, StackError> {
        Ok(self.process.ended()?.is_none())
    }

    async fn ready(&mut self) -> Result<(), StackError> {
        let since = Instant::now();
        let mut probe = String::from("none answered yet");
        while since.elapsed() < READY_WITHIN {
            let answer = self.recipe.probe.ask(self.port, self.process.id()).await;
            self.check_alive()?;
            match answer {
                Ok(()) => return Ok(()),
                Err(reason) => probe = reason,
            }
            tokio::time::sleep(PROBE_EVERY).await;
        }
        let log = self.process.log();
        Err(StackError::NotReady {
            part: self.recipe.part,
            limit: READY_WITHIN,
            probe,
            log: log.path().to_path_buf(),
            tail: log.tail(),
        })
    }

    fn check_alive(&mut self) -> Result<(), StackError> {
        let Some(status) = self.process.ended()? else {
            return Ok(());
        };
        let log = self.process.log();
        Err(StackError::EndedEarly {
            part: self.recipe.part,
            outcome: status.to_string(),
            log: log.path().to_path_buf(),
            tail: log.tail(),
        })
    }
}

fn launch(recipe: &Recipe, layout: &Layout, port: u16) -> Result<OwnedProcess, StackError> {
    let mut arguments = recipe.arguments.clone();
    arguments.push(port.to_string().into());
    OwnedProcess::start(Launch {
        part: recipe.part,
        end_signal: recipe.end_signal,
        leader: recipe.leader,
        python: &recipe.python,
        arguments,
        environment: &recipe.environment,
        folder: layout.run(),
        log: Log::create(&layout.logs(), recipe.log_name)?,
    })
}

/// What can be done with any part, whatever it serves: looked at, ended, started again.
macro_rules! controls {
    ($part:ident) => {
        impl $part {
            /// Where its output goes.
            #[must_use]
            pub fn log(&self) -> &std::path::Path {
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

            /// Asks it to end in order, after 10 s SIGKILL; returns when it is gone and reaped. Stopping twice is fine.
            ///
            /// # Errors
            ///
            /// [`StackError::Io`] when the system refuses.
            pub async fn stop(&mut self) -> Result<(), StackError> {
                self.server.stop().await
            }

            /// SIGKILL to all of its processes: what a crash looks like from outside.
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

        impl std::fmt::Debug for $part {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter
                    .debug_struct(stringify!($part))
                    .field("url", &self.url())
                    .finish_non_exhaustive()
            }
        }
    };
}

pub(crate) use controls;
