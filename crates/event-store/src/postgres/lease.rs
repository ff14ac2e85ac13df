//! Who is alive: each program that writes has a row that says until when it counts as alive, renewed over
//! and over. Only the server's clock is asked.

use std::time::Duration;

use tokio::sync::watch;

use super::connect::{Conn, Connector, Purpose};
use super::failure::Failure;
use super::pool::Readers;
use crate::rows;
use crate::sql::{OPEN_COLUMNS, TASK_COLUMNS};
use crate::{Orphans, StoreError};

/// Renews a row, and makes it if it is not there. Takes the program, its time in seconds and its process.
///
/// A program whose row has expired takes it up again: what it works on is its own as long as nobody has
/// ended it. But it begins anew as a judge of others, see [`orphans`].
pub(crate) const RENEW: &str =
    "INSERT INTO gateways AS own (gateway_id, since, expires_at, lease, host, pid)
     VALUES ($1, clock_timestamp(), clock_timestamp() + make_interval(secs => $2::float8), $2,
             coalesce(host(inet_client_addr()), 'local'), $3)
     ON CONFLICT (gateway_id) DO UPDATE SET
         since = CASE WHEN own.expires_at < clock_timestamp() THEN clock_timestamp()
                      ELSE own.since END,
         expires_at = excluded.expires_at
     RETURNING gateway_id";

/// Rows of programs that are long gone: without a row they count as gone as well.
const FORGET: &str =
    "DELETE FROM gateways WHERE expires_at < clock_timestamp() - make_interval(days => 1)";

/// This program's row.
#[derive(Clone, Debug)]
pub(crate) struct Lease {
    pub(crate) gateway_id: String,
    pub(crate) time: Duration,
}

impl Lease {
    pub(crate) const fn new(gateway_id: String, time: Duration) -> Self {
        Self { gateway_id, time }
    }

    fn seconds(&self) -> f64 {
        self.time.as_secs_f64()
    }

    /// The values of [`RENEW`].
    pub(crate) fn values(&self) -> (f64, i64) {
        (self.seconds(), i64::from(std::process::id()))
    }

    async fn renew(&self, conn: &Conn) -> Result<(), Failure> {
        let (seconds, pid) = self.values();
        conn.client
            .query_one(RENEW, &[&self.gateway_id, &seconds, &pid])
            .await?;
        Ok(())
    }

    /// Registers, and forgets those that are long gone.
    pub(crate) async fn register(&self, conn: &Conn) -> Result<(), Failure> {
        conn.client.execute(FORGET, &[]).await?;
        self.renew(conn).await
    }

    /// Renews the row over and over, on a connection of its own, until the store is closed.
    pub(crate) async fn keep(self, connector: Connector, mut closing: watch::Receiver<bool>) {
        let beat = self.time / 5;
        let mut pause = beat;
        let mut conn = None;
        loop {
            tokio::select! {
                // True, or nobody is left who could say so.
                _ = closing.wait_for(|closing| *closing) => return,
                () = tokio::time::sleep(pause) => {}
            }
            // One that hangs must leave time for several more before the row expires.
            let renewed = Conn::within(beat, self.beat(&connector, &mut conn)).await;
            pause = if renewed.is_ok() { beat } else { beat / 5 };
            if let Err(failure) = renewed {
                conn = None;
                let error = failure.told(connector.server());
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "cannot renew the lease on the database, trying again"
                );
            }
        }
    }

    async fn beat(&self, connector: &Connector, conn: &mut Option<Conn>) -> Result<(), Failure> {
        let conn = match conn {
            Some(conn) if conn.is_open() => conn,
            _ => conn.insert(connector.connect(Purpose::Reading).await?),
        };
        self.renew(conn).await
    }

    /// The row goes: what is left of this program is nobody's.
    pub(crate) async fn release(&self, readers: &Readers) -> Result<(), StoreError> {
        let sql = "DELETE FROM gateways WHERE gateway_id = $1";
        readers.query(sql, &[&self.gateway_id]).await?;
        Ok(())
    }
}

/// The condition that nobody works on a row any more, by its `owner`. Takes the program that judges.
///
/// A row that has expired is held against its program only a third of its lease later, and only by one that
/// has been alive for that whole lease itself: after the database was away, everybody gets the chance to
/// come back before anybody is declared dead. Each is judged by the lease that it asked for.
const NOBODYS: &str = "(owner IS NULL OR owner NOT IN (
     SELECT one.gateway_id FROM gateways AS one WHERE
         one.expires_at > clock_timestamp() - make_interval(secs => one.lease / 3)
         OR NOT EXISTS (
             SELECT 1 FROM gateways AS me WHERE me.gateway_id = $1
               AND me.expires_at > clock_timestamp()
               AND me.since < clock_timestamp() - make_interval(secs => one.lease))))";

/// The tasks that end with their program, in the words of the index `idx_tasks_unfinished`. A session goes on
/// with whoever gets its next call, so it stays open for as long as there are calls of it; there may be any
/// number of those.
const UNFINISHED: &str =
    r#"status IN ('CREATED', 'RUNNING') AND requester NOT LIKE '{"channel":"v1-session"%'"#;

/// The most tasks of one look: the rest is there the next time.
const TASKS: i64 = 1_000;

/// What nobody works on any more. Calls are as many as their programs had in flight.
pub(crate) async fn orphans(readers: &Readers, lease: &Lease) -> Result<Orphans, StoreError> {
    let tasks = format!(
        "SELECT {TASK_COLUMNS} FROM tasks WHERE {UNFINISHED} AND {NOBODYS}
         ORDER BY created_at, task_id LIMIT {TASKS}"
    );
    let calls = format!(
        "SELECT {OPEN_COLUMNS} FROM model_calls WHERE status = 'started' AND {NOBODYS}
         ORDER BY started_at, call_id"
    );
    let calls = readers.query(&calls, &[&lease.gateway_id]).await?;
    let tasks = readers.query(&tasks, &[&lease.gateway_id]).await?;
    Ok(Orphans {
        calls: rows::readable(calls.iter().map(rows::open_call).collect()),
        tasks: rows::readable(tasks.iter().map(rows::task).collect()),
    })
}
