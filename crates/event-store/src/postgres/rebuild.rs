//! The projections, computed anew from the events.

use std::collections::HashMap;

use event_payloads::TaskId;
use tokio_postgres::{Client, Transaction};

use super::connect::Connector;
use super::facts::LOCK;
use super::failure::Failure;
use super::pipeline::{self, Step};
use super::repair::Repairer;
use super::statements::{ANY, Writing};
use super::walk::Walk;
use super::write;
use crate::books::recount::Recounted;
use crate::books::sums::Changes;
use crate::rows::Row as _;
use crate::{Rebuilt, StoreError};

/// Computes `model_calls`, the sums and `tasks` anew, while all commits wait.
pub(crate) async fn everything(connector: &Connector) -> Result<Rebuilt, StoreError> {
    let work = async {
        let mut repairer = Repairer::open(connector).await?;
        let tx = repairer.conn.client.transaction().await?;
        let rebuilt = rebuild(&tx, &repairer.writing).await?;
        tx.commit().await?;
        Ok::<_, Failure>(rebuilt)
    };
    Box::pin(work)
        .await
        .map_err(|failure| failure.told(connector.server()))
}

/// Computes the projections, some tasks at a time.
struct Rebuild<'a> {
    client: &'a Client,
    writing: &'a Writing,
    /// Whose the open calls are: the events do not say.
    owners: HashMap<String, String>,
    shared: Changes,
    rebuilt: Rebuilt,
}

async fn rebuild(tx: &Transaction<'_>, writing: &Writing) -> Result<Rebuilt, Failure> {
    tx.batch_execute(LOCK).await?;
    let mut rebuild = Rebuild {
        client: tx.client(),
        writing,
        owners: owners(tx).await?,
        shared: Changes::default(),
        rebuilt: Rebuilt::default(),
    };
    tx.batch_execute("DELETE FROM model_calls; DELETE FROM cost_sums")
        .await?;
    let mut walk = Walk::begin(tx).await?;
    while let Some(done) = walk.next(tx).await? {
        rebuild.write(done).await?;
    }
    if !rebuild.shared.0.is_empty() {
        let columns = || write::sums(&rebuild.shared);
        let sums = vec![write::step(rebuild.client, &writing.sums, ANY, columns)];
        pipeline::run(sums)
            .await
            .map_err(|broken| Failure::from(broken.error))?;
    }
    Ok(rebuild.rebuilt)
}

async fn owners(tx: &Transaction<'_>) -> Result<HashMap<String, String>, Failure> {
    let sql =
        "SELECT call_id, owner FROM model_calls WHERE status = 'started' AND owner IS NOT NULL";
    let rows = tx.query(sql, &[]).await?;
    let pairs = rows
        .iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)));
    Ok(pairs.collect::<Result<_, tokio_postgres::Error>>()?)
}

/// The rows of tasks, with the pointers that they have now.
fn rows<'a>(tasks: &[&'a Recounted], pointers: &HashMap<TaskId, String>) -> Vec<write::Task<'a>> {
    let tasks = tasks.iter();
    let rows = tasks.map(|Recounted { task_id, task, .. }| {
        write::Task::new(task_id, task, pointers.get(task_id))
    });
    rows.collect()
}

impl Rebuild<'_> {
    /// Writes the tasks that are done.
    async fn write(&mut self, mut done: Vec<Recounted>) -> Result<(), Failure> {
        if done.is_empty() {
            return Ok(());
        }
        let pointers = self.before(&mut done).await?;
        let mut own = Changes::default();
        for task in &mut done {
            self.rebuilt.events += task.events;
            self.rebuilt.undecodable += task.undecodable;
            self.rebuilt.calls += u64::try_from(task.calls.len()).unwrap_or(u64::MAX);
            let (of_task, shared) = std::mem::take(&mut task.sums).split();
            own.merge(of_task);
            self.shared.merge(shared);
        }
        let (told, silent): (Vec<_>, Vec<_>) =
            done.iter().partition(|task| task.task.created.is_some());
        // A task whose first event is missing or can not be read keeps what its row says.
        let (known, new): (Vec<_>, Vec<_>) = silent
            .into_iter()
            .partition(|task| pointers.contains_key(&task.task_id));
        let (told, known, new) = (
            rows(&told, &pointers),
            rows(&known, &pointers),
            rows(&new, &pointers),
        );
        let calls: Vec<_> = done.iter().flat_map(|task| &task.calls).collect();
        let owner = |call: &crate::books::call::CallRow| {
            self.owners.get(call.id().as_str()).map(String::as_str)
        };
        let tables = [
            (
                &self.writing.restored_tasks,
                write::new_tasks(&told, None),
                told.len(),
            ),
            (
                &self.writing.new_tasks,
                write::new_tasks(&new, None),
                new.len(),
            ),
            (&self.writing.tasks, write::tasks(&known), known.len()),
            (
                &self.writing.calls,
                write::calls(&calls, owner),
                calls.len(),
            ),
            (&self.writing.sums, write::sums(&own), own.0.len()),
        ];
        let steps: Vec<Step<'_>> = tables
            .into_iter()
            .filter(|(_, _, rows)| *rows > 0)
            .map(|(statement, columns, _)| write::step(self.client, statement, ANY, || columns))
            .collect();
        let written = pipeline::run(steps).await;
        written.map_err(|broken| Failure::from(broken.error))?;
        Ok(())
    }

    /// What the rows of tasks point at now. Where the events do not say where a task stands, its row does.
    async fn before(&self, done: &mut [Recounted]) -> Result<HashMap<TaskId, String>, Failure> {
        let ids: Vec<&str> = done.iter().map(|task| task.task_id.as_str()).collect();
        let sql = "SELECT task_id, status, pointers FROM tasks WHERE task_id = ANY($1)";
        let rows = self.client.query(sql, &[&ids]).await?;
        let mut pointers = HashMap::with_capacity(rows.len());
        let mut statuses = HashMap::with_capacity(rows.len());
        for row in &rows {
            let Ok(task_id) = row.try_get::<_, &str>(0)?.parse::<TaskId>() else {
                continue;
            };
            statuses.insert(task_id.clone(), row.text("status").unwrap_or_default());
            pointers.insert(task_id, row.try_get(2)?);
        }
        for task in done.iter_mut().filter(|task| task.task.status.is_none()) {
            let status = statuses
                .get(&task.task_id)
                .and_then(|word| word.parse().ok());
            task.task.status = status;
        }
        Ok(pointers)
    }
}
