//! What a group of commits comes to, on its way into the database.

use std::collections::HashMap;

use event_payloads::TaskId;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Statement};

use super::facts::begin;
use super::feed::{tell, tell_only_in};
use super::lease::Lease;
use super::pipeline::{self, Step};
use super::statements::{ANY, Writing};
use super::write::{self, step};
use crate::books::chain::StoredEvent;
use crate::books::plan::Writes;
use crate::books::stamp::Stamp;
use crate::prepared::PreparedArtifact;

/// What is to be written in one transaction.
pub(super) struct Group<'a> {
    pub(super) writes: &'a Writes,
    pub(super) events: Vec<StoredEvent<&'a str>>,
    /// The pointers of the tasks that there are already.
    pub(super) pointers: &'a HashMap<TaskId, String>,
    /// Each with its task and the event that it came with.
    pub(super) artifacts: Vec<(&'a TaskId, &'a Stamp, &'a PreparedArtifact)>,
    pub(super) lease: &'a Lease,
    /// What makes this program known again, where it has to be.
    pub(super) renew: Option<&'a Statement>,
    /// The log's last position before it.
    pub(super) before: u64,
    /// The number that the transaction has to have for anything to be written in it, and that it has yet to
    /// begin; `None` if it has begun, and all was looked up in it.
    pub(super) only_in: Option<i64>,
}

impl Group<'_> {
    /// The rows and the commit, in one round trip. False if nothing was written, because the transaction has
    /// another number.
    pub(super) async fn record(
        &self,
        client: &Client,
        writing: &Writing,
    ) -> Result<bool, pipeline::Broken> {
        let mut steps: Vec<Step<'_>> = Vec::new();
        if self.only_in.is_some() {
            steps.push(Box::pin(async { begin(client).await.map(|()| 0) }));
        }
        let at = steps.len();
        // The events first: they take the server longest, and it works on them while the rest is built.
        let events = || write::events(&self.events);
        steps.push(step(client, &writing.events, self.only(), events));
        steps.extend(self.projections(client, writing));
        steps.extend(self.artifacts(client, writing));
        steps.extend(self.renewal(client));
        steps.push(self.end(client));
        let rows = pipeline::run(steps).await?;
        Ok(rows.get(at).is_some_and(|events| *events > 0))
    }

    fn only(&self) -> i64 {
        self.only_in.unwrap_or(ANY)
    }

    /// The rows that the events change.
    fn projections<'a>(
        &'a self,
        client: &'a Client,
        writing: &'a Writing,
    ) -> impl Iterator<Item = Step<'a>> {
        let owner = Some(self.lease.gateway_id.as_str());
        let Writes {
            tasks, calls, sums, ..
        } = self.writes;
        let (known, new): (Vec<_>, Vec<_>) = tasks
            .iter()
            .partition(|(task_id, _)| self.pointers.contains_key(*task_id));
        let new = (!new.is_empty()).then(|| {
            let columns = move || write::new_tasks(&new, self.pointers, owner);
            step(client, &writing.new_tasks, self.only(), columns)
        });
        let known = (!known.is_empty()).then(|| {
            let columns = move || write::tasks(&known, self.pointers);
            step(client, &writing.tasks, self.only(), columns)
        });
        let calls = (!calls.is_empty()).then(|| {
            let columns = move || write::calls(&write::all_calls(calls), |_| owner);
            step(client, &writing.calls, self.only(), columns)
        });
        let sums = (!sums.0.is_empty()).then(|| {
            let columns = || write::sums(sums);
            step(client, &writing.sums, self.only(), columns)
        });
        [new, known, calls, sums].into_iter().flatten()
    }

    /// Their rows, and the contents that stand in rows of their own.
    fn artifacts<'a>(
        &'a self,
        client: &'a Client,
        writing: &'a Writing,
    ) -> impl Iterator<Item = Step<'a>> {
        let rows = (!self.artifacts.is_empty()).then(|| {
            let columns = || write::artifacts(&self.artifacts);
            step(client, &writing.artifacts, self.only(), columns)
        });
        let contents = self.artifacts.iter().filter_map(move |(_, _, artifact)| {
            let content = artifact.content.as_ref()?;
            let step: Step<'a> = Box::pin(async move {
                let only = self.only();
                let values: [&(dyn ToSql + Sync); 3] =
                    [&artifact.artifact_id.as_str(), content, &only];
                client.execute(&writing.content, &values).await
            });
            Some(step)
        });
        rows.into_iter().chain(contents)
    }

    fn renewal<'a>(&'a self, client: &'a Client) -> Option<Step<'a>> {
        let renew = self.renew?;
        let (id, (seconds, pid)) = (&self.lease.gateway_id, self.lease.values());
        Some(Box::pin(async move {
            client.execute(renew, &[id, &seconds, &pid]).await
        }))
    }

    /// Tells all programs, and commits. After a statement that failed neither is done: the transaction is
    /// over, and nothing of it stays.
    fn end<'a>(&'a self, client: &'a Client) -> Step<'a> {
        let (id, before, head) = (&self.lease.gateway_id, self.before, self.writes.head);
        let tell = match self.only_in {
            Some(transaction) => tell_only_in(transaction, id, before, head),
            None => tell(id, before, head),
        };
        Box::pin(async move {
            let end = format!("{tell}; COMMIT");
            client.batch_execute(&end).await.map(|()| 0)
        })
    }
}
