//! What the store wrote, for the bare database to write too.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::Result;
use event_payloads::{LoggedEvent, Payload, TaskCreated};
use event_store::{EventStore, LogQuery, Requester};

/// As long as one of the chain, and as little use to whoever would make it smaller.
pub(super) const HASH: [u8; 32] = [7; 32];

/// How many events are read at once.
const PAGE: usize = 10_000;

/// An event as the columns of its row.
pub(super) struct Row {
    pub(super) event_id: String,
    pub(super) task_id: String,
    pub(super) task_seq: i64,
    pub(super) ts: String,
    pub(super) event_type: String,
    pub(super) actor: String,
    pub(super) payload: String,
    pub(super) trace_id: String,
    pub(super) position: i64,
    /// What its task points to then.
    pub(super) pointers: String,
    /// The task that begins with it.
    pub(super) task: Option<NewTask>,
}

pub(super) struct NewTask {
    pub(super) created: TaskCreated,
    pub(super) requester: String,
}

impl Row {
    fn new(logged: LoggedEvent) -> Result<Self> {
        let LoggedEvent { cursor, event } = logged;
        let task = match event.decode()? {
            Payload::TaskCreated(created) => Some(NewTask::new(created)?),
            _ => None,
        };
        Ok(Self {
            pointers: format!(r#"{{"latest_event_id":"{}"}}"#, event.event_id),
            event_id: event.event_id.to_string(),
            task_id: event.task_id.to_string(),
            task_seq: i64::try_from(event.task_seq)?,
            ts: event.ts.to_string(),
            event_type: event.event_type.to_string(),
            actor: event.actor.to_string(),
            payload: event.payload.to_string(),
            trace_id: event.trace_id,
            position: i64::try_from(cursor)?,
            task,
        })
    }
}

impl NewTask {
    fn new(created: TaskCreated) -> Result<Self> {
        let requester = Requester {
            channel: created.channel.clone(),
            sender_id: created.sender_id.clone(),
        };
        Ok(Self {
            requester: serde_json::to_string(&requester)?,
            created,
        })
    }
}

/// What a store has written after a position, in the order in which it did.
pub(super) async fn since(store: &Arc<dyn EventStore>, after: u64) -> Result<Vec<Arc<Row>>> {
    let mut query = LogQuery {
        after,
        types: Vec::new(),
        limit: PAGE,
    };
    let mut rows = Vec::new();
    loop {
        let page = store.log(query.clone()).await?;
        query.after = page.next;
        for event in page.events {
            rows.push(Arc::new(Row::new(event)?));
        }
        if page.caught_up {
            return Ok(rows);
        }
    }
}

/// What is written in one transaction.
pub(super) struct Batch {
    pub(super) rows: Vec<Arc<Row>>,
    /// The last of each task that is there already: what the task comes to say.
    pub(super) changes: Vec<Arc<Row>>,
}

impl Batch {
    fn new(rows: &[Arc<Row>]) -> Self {
        let each = rows.iter();
        let last: HashMap<&str, &Arc<Row>> = each.map(|row| (row.task_id.as_str(), row)).collect();
        let changed = last.into_values().filter(|row| row.task.is_none());
        let mut changes: Vec<Arc<Row>> = changed.cloned().collect();
        changes.sort_unstable_by_key(|row| row.position);
        Self {
            rows: rows.to_vec(),
            changes,
        }
    }

    /// How many events they are.
    pub(super) fn events(&self) -> u64 {
        u64::try_from(self.rows.len()).unwrap_or(u64::MAX)
    }

    /// Tasks that begin.
    pub(super) fn new_tasks(&self) -> impl Iterator<Item = (&Row, &NewTask)> {
        self.rows
            .iter()
            .filter_map(|row| Some((row.as_ref(), row.task.as_ref()?)))
    }
}

/// Rows in transactions of so many.
pub(super) fn batches(rows: &[Arc<Row>], size: usize) -> Vec<Batch> {
    rows.chunks(size).map(Batch::new).collect()
}

/// Transactions of a row each, for so many that write at once: all of a task for one of them.
pub(super) fn shares(rows: &[Arc<Row>], writers: usize) -> Vec<Vec<Batch>> {
    let mut shares: Vec<Vec<Batch>> = std::iter::repeat_with(Vec::new).take(writers).collect();
    let mut writer_of: HashMap<&str, usize> = HashMap::new();
    for row in rows {
        let next = writer_of.len() % writers;
        let writer = *writer_of.entry(&row.task_id).or_insert(next);
        if let Some(share) = shares.get_mut(writer) {
            share.push(Batch::new(std::slice::from_ref(row)));
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use event_store::{Clock, Commit, IdSource, ManualClock, SqliteOptions, SqliteStore};

    use super::*;
    use crate::bench::store::work::{created, message};

    #[tokio::test]
    async fn what_was_written_comes_back_in_batches_and_shares() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let options = SqliteOptions::new(folder.path().join("a.db"), folder.path().join("files"));
        let store: Arc<dyn EventStore> = Arc::new(SqliteStore::open(options).await?);
        let ids = IdSource::new(Arc::new(ManualClock::at_unix_micros(1)) as Arc<dyn Clock>);
        let tasks = [ids.task_id(), ids.task_id()];
        for task_id in &tasks {
            let commit = Commit::new(task_id.clone()).event(created());
            store
                .append(commit.event(message()).event(message()))
                .await?;
        }
        let rows = since(&store, 1).await?;
        let positions = |rows: &[Arc<Row>]| rows.iter().map(|row| row.position).collect::<Vec<_>>();
        assert_eq!(positions(&rows), [2, 3, 4, 5, 6]);

        let batches = batches(&rows, 3);
        let changes: Vec<_> = batches
            .iter()
            .map(|batch| positions(&batch.changes))
            .collect();
        assert_eq!(
            changes,
            [vec![3], vec![6]],
            "the last of each, but of a task that begins"
        );
        let new: Vec<_> = batches
            .iter()
            .map(|batch| batch.new_tasks().count())
            .collect();
        assert_eq!(new, [1, 0]);

        let shares = shares(&rows, 2);
        let shares = shares
            .iter()
            .map(|share| share.iter().flat_map(|one| positions(&one.rows)));
        let shares: Vec<Vec<_>> = shares.map(Iterator::collect).collect();
        assert_eq!(shares, [vec![2, 3], vec![4, 5, 6]]);
        store.close().await?;
        Ok(())
    }
}
