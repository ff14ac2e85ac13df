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
pub(super) async fn since(store: &Arc<dyn EventStore>, after: u64) -> Result<Vec<Row>> {
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
            rows.push(Row::new(event)?);
        }
        if page.caught_up {
            return Ok(rows);
        }
    }
}

/// What is written in one transaction.
pub(super) struct Batch {
    pub(super) rows: Vec<Row>,
    /// Which of them are the last of a task that is there already: what the task comes to say.
    changes: Vec<usize>,
}

impl Batch {
    fn new(rows: Vec<Row>) -> Self {
        let each = rows.iter().enumerate();
        let last: HashMap<&str, usize> = each.map(|(at, row)| (row.task_id.as_str(), at)).collect();
        let mut changes: Vec<usize> = last.into_values().collect();
        changes.retain(|at| rows.get(*at).is_some_and(|row| row.task.is_none()));
        changes.sort_unstable();
        Self { rows, changes }
    }

    /// How many commits of the store they were.
    pub(super) fn commits(&self) -> u64 {
        u64::try_from(self.rows.len()).unwrap_or(u64::MAX)
    }

    pub(super) fn changes(&self) -> impl Iterator<Item = &Row> {
        self.changes.iter().filter_map(|at| self.rows.get(*at))
    }

    /// Tasks that begin.
    pub(super) fn new_tasks(&self) -> impl Iterator<Item = (&Row, &NewTask)> {
        self.rows
            .iter()
            .filter_map(|row| Some((row, row.task.as_ref()?)))
    }
}

/// Rows in transactions of so many.
pub(super) fn batches(rows: Vec<Row>, size: usize) -> Vec<Batch> {
    let mut rows = rows.into_iter();
    std::iter::repeat_with(|| rows.by_ref().take(size).collect::<Vec<_>>())
        .take_while(|rows| !rows.is_empty())
        .map(Batch::new)
        .collect()
}

/// Transactions of a row each, for so many that write at once: all of a task for one of them.
pub(super) fn shares(rows: Vec<Row>, writers: usize) -> Vec<Vec<Batch>> {
    let mut shares: Vec<Vec<Batch>> = std::iter::repeat_with(Vec::new).take(writers).collect();
    let mut writer_of: HashMap<String, usize> = HashMap::new();
    for row in rows {
        let next = writer_of.len() % writers;
        let writer = *writer_of.entry(row.task_id.clone()).or_insert(next);
        if let Some(share) = shares.get_mut(writer) {
            share.push(Batch::new(vec![row]));
        }
    }
    shares
}
