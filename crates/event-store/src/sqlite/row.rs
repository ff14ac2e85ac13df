//! Rows of SQLite.

use std::cell::Cell;

use rusqlite::types::FromSql;
use rusqlite::{Connection, Params, Statement};

use super::failure::Failure;
use crate::StoreError;
use crate::rows::{Problem, Row};

impl From<rusqlite::Error> for Problem {
    fn from(error: rusqlite::Error) -> Self {
        Self(error.to_string())
    }
}

/// A row that is mostly read in the order of its columns. Where SQLite's own rows compare a name with those of
/// all columns, which takes longer than what is read, this one begins behind the column that was read last.
pub(crate) struct InOrder<'a> {
    row: &'a rusqlite::Row<'a>,
    next: Cell<usize>,
}

impl<'a> InOrder<'a> {
    pub(crate) const fn new(row: &'a rusqlite::Row<'a>) -> Self {
        Self {
            row,
            next: Cell::new(0),
        }
    }

    fn get<T: FromSql>(&self, column: &str) -> Result<T, Problem> {
        let statement: &Statement<'_> = self.row.as_ref();
        let next = self.next.get();
        let is_it = |at: &usize| statement.column_name(*at).is_ok_and(|name| name == column);
        let found = (next..statement.column_count()).chain(0..next).find(is_it);
        let at = found.ok_or_else(|| rusqlite::Error::InvalidColumnName(column.to_owned()))?;
        self.next.set(at + 1);
        Ok(self.row.get(at)?)
    }
}

impl Row for InOrder<'_> {
    fn text_or_null(&self, column: &str) -> Result<Option<String>, Problem> {
        self.get(column)
    }

    fn number_or_null(&self, column: &str) -> Result<Option<i64>, Problem> {
        self.get(column)
    }

    fn bytes_or_null(&self, column: &str) -> Result<Option<Vec<u8>>, Problem> {
        self.get(column)
    }
}

/// All rows of a query.
pub(crate) fn all<T>(
    conn: &Connection,
    sql: &str,
    params: impl Params,
    read: impl Fn(&InOrder<'_>) -> Result<T, StoreError>,
) -> Result<Vec<T>, Failure> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(&InOrder::new(row))?);
    }
    Ok(found)
}

/// The first row of a query, if there is one.
pub(crate) fn first<T>(
    conn: &Connection,
    sql: &str,
    params: impl Params,
    read: impl Fn(&InOrder<'_>) -> Result<T, StoreError>,
) -> Result<Option<T>, Failure> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let first = rows.next()?;
    Ok(first.map(|row| read(&InOrder::new(row))).transpose()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_found_in_any_order_and_others_are_named() {
        let conn = Connection::open_in_memory().unwrap();
        let sql = "SELECT 1 AS one, 2 AS two, NULL AS three";
        let read = |row: &InOrder<'_>| {
            for (column, value) in [("one", 1), ("two", 2), ("one", 1), ("one", 1), ("two", 2)] {
                assert_eq!(row.number(column).unwrap(), value);
            }
            assert_eq!(row.number_or_null("three").unwrap(), None);
            let Problem(problem) = row.number("four").unwrap_err();
            assert!(problem.contains("four"), "{problem}");
            Ok(row.number("two").unwrap())
        };
        assert_eq!(all(&conn, sql, [], read).unwrap(), [2]);
    }
}
