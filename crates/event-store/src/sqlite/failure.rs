//! What SQLite says, in the store's words.

use std::sync::Arc;

use rusqlite::ErrorCode;

use crate::StoreError;
use crate::rows::corrupt;

/// Either kind of error, so that `?` works on both until the edge of this module.
#[derive(Debug)]
pub(crate) enum Failure {
    Sql(rusqlite::Error),
    Store(StoreError),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Sql(error) => translate(error),
            Failure::Store(error) => error,
        }
    }
}

fn translate(error: rusqlite::Error) -> StoreError {
    use rusqlite::Error as Sql;
    if matches!(&error, Sql::SqliteFailure(_, Some(text)) if text == "integer overflow") {
        return StoreError::Overflow;
    }
    let code = error.sqlite_error_code();
    let wrong_type = matches!(
        error,
        Sql::FromSqlConversionFailure(..)
            | Sql::InvalidColumnType(..)
            | Sql::IntegralValueOutOfRange(..)
            | Sql::Utf8Error(..)
    );
    let source = Arc::new(error);
    match code {
        Some(ErrorCode::DiskFull) => StoreError::Full { source },
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Busy { source },
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreError::Corrupt {
            what: "the database file".to_owned(),
            problem: "restore it from a copy, or salvage it with `sqlite3 FILE .recover`"
                .to_owned(),
            source: Some(source),
        },
        Some(
            ErrorCode::SystemIoFailure
            | ErrorCode::CannotOpen
            | ErrorCode::ReadOnly
            | ErrorCode::PermissionDenied,
        ) => StoreError::Io {
            doing: "use the database file, check its folder, rights and disk".to_owned(),
            source,
        },
        _ if wrong_type => corrupt("a row of the database", "a column has another type"),
        _ => StoreError::Database { source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(code: i32) -> StoreError {
        translate(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(code),
            None,
        ))
    }

    #[test]
    fn each_code_of_sqlite_has_its_word() {
        use rusqlite::ffi;
        assert!(told(ffi::SQLITE_FULL).is_full());
        assert!(told(ffi::SQLITE_BUSY).is_busy());
        assert!(told(ffi::SQLITE_LOCKED).is_busy());
        assert!(matches!(
            told(ffi::SQLITE_CORRUPT),
            StoreError::Corrupt { .. }
        ));
        assert!(matches!(told(ffi::SQLITE_IOERR), StoreError::Io { .. }));
        assert!(matches!(
            told(ffi::SQLITE_ERROR),
            StoreError::Database { .. }
        ));
    }

    #[test]
    fn a_column_of_another_type_is_damage_not_a_fault_of_ours() {
        let error = rusqlite::Error::IntegralValueOutOfRange(0, -1);
        assert!(matches!(translate(error), StoreError::Corrupt { .. }));
    }
}
