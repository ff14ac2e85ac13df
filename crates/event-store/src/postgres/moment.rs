//! One moment of the database, for a reader that comes page by page.

use std::sync::Arc;

use super::connect::Conn;
use super::failure::Failure;

/// What every statement of a transaction sees: what was committed when the transaction began.
pub(crate) const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// What was committed at one moment. Connections come to see it for as long as the one that holds it is open.
#[derive(Debug)]
pub(crate) struct Moment {
    _holder: Conn,
    name: String,
}

impl Moment {
    /// This one, held by a connection that is used for nothing else from now on.
    pub(crate) async fn now(holder: Conn) -> Result<Self, Failure> {
        holder.client.batch_execute(BEGIN).await?;
        let export = "SELECT pg_export_snapshot()";
        let name = holder.client.query_one(export, &[]).await?.try_get(0)?;
        Ok(Self {
            _holder: holder,
            name,
        })
    }

    /// Lets another connection see it.
    pub(crate) async fn enter(&self, conn: &Conn) -> Result<(), Failure> {
        // The server's own word, which has no quote in it.
        let enter = format!("{BEGIN}; SET TRANSACTION SNAPSHOT '{}'", self.name);
        let entered = conn.client.batch_execute(&enter).await;
        // Whatever it says: without the connection that holds it, the server does not know the moment.
        entered.map_err(|error| Failure::Lost(Arc::new(error)))
    }
}
