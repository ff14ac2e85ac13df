//! One step of the set-up: a command whose output is kept and whose progress is told.

use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::StackError;
use crate::log::Log;

/// How often a long step says that it is still at it.
const TELL_EVERY: Duration = Duration::from_secs(5);

const POLL: Duration = Duration::from_millis(50);

/// What is done, and what to do when it does not work.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) way_out: &'static str,
}

/// Runs `command` to its end. Unlike a server it inherits our whole environment: that is where a user's
/// package index, certificates and network proxy are.
pub(crate) fn run(
    mut command: Command,
    step: Step,
    logs: &Path,
    progress: &dyn Fn(&str),
) -> Result<(), StackError> {
    let log = Log::create(logs, "set-up")?;
    command
        .stdin(Stdio::null())
        .stdout(log.stdio()?)
        .stderr(log.stdio()?);
    progress(step.name);
    let failed = |outcome: String| StackError::SetUp {
        step: step.name,
        outcome,
        way_out: step.way_out,
        log: log.path().to_path_buf(),
        tail: log.tail(),
    };

    let since = Instant::now();
    let mut told = Duration::ZERO;
    let mut child = command.spawn().map_err(|error| failed(error.to_string()))?;
    loop {
        let ended = child
            .try_wait()
            .map_err(StackError::io(format!("look after {}", step.name)))?;
        if let Some(status) = ended {
            return if status.success() {
                Ok(())
            } else {
                Err(failed(status.to_string()))
            };
        }
        if since.elapsed() >= told + TELL_EVERY {
            told = since.elapsed();
            progress(&format!("{} … {} s", step.name, told.as_secs()));
        }
        thread::sleep(POLL);
    }
}
