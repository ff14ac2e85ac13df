//! What other gateways on the same store do to a task that is worked on here.

use std::sync::Arc;
use std::time::Duration;

use event_payloads::TaskId;
use event_store::{EventStore, Live, Subscription};
use tokio_util::sync::CancellationToken;

use crate::TaskService;
use crate::live::LiveWork;

impl TaskService {
    /// Work on a task begins. It stops when another gateway ends the task.
    pub(crate) fn work_on(&self, task_id: &TaskId) -> LiveWork {
        let work = self.live.begin(task_id);
        if self.store.is_shared() {
            let store = Arc::clone(&self.store);
            let (cancel, over) = (work.cancel.clone(), work.over());
            let (task_id, events) = (task_id.clone(), self.store.watch(task_id));
            self.tracker.spawn(async move {
                tokio::select! {
                    () = over.cancelled() => {}
                    () = end(&store, &task_id, events) => stop(&cancel, &task_id),
                }
            });
        }
        work
    }
}

fn stop(cancel: &CancellationToken, task_id: &TaskId) {
    tracing::debug!(%task_id, "the task has ended, its work stops");
    cancel.cancel();
}

/// Waits until a task has ended, wherever that was recorded.
async fn end(store: &Arc<dyn EventStore>, task_id: &TaskId, mut events: Subscription) {
    loop {
        match events.next().await {
            Some(Ok(Live::Event(event))) if event.is_final() => return,
            // Too slow: the store knows.
            Some(Err(_)) if has_ended(store, task_id).await => return,
            Some(_) => {}
            // The store is closed: nothing more will be heard.
            None => return std::future::pending().await,
        }
    }
}

/// Asks until there is an answer: the event that was missed does not come again.
async fn has_ended(store: &Arc<dyn EventStore>, task_id: &TaskId) -> bool {
    loop {
        match store.task(task_id).await {
            Ok(task) => return task.is_some_and(|task| task.status.is_terminal()),
            Err(error) if error.is_closed() => return false,
            Err(error) => {
                tracing::warn!(%task_id, %error, "cannot see yet whether a task has ended");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}
