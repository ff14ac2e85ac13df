//! A database as rows of text: the same columns from either store.

use std::path::PathBuf;

use rusqlite::{Connection, OpenFlags};

/// A row: its columns as text, or nothing.
pub(crate) type Row = Vec<Option<String>>;

/// Where the books are.
#[derive(Clone, Debug)]
pub(crate) enum Database {
    Sqlite(PathBuf),
}

impl Database {
    /// All rows of a table.
    pub(crate) fn rows(&self, table: &str, columns: &[&str]) -> Vec<Row> {
        match self {
            Self::Sqlite(path) => sqlite(path, table, columns),
        }
    }
}

fn sqlite(path: &PathBuf, table: &str, columns: &[&str]) -> Vec<Row> {
    let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let mut statement = conn.prepare(&select(table, columns)).unwrap();
    let rows = statement.query_map([], |row| {
        (0..columns.len()).map(|index| row.get(index)).collect()
    });
    rows.unwrap().map(Result::unwrap).collect()
}

/// Bytes are read as hexadecimal digits.
fn select(table: &str, columns: &[&str]) -> String {
    let texts: Vec<String> = columns
        .iter()
        .map(|column| match (table, *column) {
            ("events", "hash") | ("tasks", "chain") => format!("lower(hex({column}))"),
            _ => format!("CAST({column} AS TEXT)"),
        })
        .collect();
    format!("SELECT {} FROM {table}", texts.join(", "))
}
