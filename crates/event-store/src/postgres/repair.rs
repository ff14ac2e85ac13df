//! The connection that goes over everything and writes.

use std::sync::{Mutex, PoisonError};

use super::connect::{Conn, Connector, Purpose};
use super::failure::Failure;
use super::statements::Writing;

/// A connection with the statements that write.
#[derive(Debug)]
pub(crate) struct Repairer {
    pub(crate) conn: Conn,
    pub(crate) writing: Writing,
}

impl Repairer {
    pub(crate) async fn open(connector: &Connector) -> Result<Self, Failure> {
        let conn = connector.connect(Purpose::Repairing).await?;
        let prepare = Box::pin(Writing::prepare(&conn.client));
        let writing = Conn::within(connector.answer_limit(), prepare).await?;
        Ok(Self { conn, writing })
    }
}

/// Keeps one from one page of a copy to the next.
#[derive(Debug, Default)]
pub(crate) struct Kept(Mutex<Option<Repairer>>);

impl Kept {
    /// The one that was kept, or a new one. Who breaks off leaves none behind.
    pub(crate) async fn take(&self, connector: &Connector) -> Result<Repairer, Failure> {
        match self.forget().filter(|kept| kept.conn.is_open()) {
            Some(kept) => Ok(kept),
            None => Repairer::open(connector).await,
        }
    }

    /// For the next page. It must stand outside of any transaction.
    pub(crate) fn keep(&self, repairer: Repairer) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(repairer);
    }

    /// No further page comes.
    pub(crate) fn forget(&self) -> Option<Repairer> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.take()
    }
}
