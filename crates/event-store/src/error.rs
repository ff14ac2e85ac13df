//! Why the store did not do what it was asked to.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use event_payloads::{ArtifactId, EventId, TaskId, TaskStatus};

/// What is underneath an error. Shared, because all commits of a batch can fail from one cause.
pub type Cause = Arc<dyn Error + Send + Sync>;

/// Why the store did not do what it was asked to. Whatever it is, nothing of the commit is stored, with two
/// exceptions.
///
/// If the disk fails in the middle of a commit, and goes on failing until the program ends, the next start
/// may find the commit, whole. Until then it is not there, and a store that works again has taken it back. So
/// after [`Io`](Self::Io) the same commit can be handed over again, now or after a restart; where it has an
/// idempotency key, it is recorded once. And after [`InDoubt`](Self::InDoubt) a commit may be stored.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The commit speaks of a task that no `TASK_CREATED` event made.
    #[error("there is no task {task_id}, record its TASK_CREATED event first")]
    UnknownTask {
        /// The task.
        task_id: TaskId,
    },
    /// A `TASK_CREATED` event for a task that exists.
    #[error("task {task_id} exists already, a new task needs an identifier of its own")]
    TaskExists {
        /// The task.
        task_id: TaskId,
    },
    /// A model call that starts in a task that has ended.
    #[error("task {task_id} has ended: it is {status}, and takes no further model calls")]
    TaskEnded {
        /// The task.
        task_id: TaskId,
        /// How it ended.
        status: TaskStatus,
    },
    /// A transition that does not start where the task stands, or leads where it may not go.
    #[error("task {task_id} is {current} and can not go from {from} to {wanted}")]
    IllegalTransition {
        /// The task.
        task_id: TaskId,
        /// Where it stands.
        current: TaskStatus,
        /// Where the transition says that it stands.
        from: TaskStatus,
        /// Where the transition leads.
        wanted: TaskStatus,
    },
    /// The end of a model call whose parent is not the start of a call of this task.
    #[error("the end of a model call of task {task_id} must name the call's MODEL_CALL_STARTED event as its parent, not {}", shown(.parent.as_ref()))]
    UnknownCall {
        /// The task.
        task_id: TaskId,
        /// What it names instead.
        parent: Option<EventId>,
    },
    /// A second end of one model call.
    #[error("model call {call_id} of task {task_id} has ended already, a call has one end")]
    CallAlreadyEnded {
        /// The task.
        task_id: TaskId,
        /// The start of the call.
        call_id: EventId,
    },
    /// The idempotency key is taken: the request was recorded before.
    #[error("idempotency key `{}` belongs to task {task_id} already", event_payloads::first_chars(.key, 80).escape_debug())]
    Duplicate {
        /// The task that has it.
        task_id: TaskId,
        /// The key.
        key: String,
    },
    /// An artifact with this identifier exists.
    #[error("artifact {artifact_id} exists already, a new one needs an identifier of its own")]
    ArtifactExists {
        /// The artifact.
        artifact_id: ArtifactId,
    },
    /// An artifact over the size limit.
    #[error(
        "artifact `{name}` ({artifact_id}) has {size} bytes, the limit is {limit}; raise the limit or store less"
    )]
    ArtifactTooLarge {
        /// The artifact.
        artifact_id: ArtifactId,
        /// Its name.
        name: String,
        /// Its size, in bytes.
        size: u64,
        /// The largest size, in bytes.
        limit: u64,
    },
    /// A commit that no store could record.
    #[error("the commit for task {task_id} can not be recorded: {reason}")]
    InvalidCommit {
        /// The task.
        task_id: TaskId,
        /// What is wrong with it.
        reason: String,
    },
    /// The store was closed.
    #[error("the event store is closed, nothing can be recorded any more")]
    Closed,
    /// The store was opened for reading.
    #[error("the event store was opened for reading only")]
    ReadOnly,
    /// The disk, or the database's size limit, is full.
    #[error("no space left for the event store, free some on its disk or raise its size limit")]
    Full {
        /// What the database says.
        #[source]
        source: Cause,
    },
    /// Somebody else held the database for too long.
    #[error(
        "another program locked the database for longer than the busy timeout, end that program or try again"
    )]
    Busy {
        /// What the database says.
        #[source]
        source: Cause,
    },
    /// The database server can not be reached, or was lost for longer than a commit is tried again.
    #[error(
        "can not reach the database server {server} for reading and writing, check that it runs, that the network lets us through, and the host, port and sslmode of its URL"
    )]
    Unreachable {
        /// Host, port and database.
        server: String,
        /// What the connection says.
        #[source]
        source: Cause,
    },
    /// The connection broke while the database recorded a commit, and nobody can say yet whether it did:
    /// read before it is tried again.
    #[error(
        "the connection to the database server {server} broke in the middle of a commit, and whether it is recorded is not known; look before trying again"
    )]
    InDoubt {
        /// Host, port and database.
        server: String,
        /// What the connection says.
        #[source]
        source: Cause,
    },
    /// The database server does not let us in.
    #[error(
        "the database server {server} does not let us in, check user, password and database name of its URL"
    )]
    Denied {
        /// Host, port and database.
        server: String,
        /// What the server says.
        #[source]
        source: Cause,
    },
    /// The URL of a database is none.
    #[error(
        "the database URL is not usable: {problem}; it looks like postgres://user:password@host:5432/database"
    )]
    InvalidUrl {
        /// What is wrong with it. Never the URL itself: it may hold a password.
        problem: String,
    },
    /// The database is set up so that it can not keep what we record.
    #[error("the database {server} can not be used: {problem}")]
    Unusable {
        /// Host, port and database.
        server: String,
        /// What is wrong with it, and what to do.
        problem: String,
    },
    /// Another process of ours writes to the database.
    #[error("another octo (pid {}) uses the database {}, stop it or give this one another database", shown(.pid.as_ref()), .path.display())]
    InUse {
        /// The database.
        path: PathBuf,
        /// The process, if it said who it is.
        pid: Option<u32>,
    },
    /// The disk or the system failed.
    #[error("can not {doing}")]
    Io {
        /// What was being done, to what.
        doing: String,
        /// What the system says.
        #[source]
        source: Cause,
    },
    /// What is stored is damaged.
    #[error("{what} is damaged: {problem}")]
    Corrupt {
        /// The row, file or database.
        what: String,
        /// What is wrong with it.
        problem: String,
        /// What is underneath, if there is more.
        #[source]
        source: Option<Cause>,
    },
    /// A newer version made the database, or has brought it to its layout since it was opened.
    #[error(
        "the database has layout {found}, this version knows up to {known}; use a newer version"
    )]
    TooNew {
        /// The layout found.
        found: i64,
        /// The newest that this version knows.
        known: i64,
    },
    /// Reading alone can not bring an old database to today's layout.
    #[error(
        "the database has layout {found}, reading needs {needed}; start `octo serve` on it once, which brings it up to date"
    )]
    TooOld {
        /// The layout found.
        found: i64,
        /// The layout needed.
        needed: i64,
    },
    /// A store that something is to be copied into holds something else.
    #[error(
        "the target holds another log: its event at position {position} is not the source's; copy into an empty database"
    )]
    NotACopy {
        /// The target's last position.
        position: u64,
    },
    /// A copy of a store that was pruned since.
    #[error(
        "the target holds {events} events that the source has no more: it was pruned since the copy began; copy into \
         an empty database"
    )]
    OldCopy {
        /// How many.
        events: u64,
    },
    /// A store that is to be copied into itself.
    #[error("the source and the target are one store under two names; copy into another one")]
    SameStore,
    /// A copy that was broken off, or was not found good.
    #[error(
        "the store is a copy that was broken off or not found good, its sums may be wrong; give the same \
         `octo store copy` again, which completes and checks it"
    )]
    UnfinishedCopy,
    /// A question about costs needs single calls that were removed.
    #[error(
        "some calls of {when} were pruned, only sums by the hour are left of them; ask for whole hours, or of a task for all of it"
    )]
    Pruned {
        /// The hour, or the task.
        when: String,
    },
    /// Another program, such as the Python version, wrote events that have no place in the log yet.
    #[error(
        "another program wrote into the database since it was last opened for writing; start `octo serve` on it once, which takes that in"
    )]
    NotAdopted,
    /// A sum does not fit its type.
    #[error(
        "the sum of costs or tokens does not fit 64 bits, ask for a shorter time or for more groups"
    )]
    Overflow,
    /// Anything else that the database says: a fault in this program.
    #[error("the database refused a statement")]
    Database {
        /// What the database says.
        #[source]
        source: Cause,
    },
}

