//! Tasks: taken, run, cancelled, recovered.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use event_payloads::{EventId, TaskId, TaskStatus};
use event_store::{Commit, EventStore, IdSource, StoreError, SystemClock};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::admission::{Admission, Slot};
use crate::call::{CallEnd, PlannedCall, StopReason};
use crate::listener::Followers;
use crate::live::{LiveTasks, LiveWork};
use crate::llm::Stop;
use crate::message::transition;
use crate::overtaken::LateCost;
use crate::recovery::{Recovered, Suspects, close_all};
use crate::settle::append_surely;
use crate::{FallbackPolicy, Limits, LlmService, Message, SubmitError, Submitted};

/// The channel of a task that callers of `/v1` named themselves: it stays open for further calls.
pub(crate) const SESSION_CHANNEL: &str = "v1-session";
/// How long `cancel` waits for the work to end. It ends at once, but its record may have to wait.
const CANCEL_WAIT: Duration = Duration::from_secs(10);

/// Takes work, runs it, and writes down every step. Cheap to clone.
#[derive(Clone)]
pub struct TaskService {
    pub(crate) store: Arc<dyn EventStore>,
    pub(crate) llm: Arc<LlmService>,
    pub(crate) ids: Arc<IdSource>,
    pub(crate) admission: Admission,
    pub(crate) live: LiveTasks,
    pub(crate) tracker: TaskTracker,
    pub(crate) shutdown: CancellationToken,
}

impl fmt::Debug for TaskService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskService")
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}

/// A task that was not cancelled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CancelError {
    /// There is no such task.
    #[error("there is no task {0}")]
    UnknownTask(TaskId),
    /// It had ended already.
    #[error("task {task_id} has ended already: it is {status}")]
    AlreadyTerminal {
        /// The task.
        task_id: TaskId,
        /// How it ended.
        status: TaskStatus,
    },
    /// Its work was told to stop, and its end waits to be recorded.
    #[error("task {0} is being cancelled, its end is not recorded yet; ask again in a second")]
    StillEnding(TaskId),
    /// It could not be read or written down.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a task never came to a call.
enum Unstarted {
    Stopped(StopReason),
    NotRecorded,
}

impl From<StopReason> for Unstarted {
    fn from(reason: StopReason) -> Self {
        Self::Stopped(reason)
    }
}

impl TaskService {
    /// A service that writes to this store and has this service make its calls.
    #[must_use]
    pub fn new(store: Arc<dyn EventStore>, llm: LlmService, limits: Limits) -> Self {
        Self {
            store,
            llm: Arc::new(llm),
            ids: Arc::new(IdSource::new(Arc::new(SystemClock))),
            admission: Admission::new(limits),
            live: LiveTasks::default(),
            tracker: TaskTracker::new(),
            shutdown: CancellationToken::new(),
        }
    }

    /// What resolves aliases and makes the calls.
    #[must_use]
    pub fn llm(&self) -> &LlmService {
        &self.llm
    }

    /// Closes what programs left open that are gone. To be called before the first request, and again and
    /// again where several share a store ([`EventStore::is_shared`]). What can not be closed is logged and left
    /// for the next time.
    ///
    /// # Errors
    /// The store can not be read.
    pub async fn recover(&self) -> Result<Recovered, StoreError> {
        let orphans = self.store.orphans().await?;
        Ok(close_all(self.store.as_ref(), orphans).await)
    }

    /// Closes what this program itself left open: a call whose end could not be recorded, a task whose
    /// recording was in doubt and that nobody runs. What was found the last time too, and is worked on by
    /// nobody here, is closed.
    ///
    /// # Errors
    /// The store can not be read.
    pub async fn close_abandoned(&self, suspects: &mut Suspects) -> Result<Recovered, StoreError> {
        let mut left = self.store.unfinished().await?;
        left.calls.retain(|call| !self.live.has(&call.task_id));
        left.tasks.retain(|task| !self.live.has(&task.task_id));
        let abandoned = suspects.seen_again(left);
        Ok(close_all(self.store.as_ref(), abandoned).await)
    }

    /// Takes a message: its task is on disk when this returns, and runs in the background.
    ///
    /// # Errors
    /// [`SubmitError`]; then nothing was created.
    pub async fn submit(&self, message: Message) -> Result<Submitted, SubmitError> {
        if let Some(known) = self.store.task_by_key(&message.idempotency_key).await? {
            return Ok(Submitted {
                task_id: known.task_id,
                status: known.status,
                created: false,
            });
        }
        let slot = self.admission.enter()?;
        let task_id = self.ids.task_id();
        let (reply, submitted) = oneshot::channel();
        // Registered before it exists, and carried on by a task of its own: a caller that goes away in
        // the middle leaves no message behind that is recorded and never runs.
        let work = self.work_on(&task_id);
        let span = tracing::info_span!("task", %task_id);
        let service = self.clone();
        let run = async move {
            service
                .take_message(work, slot, message, task_id, reply)
                .await;
        };
        self.tracker.spawn(run.instrument(span));
        submitted
            .await
            .unwrap_or(Err(SubmitError::Store(StoreError::Closed)))
    }

