//! What a group of commits comes to, on its way into the database.

use std::collections::HashMap;

use event_payloads::TaskId;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Statement};

use super::feed::note;
use super::lease::Lease;
use super::pipeline::{Broken, Pipeline, Step};
use super::statements::{ANY, Writing};
use super::write::{self, Task, step};
use crate::books::chain::StoredEvent;
use crate::books::plan::Writes;
use crate::books::stamp::Stamp;
use crate::prepared::PreparedArtifact;

/// What is to be written in one transaction.
pub(super) struct Group<'a> {
    pub(super) writes: &'a Writes,
    pub(super) events: Vec<StoredEvent<&'a str>>,
    pub(super) tasks: Tasks<'a>,
    /// Each with its task and the event that it came with.
    pub(super) artifacts: Vec<(&'a TaskId, &'a Stamp, &'a PreparedArtifact)>,
    pub(super) lease: &'a Lease,
    /// What makes this program known again, where it has to be.
    pub(super) renew: Option<&'a Statement>,
    /// The log's last position before it.
    pub(super) before: u64,
    /// The number that the transaction has to have for anything to be written in it; `None` if all was looked
    /// up in it.
    pub(super) only_in: Option<i64>,
}

/// Tasks whose rows change.
pub(super) struct Tasks<'a> {
    new: Vec<Task<'a>>,
    known: Vec<Task<'a>>,
}

impl<'a> Tasks<'a> {
    /// `pointers`: of the tasks that there are already.
    pub(super) fn new(writes: &'a Writes, pointers: &HashMap<TaskId, String>) -> Self {
        let (mut new, mut known) = (Vec::new(), Vec::new());
        for (id, row) in &writes.tasks {
            let before = pointers.get(id);
            let tasks = if before.is_some() {
                &mut known
            } else {
                &mut new
            };
            tasks.push(Task::new(id, row, before));
        }
        Self { new, known }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Task<'a>> {
        self.new.iter().chain(&self.known)
    }
}

impl Group<'_> {
    /// Sends the rows and the commit, in a transaction that has begun. Gives the place of the answer that says how
    /// many events were written: none, if the transaction has another number. After a statement that failed
    /// nothing is committed, and nobody is told.
    pub(super) async fn send<'a>(
        &'a self,
        pipeline: &mut Pipeline<'a>,
        client: &'a Client,
        writing: &'a Writing,
    ) -> Result<usize, Broken> {
        // The events first: they take the server longest, and it works on them while the rest is built.
        let at = pipeline.send(self.events(client, writing)).await?;
        pipeline.hand_on().await;
        for step in self.projections(client, writing) {
            pipeline.send(step).await?;
        }
        for step in self.artifacts(client, writing) {
            pipeline.send(step).await?;
        }
        if let Some(step) = self.renewal(client) {
            pipeline.send(step).await?;
        }
        let commit = async { client.batch_execute("COMMIT").await.map(|()| 0) };
        pipeline.send(Box::pin(commit)).await?;
        pipeline.hand_on().await;
        Ok(at)
    }

    fn only(&self) -> i64 {
        self.only_in.unwrap_or(ANY)
    }

    /// The events, with the note that tells all programs of them.
    fn events<'a>(&'a self, client: &'a Client, writing: &'a Writing) -> Step<'a> {
        let note = note(&self.lease.gateway_id, self.before, self.writes.head);
        write::event_step(client, writing, self.only(), &self.events, Some(note))
    }

    /// The rows that the events change.
    fn projections<'a>(
        &'a self,
        client: &'a Client,
        writing: &'a Writing,
    ) -> impl Iterator<Item = Step<'a>> {
        let owner = Some(self.lease.gateway_id.as_str());
        let Writes { calls, sums, .. } = self.writes;
        let Tasks { new, known } = &self.tasks;
        let new = (!new.is_empty()).then(|| {
            let columns = move || write::new_tasks(new, owner);
            step(client, &writing.new_tasks, self.only(), columns)
        });
        let known = (!known.is_empty()).then(|| {
            let columns = move || write::tasks(known);
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
}
