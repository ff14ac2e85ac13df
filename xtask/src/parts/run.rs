//! One command to its end, with all that it starts, and no further than Ctrl-C.

use std::process::{Command, ExitCode, ExitStatus};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::Child;
use tokio::signal::unix::{SignalKind, signal};

use crate::commands;
use crate::steps::announce;

/// How long a command that was interrupted may take to end by itself.
const GRACE: Duration = Duration::from_secs(5);
/// What a shell reports for a command that was ended by Ctrl-C.
pub(super) const INTERRUPTED: u8 = 130;

/// Resolves on Ctrl-C or SIGTERM.
pub(super) fn interrupted() -> Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Runs it in a group of its own; when `interrupted` resolves first, all of the group ends.
pub(super) async fn run_to_end(
    command: Command,
    interrupted: impl Future<Output = ()>,
) -> Result<ExitCode> {
    let line = commands::line(&command);
    announce(&line);
    let mut command = tokio::process::Command::from(command);
    // A group of its own: cargo starts compilers and tests, and all of them have to end with us.
    let mut child = command
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("cannot start `{line}`"))?;
    tokio::select! {
        status = child.wait() => Ok(exit_code(status?)),
        () = interrupted => {
            end_group(&mut child).await?;
            Ok(ExitCode::from(INTERRUPTED))
        }
    }
}

async fn end_group(child: &mut Child) -> Result<()> {
    let Some(group) = child
        .id()
        .and_then(|id| i32::try_from(id).ok())
        .and_then(Pid::from_raw)
    else {
        return Ok(());
    };
    // An error means that nobody is left in the group, which is what is wanted.
    let _asked = kill_process_group(group, Signal::INT);
    let ended = tokio::time::timeout(GRACE, child.wait()).await;
    let _killed = kill_process_group(group, Signal::KILL);
    if ended.is_err() {
        child.wait().await?;
    }
    Ok(())
}

fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    code.map_or(ExitCode::FAILURE, ExitCode::from)
}
