//! Goes over all events of a database, task by task, each in its order.

use tokio_postgres::{Portal, Transaction};

use super::failure::Failure;
use crate::books::recount::{Recount, Recounted};
use crate::rows;
use crate::sql::EVENT_COLUMNS;

/// How many events are read at once.
const PAGE: i32 = 2_000;

/// Where a walk stands.
pub(crate) struct Walk {
    events: Portal,
    /// `None` at the end.
    recount: Option<Recount>,
}

impl Walk {
    pub(crate) async fn begin(tx: &Transaction<'_>) -> Result<Self, Failure> {
        let all = format!("SELECT {EVENT_COLUMNS} FROM events ORDER BY task_id, task_seq");
        Ok(Self {
            events: tx.bind(&all, &[]).await?,
            recount: Some(Recount::default()),
        })
    }

    /// The next tasks whose events were all seen, perhaps none; `None` at the end.
    pub(crate) async fn next(
        &mut self,
        tx: &Transaction<'_>,
    ) -> Result<Option<Vec<Recounted>>, Failure> {
        let Some(recount) = &mut self.recount else {
            return Ok(None);
        };
        let page = tx.query_portal(&self.events, PAGE).await?;
        let mut done = Vec::new();
        for row in &page {
            match rows::stored_event(row) {
                Ok(stored) => done.extend(recount.add(&stored)),
                Err(error) => tracing::warn!(%error, "event left out of the projections"),
            }
        }
        if page.is_empty() {
            done.extend(self.recount.take().and_then(Recount::finish));
        }
        Ok(Some(done))
    }
}