    async fn take_message(
        self,
        work: LiveWork,
        slot: Slot,
        message: Message,
        task_id: TaskId,
        reply: oneshot::Sender<Result<Submitted, SubmitError>>,
    ) {
        if let Err(error) = self.store.append(message.opening(task_id.clone())).await {
            // Who asked may have gone; then nobody wants to know.
            let _ = reply.send(self.submitted_by_another(error).await);
            return;
        }
        let _ = reply.send(Ok(Submitted {
            task_id: task_id.clone(),
            status: TaskStatus::Created,
            created: true,
        }));
        self.run_message(work, slot, &message, task_id).await;
    }

    /// A refusal because of a key that somebody else used at the same moment is that task.
    async fn submitted_by_another(&self, error: StoreError) -> Result<Submitted, SubmitError> {
        let Some(task_id) = error.duplicate_of().cloned() else {
            return Err(error.into());
        };
        let status = self
            .store
            .task(&task_id)
            .await?
            .map_or(TaskStatus::Created, |task| task.status);
        Ok(Submitted {
            task_id,
            status,
            created: false,
        })
    }

    async fn run_message(self, work: LiveWork, slot: Slot, message: &Message, task_id: TaskId) {
        let stop = self.stop(&work);
        let turn = tokio::select! {
            biased;
            reason = stop.stopped() => return self.end_unstarted(&task_id, reason.into()).await,
            turn = slot.turn() => turn,
        };
        let planned = self.llm.plan(message.alias(), message.request());
        let opening = Commit::new(task_id.clone())
            .event(transition(TaskStatus::Created, TaskStatus::Running, ""))
            .event(planned.started());
        let started = match self.start(opening).await {
            Ok(started) => started,
            Err(error) => {
                tracing::error!(%error, "the call was not made: its start could not be recorded");
                return self.end_unstarted(&task_id, Unstarted::NotRecorded).await;
            }
        };
        let mut followers = Followers {
            store: Arc::clone(&self.store),
            task_id: task_id.clone(),
            call_id: started.clone(),
            heard: 0,
        };
        let calling = self
            .llm
            .stream(&planned, FallbackPolicy::Allow, &stop, &mut followers);
        let end = calling.await.end;
        drop(turn);
        // What could not be recorded is logged, and closed when it is found left over.
        let _ = self
            .record_end(&task_id, &planned, started, &end, true)
            .await;
    }

    /// Writes the start of a call down; the event that its end has to name comes back.
    pub(crate) async fn start(&self, opening: Commit) -> Result<EventId, StoreError> {
        let task_id = opening.task_id.clone();
        let recorded = self.store.append(opening).await?;
        let started = recorded.event_ids().last().cloned();
        started.ok_or_else(|| StoreError::InvalidCommit {
            task_id,
            reason: "the store gave no event back".to_owned(),
        })
    }

    /// Writes the end of a call down, with the state that its task comes to if it owns the task.
    pub(crate) async fn record_end(
        &self,
        task_id: &TaskId,
        planned: &PlannedCall,
        started: EventId,
        end: &CallEnd,
        owns_task: bool,
    ) -> Result<(), StoreError> {
        let record = planned.ended(started, end, self.llm.summary_max_bytes);
        let late = LateCost::of(&record.events);
        let mut commit = record
            .events
            .into_iter()
            .fold(Commit::new(task_id.clone()), Commit::event);
        commit.artifacts.extend(record.artifact);
        let alone = commit.clone();
        if owns_task {
            let (status, reason) = task_end(end);
            commit = commit.event(transition(TaskStatus::Running, status, reason));
        }
        let outcome = match append_surely(self.store.as_ref(), commit).await {
            // Somebody else ended the task meanwhile. The call still gets its end.
            Err(StoreError::IllegalTransition { .. }) => {
                append_surely(self.store.as_ref(), alone).await
            }
            outcome => outcome,
        };
        if let (Err(StoreError::CallAlreadyEnded { call_id, .. }), Some(late)) = (&outcome, late) {
            let store = self.store.as_ref();
            late.tell(store, task_id, call_id).await?;
        }
        outcome.inspect_err(|error| {
            tracing::error!(%task_id, %error, "the end of a call could not be recorded");
        })
    }

