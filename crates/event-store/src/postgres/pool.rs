//! Connections for reading, opened when they are first needed.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, Statement};

use super::connect::{Conn, Connector, Purpose};
use super::failure::Failure;
use super::moment::{self, Moment};
use crate::StoreError;
use crate::sql::Question;

/// How many prepared statements a connection keeps.
const STATEMENTS: usize = 128;

/// The longest that one read may take, with the wait for a connection and a second try.
const LIMIT: Duration = Duration::from_secs(90);

pub(crate) type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// A few connections that read, each for one at a time.
#[derive(Debug)]
pub(crate) struct Readers {
    connector: Connector,
    purpose: Purpose,
    idle: Mutex<Vec<Reader>>,
    places: Semaphore,
    count: u32,
    /// What all of them see; `None` if each read sees what is committed by then.
    moment: Option<Moment>,
}

#[derive(Debug)]
struct Reader {
    conn: Conn,
    statements: HashMap<String, Statement>,
}

impl Reader {
    async fn prepared(&mut self, sql: &str) -> Result<Statement, Failure> {
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.conn.client.prepare(sql).await?;
        if self.statements.len() >= STATEMENTS {
            self.statements.clear();
        }
        self.statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    async fn query(&mut self, sql: &str, params: Params<'_>) -> Result<Vec<Row>, Failure> {
        let statement = self.prepared(sql).await?;
        Ok(self.conn.client.query(&statement, params).await?)
    }
}

/// A reader that goes back to the others, unless it stands in the middle of something.
struct Lent<'a> {
    readers: &'a Readers,
    reader: Option<Reader>,
    /// Set once all answers are there: who drops a read leaves its question with the server.
    reusable: bool,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        if let Some(reader) = self.reader.take()
            && self.reusable
            && reader.conn.is_open()
        {
            self.readers.idle().push(reader);
        }
    }
}

impl Readers {
    pub(crate) fn new(connector: Connector, purpose: Purpose, count: usize) -> Self {
        let count = u32::try_from(count.clamp(1, 256)).unwrap_or(1);
        Self {
            connector,
            purpose,
            idle: Mutex::default(),
            places: Semaphore::new(usize::try_from(count).unwrap_or(1)),
            count,
            moment: None,
        }
    }

    /// Some that all see one moment.
    pub(crate) fn at(self, moment: Moment) -> Self {
        Self {
            moment: Some(moment),
            ..self
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Reader>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn lend(&self) -> Result<Lent<'_>, Failure> {
        let idle = self.idle().pop();
        let reader = match idle {
            Some(reader) => reader,
            None => self.connect().await?,
        };
        Ok(Lent {
            readers: self,
            reader: Some(reader),
            reusable: false,
        })
    }

    async fn connect(&self) -> Result<Reader, Failure> {
        let conn = self.connector.connect(self.purpose).await?;
        if let Some(moment) = &self.moment {
            moment.enter(&conn).await?;
        }
        Ok(Reader {
            conn,
            statements: HashMap::new(),
        })
    }

    /// Both tries of a read and the wait for a place share one limit.
    async fn limited<T>(
        &self,
        read: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, StoreError> {
        let work = async {
            let place = self.places.acquire().await;
            let _place = place.map_err(|_| StoreError::Closed)?;
            read.await
        };
        let done = Conn::within(LIMIT, work).await;
        done.map_err(|failure| failure.told(self.connector.server()))
    }

    /// All rows of a query; asked a second time if its connection was lost.
    pub(crate) async fn query(
        &self,
        sql: &str,
        params: Params<'_>,
    ) -> Result<Vec<Row>, StoreError> {
        self.limited(Box::pin(async {
            match self.query_once(sql, params).await {
                Err(Failure::Lost(_)) => {
                    // What took one connection has probably taken all of them.
                    self.idle().clear();
                    self.query_once(sql, params).await
                }
                rows => rows,
            }
        }))
        .await
    }

    async fn query_once(&self, sql: &str, params: Params<'_>) -> Result<Vec<Row>, Failure> {
        let mut lent = self.lend().await?;
        let rows = match &mut lent.reader {
            Some(reader) => reader.query(sql, params).await,
            None => Ok(Vec::new()),
        };
        // An error ends the transaction in which it sees the moment.
        lent.reusable = match &rows {
            Ok(_) => true,
            Err(failure) => self.moment.is_none() && !failure.is_lost(),
        };
        rows
    }

    /// The answers to several questions about the same moment.
    pub(crate) async fn snapshot(
        &self,
        questions: &[Question],
    ) -> Result<Vec<Vec<Row>>, StoreError> {
        self.limited(Box::pin(async {
            match self.snapshot_once(questions).await {
                Err(Failure::Lost(_)) => {
                    self.idle().clear();
                    self.snapshot_once(questions).await
                }
                answers => answers,
            }
        }))
        .await
    }

    async fn snapshot_once(&self, questions: &[Question]) -> Result<Vec<Vec<Row>>, Failure> {
        let mut lent = self.lend().await?;
        let mut answers = Vec::with_capacity(questions.len());
        if let Some(reader) = &mut lent.reader {
            if self.moment.is_none() {
                reader.conn.client.batch_execute(moment::BEGIN).await?;
            }
            for Question { sql, values } in questions {
                let values = values.iter().map(|value| {
                    let value: &(dyn ToSql + Sync) = value;
                    value
                });
                let values: Vec<_> = values.collect();
                answers.push(reader.query(sql, &values).await?);
            }
            if self.moment.is_none() {
                reader.conn.client.batch_execute("COMMIT").await?;
            }
        }
        lent.reusable = true;
        Ok(answers)
    }

    /// Lets running reads end and closes the connections. Later reads get [`StoreError::Closed`].
    pub(crate) async fn close(&self) {
        // An error means that it was closed before.
        if let Ok(all) = self.places.acquire_many(self.count).await {
            self.places.close();
            drop(all);
        }
        self.idle().clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PostgresOptions;

    #[tokio::test(flavor = "current_thread", start_paused = true)]
    async fn who_gets_no_place_is_told_so_in_time() {
        let url = "postgres://octo@127.0.0.1:1/octo?sslmode=disable";
        let connector = Connector::new(&PostgresOptions::new(url).unwrap()).unwrap();
        let readers = Readers::new(connector, Purpose::Reading, 1);
        let _taken = readers.places.acquire().await.unwrap();
        let question = Question {
            sql: "SELECT 1".to_owned(),
            values: Vec::new(),
        };
        let both = async {
            let one = readers.query(&question.sql, &[]).await.unwrap_err();
            let other = readers.snapshot(&[question]).await.unwrap_err();
            (one, other)
        };
        let (one, other) = tokio::time::timeout(LIMIT * 3, both).await.unwrap();
        assert!(
            one.is_unreachable() && other.is_unreachable(),
            "{one}, {other}"
        );
    }
}
