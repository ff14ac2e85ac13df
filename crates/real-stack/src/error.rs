//! What can go wrong with the real parts, and the way out of each.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why a part could not be set up, started or asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StackError {
    /// No Python that the locked packages support was found.
    #[error(
        "no Python 3.10 to 3.13 found (tried {tried}); install one with its venv module, or install uv, \
         or set OCTO_PYTHON to one"
    )]
    NoPython {
        /// The commands that were tried, with what each answered.
        tried: String,
    },

    /// The folder that was named for Postgres is not one.
    #[error(
        "OCTO_POSTGRES_BIN is {folder}, which has no {missing}; name the folder with all of Postgres's programs, \
         or unset it to use the machine's own", folder = folder.display()
    )]
    NoPostgres {
        /// The folder.
        folder: PathBuf,
        /// The programs that it lacks.
        missing: String,
    },

    /// Postgres refuses to run as root, and there is nobody to run it.
    #[error(
        "Postgres does not run as root, and no user of these is there: {tried}; make one, or do not be root"
    )]
    NoPostgresUser {
        /// The users that were looked for.
        tried: String,
    },

    /// Postgres refused what it was asked.
    #[error("Postgres did not do it: {reason}")]
    Query {
        /// What it said.
        reason: String,
    },

    /// A step of the set-up failed.
    #[error("{step} failed ({outcome}); {way_out}; log: {log}\n{tail}", log = log.display())]
    SetUp {
        /// What was being done, e.g. `installing LiteLLM Proxy`.
        step: &'static str,
        /// How the command ended.
        outcome: String,
        /// What to do about it.
        way_out: &'static str,
        /// Where all of its output is.
        log: PathBuf,
        /// The last lines of that output.
        tail: String,
    },

    /// A process ended before it was ready.
    #[error("{part} ended before it was ready ({outcome}); log: {log}\n{tail}", log = log.display())]
    EndedEarly {
        /// Which part.
        part: &'static str,
        /// How the process ended.
        outcome: String,
        /// Where all of its output is.
        log: PathBuf,
        /// The last lines of that output.
        tail: String,
    },

    /// A process did not become ready in time.
    #[error("{part} was not ready after {limit:?} (last probe: {probe}); log: {log}\n{tail}", log = log.display())]
    NotReady {
        /// Which part.
        part: &'static str,
        /// The limit.
        limit: Duration,
        /// What the last probe said.
        probe: String,
        /// Where all of its output is.
        log: PathBuf,
        /// The last lines of that output.
        tail: String,
    },

    /// Every port that the system offered was taken by somebody else in the meantime.
    #[error("{part} lost its port to another process {times} times in a row; try again")]
    PortsTaken {
        /// Which part.
        part: &'static str,
        /// How often it was tried.
        times: u32,
    },

    /// A file, folder or process operation failed.
    #[error("cannot {action}")]
    Io {
        /// What was being done, to what.
        action: String,
        /// The system's reason.
        #[source]
        source: io::Error,
    },

    /// An HTTP exchange failed.
    #[error("{method} {url} failed: {reason}")]
    Http {
        /// The method.
        method: http::Method,
        /// The address, without credentials.
        url: String,
        /// What went wrong.
        reason: String,
    },
}

impl StackError {
    pub(crate) fn io(action: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let action = action.into();
        move |source| Self::Io { action, source }
    }
}
