//! Which tasks have work under way in this process, so that they can be cancelled.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use event_payloads::TaskId;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Work under way, by task.
#[derive(Clone, Debug, Default)]
pub(crate) struct LiveTasks(Arc<Mutex<HashMap<TaskId, Work>>>);

#[derive(Debug)]
struct Work {
    cancel: CancellationToken,
    count: watch::Sender<usize>,
}

/// One piece of work; dropping it says that the work is over.
#[derive(Debug)]
pub(crate) struct LiveWork {
    tasks: LiveTasks,
    task_id: TaskId,
    pub(crate) cancel: CancellationToken,
    /// Cancelled when it is over.
    over: CancellationToken,
}

impl LiveWork {
    /// Tells when it is over.
    pub(crate) fn over(&self) -> CancellationToken {
        self.over.clone()
    }
}

impl LiveTasks {
    pub(crate) fn begin(&self, task_id: &TaskId) -> LiveWork {
        let mut map = self.lock();
        let work = map.entry(task_id.clone()).or_insert_with(|| Work {
            cancel: CancellationToken::new(),
            count: watch::Sender::new(0),
        });
        work.count.send_modify(|count| *count += 1);
        LiveWork {
            tasks: self.clone(),
            task_id: task_id.clone(),
            cancel: work.cancel.clone(),
            over: CancellationToken::new(),
        }
    }

    /// True if there is work on a task.
    pub(crate) fn has(&self, task_id: &TaskId) -> bool {
        self.lock().contains_key(task_id)
    }

    /// Tells the task's work to stop, and waits until all of it has. Nothing to do if there is none.
    pub(crate) async fn cancel(&self, task_id: &TaskId) {
        let Some(mut count) = self.lock().get(task_id).map(|work| {
            work.cancel.cancel();
            work.count.subscribe()
        }) else {
            return;
        };
        // The sender goes with the last piece of work, which is the same news.
        let _ = count.wait_for(|count| *count == 0).await;
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TaskId, Work>> {
        // No code panics while it holds the lock, and a map of counters is never half-changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for LiveWork {
    fn drop(&mut self) {
        self.over.cancel();
        let mut map = self.tasks.lock();
        let Some(work) = map.get(&self.task_id) else {
            return;
        };
        work.count
            .send_modify(|count| *count = count.saturating_sub(1));
        if *work.count.borrow() == 0 {
            map.remove(&self.task_id);
        }
    }
}
