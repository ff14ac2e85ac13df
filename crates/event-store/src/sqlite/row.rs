//! Rows of SQLite.

use rusqlite::types::FromSql;
use rusqlite::{Connection, Params};

use super::failure::Failure;
use crate::StoreError;
use crate::rows::{Problem, Row};

impl From<rusqlite::Error> for Problem {
    fn from(error: rusqlite::Error) -> Self {
        Self(error.to_string())
    }
}

fn get<T: FromSql>(row: &rusqlite::Row<'_>, column: &str) -> Result<T, Problem> {
    row.get(column).map_err(Problem::from)
}

impl Row for rusqlite::Row<'_> {
    fn text_or_null(&self, column: &str) -> Result<Option<String>, Problem> {
        get(self, column)
    }

    fn number_or_null(&self, column: &str) -> Result<Option<i64>, Problem> {
        get(self, column)
    }

    fn bytes_or_null(&self, column: &str) -> Result<Option<Vec<u8>>, Problem> {
        get(self, column)
    }
}

/// All rows of a query.
pub(crate) fn all<T>(
    conn: &Connection,
    sql: &str,
    params: impl Params,
    read: impl Fn(&rusqlite::Row<'_>) -> Result<T, StoreError>,
) -> Result<Vec<T>, Failure> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(row)?);
    }
    Ok(found)
}

/// The first row of a query, if there is one.
pub(crate) fn first<T>(
    conn: &Connection,
    sql: &str,
    params: impl Params,
    read: impl Fn(&rusqlite::Row<'_>) -> Result<T, StoreError>,
) -> Result<Option<T>, Failure> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    Ok(rows.next()?.map(read).transpose()?)
}
