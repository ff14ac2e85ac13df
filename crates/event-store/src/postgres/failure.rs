//! What Postgres says, in the store's words.

use std::error::Error;
use std::sync::Arc;

use tokio_postgres::error::SqlState;

use crate::rows::corrupt;
use crate::{Cause, StoreError};

/// Why something did not work.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The connection, or the server behind it, is gone: another one may do.
    Lost(Cause),
    /// Anything else. The connection goes on.
    Store(StoreError),
}

impl Failure {
    pub(crate) fn lost(reason: &'static str) -> Self {
        Self::Lost(Arc::new(std::io::Error::other(reason)))
    }

    pub(crate) const fn is_lost(&self) -> bool {
        matches!(self, Self::Lost(_))
    }

    /// As its caller hears of it.
    pub(crate) fn told(self, server: &str) -> StoreError {
        match self {
            Self::Lost(source) => StoreError::Unreachable {
                server: server.to_owned(),
                source,
            },
            Self::Store(error) => error,
        }
    }

    /// A connection that was not made.
    pub(crate) fn connecting(error: tokio_postgres::Error, server: &str) -> Self {
        let denied = error.code().is_some_and(|code| {
            code.code().starts_with("28")
                || *code == SqlState::INVALID_CATALOG_NAME
                || *code == SqlState::INSUFFICIENT_PRIVILEGE
        });
        if denied {
            return Self::Store(StoreError::Denied {
                server: server.to_owned(),
                source: Arc::new(error),
            });
        }
        Self::Lost(Arc::new(error))
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        let lost = error
            .code()
            .map_or_else(|| lost_underneath(&error), is_lost);
        let code = error.code().cloned();
        let source: Cause = Arc::new(error);
        if lost {
            return Self::Lost(source);
        }
        Self::Store(translate(code.as_ref(), source))
    }
}

/// True for codes after which another connection, perhaps to another server, may do.
fn is_lost(code: &SqlState) -> bool {
    let class = code.code().get(..2).unwrap_or_default();
    class == "08"
        || [
            SqlState::ADMIN_SHUTDOWN,
            SqlState::CRASH_SHUTDOWN,
            SqlState::CANNOT_CONNECT_NOW,
            SqlState::DATABASE_DROPPED,
            SqlState::TOO_MANY_CONNECTIONS,
            SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
            // A server that was demoted, or one that never took writes.
            SqlState::READ_ONLY_SQL_TRANSACTION,
        ]
        .contains(code)
}

/// An error without a code is one of the connection, unless a value did not fit its column.
fn lost_underneath(error: &tokio_postgres::Error) -> bool {
    error.is_closed()
        || error
            .source()
            .is_none_or(|source| source.downcast_ref::<std::io::Error>().is_some())
}

fn translate(code: Option<&SqlState>, source: Cause) -> StoreError {
    let Some(code) = code else {
        return StoreError::Database { source };
    };
    if *code == SqlState::LOCK_NOT_AVAILABLE || *code == SqlState::QUERY_CANCELED {
        return StoreError::Busy { source };
    }
    if *code == SqlState::DISK_FULL {
        return StoreError::Full { source };
    }
    if *code == SqlState::NUMERIC_VALUE_OUT_OF_RANGE {
        return StoreError::Overflow;
    }
    if *code == SqlState::DATA_CORRUPTED || *code == SqlState::INDEX_CORRUPTED {
        return StoreError::Corrupt {
            what: "the database".to_owned(),
            problem: "restore it from a backup".to_owned(),
            source: Some(source),
        };
    }
    StoreError::Database { source }
}

/// A column of another type than ours: somebody changed the layout.
pub(crate) fn wrong_type(error: &tokio_postgres::Error) -> StoreError {
    corrupt("a row of the database", error.to_string())
}