    /// Ends a task that never came to a call.
    async fn end_unstarted(&self, task_id: &TaskId, why: Unstarted) {
        let (status, reason) = match why {
            Unstarted::Stopped(StopReason::Cancelled | StopReason::CallerGone) => {
                (TaskStatus::Cancelled, "cancelled")
            }
            Unstarted::Stopped(StopReason::Shutdown) => (TaskStatus::Failed, "interrupted"),
            Unstarted::NotRecorded => (
                TaskStatus::Failed,
                "the start of its call could not be recorded",
            ),
        };
        let end = transition(TaskStatus::Created, status, reason);
        let commit = Commit::new(task_id.clone()).event(end);
        match append_surely(self.store.as_ref(), commit).await {
            // Somebody else ended it meanwhile.
            Ok(()) | Err(StoreError::IllegalTransition { .. }) => {}
            Err(error) => {
                tracing::error!(%task_id, %error, "the end of a task could not be recorded");
            }
        }
    }

    /// Cancels a task: its calls in flight are aborted and accounted, then it is CANCELLED.
    ///
    /// # Errors
    /// [`CancelError`]: unknown, ended already, or not recorded.
    pub async fn cancel(&self, task_id: &TaskId) -> Result<(), CancelError> {
        let before = self.status(task_id).await?;
        if before.is_terminal() {
            return Err(CancelError::AlreadyTerminal {
                task_id: task_id.clone(),
                status: before,
            });
        }
        self.end_live_work(task_id).await?;
        let status = match self.status(task_id).await? {
            status if status.is_terminal() => status,
            // Nobody here works on it: it waits, or a session is open.
            status => self.cancel_idle(task_id, status).await?,
        };
        // A call that joined at the same moment was registered before its start was recorded.
        self.end_live_work(task_id).await?;
        match status {
            TaskStatus::Cancelled => Ok(()),
            // It ended by itself before the cancellation came to it.
            status => Err(CancelError::AlreadyTerminal {
                task_id: task_id.clone(),
                status,
            }),
        }
    }

    async fn end_live_work(&self, task_id: &TaskId) -> Result<(), CancelError> {
        let ended = tokio::time::timeout(CANCEL_WAIT, self.live.cancel(task_id)).await;
        ended.map_err(|_| CancelError::StillEnding(task_id.clone()))
    }

    async fn cancel_idle(
        &self,
        task_id: &TaskId,
        status: TaskStatus,
    ) -> Result<TaskStatus, CancelError> {
        let commit = Commit::new(task_id.clone()).event(transition(
            status,
            TaskStatus::Cancelled,
            "cancelled",
        ));
        match self.store.append(commit).await {
            Ok(_) => Ok(TaskStatus::Cancelled),
            Err(StoreError::IllegalTransition { current, .. }) => Ok(current),
            Err(error) => Err(error.into()),
        }
    }

    async fn status(&self, task_id: &TaskId) -> Result<TaskStatus, CancelError> {
        let task = self.store.task(task_id).await?;
        Ok(task
            .ok_or_else(|| CancelError::UnknownTask(task_id.clone()))?
            .status)
    }

    /// Takes no new work, lets what is in flight end by itself for so long, then stops it; all of it is
    /// recorded.
    pub async fn shut_down(&self, grace: Duration) {
        self.admission.close();
        self.tracker.close();
        if tokio::time::timeout(grace, self.tracker.wait())
            .await
            .is_err()
        {
            tracing::warn!(
                open = self.tracker.len(),
                "the grace period is over, stopping what is in flight"
            );
            self.shutdown.cancel();
            self.tracker.wait().await;
        }
    }

    pub(crate) fn stop(&self, work: &LiveWork) -> Stop {
        Stop {
            cancel: work.cancel.clone(),
            shutdown: self.shutdown.clone(),
        }
    }
}

/// The state that the end of its call brings a task to.
fn task_end(end: &CallEnd) -> (TaskStatus, &'static str) {
    match end {
        CallEnd::Completed(_) => (TaskStatus::Succeeded, ""),
        CallEnd::Failed(error, _) => (TaskStatus::Failed, error.primary().kind()),
        CallEnd::Stopped(StopReason::Cancelled, _) => (TaskStatus::Cancelled, "cancelled"),
        CallEnd::Stopped(StopReason::CallerGone, _) => (TaskStatus::Cancelled, "caller_gone"),
        CallEnd::Stopped(StopReason::Shutdown, _) => (TaskStatus::Failed, "interrupted"),
    }
}
