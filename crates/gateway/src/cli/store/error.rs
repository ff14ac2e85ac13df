//! Why a command about a store did nothing.

use std::io;
use std::path::PathBuf;

use event_relay::RelayError;
use event_store::StoreError;

use crate::cli::Exit;

/// Why a command about a store did nothing. No message holds a URL: there can be a password in it.
#[derive(Debug, thiserror::Error)]
pub(super) enum StoreCommandError {
    #[error(
        "there is no store at {}; name its .db file or its data folder (the one with sqlite/octoagent.db in it)",
        .0.display()
    )]
    Missing(PathBuf),
    #[error("`{0}://` is no store; name a .db file, a data folder, or a postgres:// URL")]
    Scheme(String),
    #[error(
        "{count} other octo write to {server}; stop them first (one that was killed counts until its lease expires)"
    )]
    OthersWrite { server: String, count: u64 },
    #[error("{0}")]
    Usage(String),
    #[error("{} is not empty; back up into a folder that is empty or does not exist", .0.display())]
    NotEmpty(PathBuf),
    #[error("another backup to {} is being written; wait for its end or name another folder", .0.display())]
    Twice(PathBuf),
    #[error("can not {doing}")]
    Io {
        doing: String,
        #[source]
        source: io::Error,
    },
    #[error(
        "what NATS has not got stays, and it gave no usable answer about what it has; --without-nats removes that too"
    )]
    Nats(#[source] RelayError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl StoreCommandError {
    pub(super) fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        |source| Self::Io { doing, source }
    }

    pub(super) const fn exit(&self) -> Exit {
        match self {
            Self::Scheme(_) | Self::Usage(_) | Self::NotEmpty(_) => Exit::Usage,
            Self::Missing(_)
            | Self::OthersWrite { .. }
            | Self::Twice(_)
            | Self::Io { .. }
            | Self::Nats(_)
            | Self::Store(_) => Exit::Failed,
        }
    }
}