fn shown<T: std::fmt::Display>(value: Option<&T>) -> String {
    value.map_or_else(|| "none".to_owned(), ToString::to_string)
}

impl StoreError {
    /// True if there is no space left.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        matches!(self, Self::Full { .. })
    }

    /// True if somebody else held the database: trying again can help.
    #[must_use]
    pub const fn is_busy(&self) -> bool {
        matches!(self, Self::Busy { .. })
    }

    /// True if the database server was not there: trying again can help.
    #[must_use]
    pub const fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }

    /// True if the commit may have been recorded all the same.
    #[must_use]
    pub const fn is_in_doubt(&self) -> bool {
        matches!(self, Self::InDoubt { .. })
    }

    /// True if the store was closed.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        matches!(self, Self::Closed)
    }

    /// True if the caller asked for what the rules forbid: trying the same again can not help.
    #[must_use]
    pub const fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::UnknownTask { .. }
                | Self::TaskExists { .. }
                | Self::TaskEnded { .. }
                | Self::IllegalTransition { .. }
                | Self::UnknownCall { .. }
                | Self::CallAlreadyEnded { .. }
                | Self::Duplicate { .. }
                | Self::ArtifactExists { .. }
                | Self::ArtifactTooLarge { .. }
                | Self::InvalidCommit { .. }
                | Self::ReadOnly
        )
    }

    /// The task that has the idempotency key, if that is the reason.
    #[must_use]
    pub const fn duplicate_of(&self) -> Option<&TaskId> {
        match self {
            Self::Duplicate { task_id, .. } => Some(task_id),
            _ => None,
        }
    }
}
