//! An open store, and what tests do with it.

use std::sync::Arc;

use event_payloads::{Cost, CostSource, Event, EventId, EventPage, TaskId, TaskStatus, Usd};
use event_store::{EventStore, IdSource, LogQuery, ManualClock, NewEvent};

use crate::events::{commit, completed, created, moved, started};

pub(crate) struct Desk {
    pub(crate) store: Arc<dyn EventStore>,
    /// The house's: the same for all its desks.
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) ids: IdSource,
}

impl Desk {
    pub(crate) async fn append(&self, task_id: &TaskId, events: Vec<NewEvent>) -> Vec<Event> {
        let recorded = self.store.append(commit(task_id, events)).await.unwrap();
        recorded.into_events()
    }

    /// A task that runs.
    pub(crate) async fn running(&self) -> TaskId {
        let task_id = self.ids.task_id();
        let events = vec![created(), moved(TaskStatus::Created, TaskStatus::Running)];
        self.append(&task_id, events).await;
        task_id
    }

    /// A call of a task that has begun.
    pub(crate) async fn call(&self, task_id: &TaskId) -> EventId {
        self.append(task_id, vec![started("planner")])
            .await
            .remove(0)
            .event_id
    }

    /// A call of a task that was answered.
    pub(crate) async fn ended(&self, task_id: &TaskId, cost: &Cost) -> EventId {
        let call_id = self.call(task_id).await;
        self.append(task_id, vec![completed(&call_id, cost)]).await;
        call_id
    }

    pub(crate) async fn log(&self, after: u64, limit: usize) -> EventPage {
        let query = LogQuery {
            after,
            types: Vec::new(),
            limit,
        };
        self.store.log(query).await.unwrap()
    }

    pub(crate) async fn seqs(&self, task_id: &TaskId) -> Vec<u64> {
        let events = self.store.events(task_id, 0, usize::MAX).await.unwrap();
        events.iter().map(|event| event.task_seq).collect()
    }
}

pub(crate) fn usd(text: &str) -> Usd {
    text.parse().unwrap()
}

pub(crate) fn known(text: &str) -> Cost {
    Cost::known(usd(text), CostSource::Proxy)
}
