//! A process that this one owns: it ends when it is told to, when its handle is dropped, and when we die.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid,
};

use crate::layout::OWNED;
use crate::log::Log;
use crate::{StackError, family};

/// How long a process may take to end when it is asked to before it gets SIGKILL.
const GRACE: Duration = Duration::from_secs(10);

/// How often the end of a process is looked for.
const POLL: Duration = Duration::from_millis(20);

/// What a child inherits of our environment. Nothing else does: a provider key in the caller's shell must
/// not turn a test of the local model into a paid call.
const INHERITED: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "TZ",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "HTTPS_PROXY",
    "https_proxy",
];

/// What to start. No `Debug`: the environment carries keys.
pub(crate) struct Launch<'a> {
    pub(crate) part: &'static str,
    /// What asks it to end, in order and soon.
    pub(crate) end_signal: Signal,
    pub(crate) leader: Leader,
    pub(crate) python: &'a Path,
    /// Arguments of `owned.py`.
    pub(crate) arguments: Vec<OsString>,
    pub(crate) environment: &'a [(String, String)],
    pub(crate) folder: PathBuf,
    pub(crate) log: Log,
}

/// Who is the first of a part's processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leader {
    /// The part itself.
    Part,
    /// A process that only waits for the part, and reaps it.
    Keeper,
}

/// A running process and all that it started.
#[derive(Debug)]
pub(crate) struct OwnedProcess {
    part: &'static str,
    end_signal: Signal,
    leader: Leader,
    child: Child,
    log: Log,
}

impl OwnedProcess {
    pub(crate) fn start(launch: Launch<'_>) -> Result<Self, StackError> {
        use std::os::unix::process::CommandExt as _;

        let mut command = Command::new(launch.python);
        command
            .arg(OWNED)
            .args(launch.arguments)
            .current_dir(launch.folder)
            .env_clear()
            .envs(
                INHERITED
                    .iter()
                    .filter_map(|name| Some((name, std::env::var_os(name)?))),
            )
            .envs([
                ("PYTHONUNBUFFERED", "1"),
                ("NO_PROXY", "127.0.0.1,localhost"),
                ("no_proxy", "127.0.0.1,localhost"),
            ])
            .envs(launch.environment.iter().map(|(name, value)| (name, value)))
            // Held open by the child's handle: when we die, the system closes it, and the child ends.
            .stdin(Stdio::piped())
            .stdout(launch.log.stdio()?)
            .stderr(launch.log.stdio()?)
            .process_group(0);
        let child = command
            .spawn()
            .map_err(StackError::io(format!("start {}", launch.part)))?;
        Ok(Self {
            part: launch.part,
            end_signal: launch.end_signal,
            leader: launch.leader,
            child,
            log: launch.log,
        })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn log(&self) -> &Log {
        &self.log
    }

    /// How it ended, if it did.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>, StackError> {
        self.child
            .try_wait()
            .map_err(StackError::io(format!("look after {}", self.part)))
    }

    /// Asks it to end, SIGKILL after a limit; returns when it is gone and reaped.
    pub(crate) async fn stop(&mut self) -> Result<(), StackError> {
        if self.ended()?.is_some() {
            return Ok(());
        }
        self.signal(self.end_signal);
        let since = Instant::now();
        while since.elapsed() < GRACE && !self.waits_to_be_reaped() {
            tokio::time::sleep(POLL).await;
        }
        // Also after a good end: what the process itself started may have outlived it. Until it is reaped,
        // the group's number cannot belong to anybody else.
        self.kill()
    }

    /// As [`stop`](Self::stop) with another signal, for a destructor: it blocks.
    pub(crate) fn end_by(&mut self, signal: Signal) -> Result<(), StackError> {
        if self.ended()?.is_some() {
            return Ok(());
        }
        self.signal(signal);
        self.wait_a_while();
        self.kill()
    }

    /// SIGKILL to it and to all that it started, as if the machine had lost its power; and reaped.
    pub(crate) fn kill(&mut self) -> Result<(), StackError> {
        if self.ended()?.is_some() {
            return Ok(());
        }
        // Held still first: it starts nobody new, and the number of a child that ends stays taken.
        self.signal(Signal::STOP);
        let family = family::descendants(self.id());
        for process in family.iter().flatten().copied().filter_map(number) {
            let _gone = kill_process(process, Signal::KILL);
        }
        if self.leader == Leader::Keeper {
            // It reaps the part: whoever else inherits it may take its time, and as long as a dead Postgres
            // has a number, the next one refuses to start.
            self.signal(Signal::CONT);
            self.wait_a_while();
        }
        self.signal(Signal::KILL);
        let action = format!("see all of {} end", self.part);
        let ended = self.child.wait().map(drop);
        ended
            .and_then(|()| gone(&family?))
            .map_err(StackError::io(action))
    }

    /// Until it has ended, or for so long.
    fn wait_a_while(&self) {
        let since = Instant::now();
        while since.elapsed() < GRACE && !self.waits_to_be_reaped() {
            thread::sleep(POLL);
        }
    }

    fn waits_to_be_reaped(&self) -> bool {
        let Some(id) = self.group() else { return true };
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        matches!(waitid(WaitId::Pid(id), options), Ok(Some(_)) | Err(_))
    }

    fn group(&self) -> Option<Pid> {
        number(self.child.id())
    }

    /// To the whole group. An error means that nobody is left in it, which is what was wanted.
    fn signal(&self, signal: Signal) {
        if let Some(group) = self.group() {
            let _gone = kill_process_group(group, signal);
        }
    }
}

fn number(process: u32) -> Option<Pid> {
    i32::try_from(process).ok().and_then(Pid::from_raw)
}

/// Waits for killed processes that are not our children, so that nobody reports their end to us.
fn gone(processes: &[u32]) -> io::Result<()> {
    let since = Instant::now();
    while !family::alive(processes)?.is_empty() {
        if since.elapsed() > GRACE {
            return Err(io::ErrorKind::TimedOut.into());
        }
        thread::sleep(POLL);
    }
    Ok(())
}

impl Drop for OwnedProcess {
    fn drop(&mut self) {
        // SIGKILL is not negotiable, so this wait is short; there is nobody to tell if it fails.
        let _nobody_to_tell = self.kill();
    }
}
