//! A database as rows of text: the same columns from either store.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};
use serde_json::Value;

use crate::psql::Psql;

/// A row: its columns as text, or nothing.
pub(crate) type Row = Vec<Option<String>>;

/// A table, and which of its columns to read.
pub(crate) type Table<'a> = (&'a str, &'a [&'a str]);

/// Where the books are.
#[derive(Clone, Debug)]
pub(crate) enum Database {
    Sqlite(PathBuf),
    Postgres(Psql),
}

impl Database {
    /// All rows of these tables, as of one moment.
    pub(crate) fn rows<const N: usize>(&self, tables: [Table<'_>; N]) -> [Vec<Row>; N] {
        match self {
            Self::Sqlite(path) => sqlite(path, tables),
            Self::Postgres(psql) => postgres(psql, tables),
        }
    }
}

impl Database {
    /// The contents of artifacts that a database holds in place of files.
    pub(crate) fn contents(&self) -> BTreeMap<String, Vec<u8>> {
        let Self::Postgres(psql) = self else {
            return BTreeMap::new();
        };
        let [rows] = postgres(psql, [("artifact_contents", &["artifact_id", "content"])]);
        let content = |row: Row| {
            let [id, content] = row.try_into().unwrap();
            (id.unwrap(), unhex(&content.unwrap()))
        };
        rows.into_iter().map(content).collect()
    }
}

fn unhex(digits: &str) -> Vec<u8> {
    let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
    (0..digits.len()).step_by(2).map(byte).collect()
}

fn sqlite<const N: usize>(path: &Path, tables: [Table<'_>; N]) -> [Vec<Row>; N] {
    let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let tx = conn.unchecked_transaction().unwrap();
    tables.map(|(table, columns)| {
        let columns = texts(table, columns, |bytes| format!("lower(hex({bytes}))"));
        let sql = format!("SELECT {} FROM {table}", columns.join(", "));
        let mut statement = tx.prepare(&sql).unwrap();
        let rows = statement.query_map([], |row| {
            (0..columns.len()).map(|index| row.get(index)).collect()
        });
        rows.unwrap().map(Result::unwrap).collect()
    })
}

/// A row a line, as JSON: the number of its table, then its columns.
fn postgres<const N: usize>(psql: &Psql, tables: [Table<'_>; N]) -> [Vec<Row>; N] {
    let selects = tables.iter().enumerate().map(|(number, (table, columns))| {
        let columns = texts(table, columns, |bytes| format!("encode({bytes}, 'hex')"));
        let columns = columns.join(", ");
        format!("SELECT json_build_array({number}, {columns}) FROM {table}")
    });
    let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ".to_owned();
    let commands: Vec<String> = std::iter::once(begin).chain(selects).collect();
    let mut rows = [const { Vec::new() }; N];
    for line in psql.run(&commands).unwrap().lines() {
        let row: Vec<Value> = serde_json::from_str(line).unwrap();
        let number = usize::try_from(row[0].as_u64().unwrap()).unwrap();
        let columns = row.iter().skip(1);
        let texts = columns.map(|column| column.as_str().map(str::to_owned));
        rows[number].push(texts.collect());
    }
    rows
}

/// Every column as text, bytes as hexadecimal digits.
fn texts(table: &str, columns: &[&str], hex: impl Fn(&str) -> String) -> Vec<String> {
    let text = |column: &&str| match (table, *column) {
        ("events", "hash") | ("tasks", "chain") | (_, "content") => hex(column),
        _ => format!("CAST({column} AS TEXT)"),
    };
    columns.iter().map(text).collect()
}
