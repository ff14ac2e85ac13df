//! Rows of Postgres.

use tokio_postgres::types::{FromSql, Type};

use crate::rows::{Problem, Row};

impl From<tokio_postgres::Error> for Problem {
    fn from(error: tokio_postgres::Error) -> Self {
        let underneath = std::error::Error::source(&error);
        Self(underneath.map_or_else(|| error.to_string(), ToString::to_string))
    }
}

fn get<'a, T: FromSql<'a>>(row: &'a tokio_postgres::Row, column: &str) -> Result<T, Problem> {
    row.try_get(column).map_err(Problem::from)
}

impl Row for tokio_postgres::Row {
    fn text_or_null(&self, column: &str) -> Result<Option<String>, Problem> {
        get(self, column)
    }

    fn number_or_null(&self, column: &str) -> Result<Option<i64>, Problem> {
        let found = self.columns().iter().find(|each| each.name() == column);
        match found.map(tokio_postgres::Column::type_) {
            Some(&Type::INT2) => Ok(get::<Option<i16>>(self, column)?.map(i64::from)),
            Some(&Type::INT4) => Ok(get::<Option<i32>>(self, column)?.map(i64::from)),
            _ => get(self, column),
        }
    }

    fn bytes_or_null(&self, column: &str) -> Result<Option<Vec<u8>>, Problem> {
        get(self, column)
    }
}
