//! Rows of Postgres.

use std::fmt::Display;

use tokio_postgres::row::RowIndex;
use tokio_postgres::types::{FromSql, Type};

use crate::rows::{Problem, Row};

impl From<tokio_postgres::Error> for Problem {
    fn from(error: tokio_postgres::Error) -> Self {
        let underneath = std::error::Error::source(&error);
        Self(underneath.map_or_else(|| error.to_string(), ToString::to_string))
    }
}

fn get<'a, T, I>(row: &'a tokio_postgres::Row, column: I) -> Result<T, Problem>
where
    T: FromSql<'a>,
    I: RowIndex + Display,
{
    row.try_get(column).map_err(Problem::from)
}

impl Row for tokio_postgres::Row {
    fn text_or_null(&self, column: &str) -> Result<Option<String>, Problem> {
        get(self, column)
    }

    fn number_or_null(&self, column: &str) -> Result<Option<i64>, Problem> {
        let mut columns = self.columns().iter().enumerate();
        let Some((at, found)) = columns.find(|(_, each)| each.name() == column) else {
            return get(self, column);
        };
        match *found.type_() {
            Type::INT2 => Ok(get::<Option<i16>, _>(self, at)?.map(i64::from)),
            Type::INT4 => Ok(get::<Option<i32>, _>(self, at)?.map(i64::from)),
            _ => get(self, at),
        }
    }

    fn bytes_or_null(&self, column: &str) -> Result<Option<Vec<u8>>, Problem> {
        get(self, column)
    }
}
