//! A call that a program makes itself: the answer goes back to it, the books are the same.

mod stream;

use bytes::Bytes;
use event_payloads::{Cost, EventId, TaskId, TaskStatus};
use event_store::{Commit, StoreError};
use provider_core::{ModelCallResult, ModelRequest};
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tracing::Instrument;

use crate::admission::Slot;
use crate::call::{CallEnd, PlannedCall, StopReason, Used, cost_of_failure, unknown_cost};
use crate::live::LiveWork;
use crate::llm::Ended;
use crate::message::{Origin, opening, transition};
use crate::task::SESSION_CHANNEL;
use crate::{CallError, FallbackPolicy, NotAdmitted, TaskService};

pub use stream::{DirectStream, StreamPart};

/// The channel of a call that is a task of its own.
const CALL_CHANNEL: &str = "v1";

/// A call of a program.
#[derive(Clone, Debug)]
pub struct DirectCall {
    /// The alias or group that is asked for.
    pub model: String,
    /// What is asked.
    pub request: ModelRequest,
    /// The task that it belongs to. One that does not exist is created and stays open for further
    /// calls; without a name the call is a task of its own.
    pub task: Option<TaskId>,
    /// Whether an echo may answer.
    pub fallback: FallbackPolicy,
}

/// An answer, recorded.
#[derive(Clone, Debug)]
pub struct DirectAnswer {
    /// The task that holds the call.
    pub task_id: TaskId,
    /// What it gave and cost.
    pub result: ModelCallResult,
    /// The body as the upstream sent it.
    pub body: Bytes,
    /// True if the alias is not known and the default group stood in.
    pub unknown_alias: bool,
}

/// No answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DirectError {
    /// Too much runs and waits already, or the gateway is ending; nothing was created.
    #[error(transparent)]
    NotAdmitted(#[from] NotAdmitted),
    /// The named task has ended; nothing was added to it.
    #[error("task {task_id} has ended: it is {status}, and takes no further calls")]
    TaskEnded {
        /// The task.
        task_id: TaskId,
        /// How it ended.
        status: TaskStatus,
    },
    /// The call was not made, because its start could not be written down.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The call was made, and its end could not be written down: the next start of octo closes it.
    #[error(
        "the call was made, but its end could not be recorded ({source}); making it again would pay for it again"
    )]
    EndNotRecorded {
        /// The task that holds the call.
        task_id: TaskId,
        /// Why.
        #[source]
        source: StoreError,
    },
    /// Nobody answered, or the answer broke off. Recorded.
    #[error("{error}")]
    Call {
        /// The task that holds the call.
        task_id: TaskId,
        /// Why.
        #[source]
        error: CallError,
        /// What it cost all the same.
        cost: Box<Cost>,
    },
    /// The call was stopped. Recorded.
    #[error("the call was stopped: {}", reason.why())]
    Stopped {
        /// The task that holds the call.
        task_id: TaskId,
        /// Why.
        reason: StopReason,
        /// What it cost all the same.
        cost: Box<Cost>,
    },
    /// Whoever worked on the call is gone without a word: it may have been made.
    #[error("octo lost track of the call, which may have been made; its log says why")]
    Lost,
}

impl DirectError {
    fn stopped(task_id: TaskId, reason: StopReason, used: Used) -> Self {
        let cost = match used.so_far {
            Some(so_far) => so_far.cost,
            None => unknown_cost(reason.kind()),
        };
        Self::Stopped {
            task_id,
            reason,
            cost: Box::new(cost),
        }
    }

    fn call(task_id: TaskId, error: Box<CallError>, used: Used) -> Self {
        let cost = match used.so_far {
            Some(so_far) => so_far.cost,
            None => cost_of_failure(error.primary()),
        };
        Self::Call {
            task_id,
            error: *error,
            cost: Box::new(cost),
        }
    }
}

/// A place at the table, for as long as the model works.
type Turn = Option<OwnedSemaphorePermit>;

/// A call whose start is on disk.
struct Begun {
    task_id: TaskId,
    started: EventId,
    owns_task: bool,
    work: LiveWork,
}

impl TaskService {
    /// Makes a call and gives its whole answer back, once its end is on disk.
    ///
    /// Dropping the future does not stop the call: it is paid for either way, so it is finished and
    /// recorded.
    ///
    /// # Errors
    /// [`DirectError`].
    pub async fn answer(&self, call: DirectCall) -> Result<DirectAnswer, DirectError> {
        let slot = self.admission.enter()?;
        let (reply, answer) = oneshot::channel();
        let service = self.clone();
        let run = async move {
            let Some((turn, reply)) = service.turn(&slot, reply).await else {
                return;
            };
            let outcome = service.run_call(call).await;
            drop(turn);
            // The caller may have gone; the books are complete.
            let _ = reply.send(outcome);
        };
        self.tracker.spawn(run.in_current_span());
        match answer.await {
            Ok(outcome) => outcome,
            // The task died, with the runtime or by a fault of ours.
            Err(_) => Err(DirectError::Lost),
        }
    }

    /// Waits for a place, and gives it with the way back to the caller. None if octo ends before, or the caller
    /// goes: then there is no call in flight, and its place is free again.
    async fn turn<T>(
        &self,
        slot: &Slot,
        mut reply: oneshot::Sender<Result<T, DirectError>>,
    ) -> Option<(Turn, oneshot::Sender<Result<T, DirectError>>)> {
        tokio::select! {
            biased;
            () = self.shutdown.cancelled() => {
                let _ = reply.send(Err(NotAdmitted::ShuttingDown.into()));
                None
            }
            () = reply.closed() => None,
            turn = slot.turn() => Some((turn, reply)),
        }
    }

    async fn run_call(&self, call: DirectCall) -> Result<DirectAnswer, DirectError> {
        let planned = self.llm.plan(&call.model, call.request);
        let begun = self.begin(call.task, &planned).await?;
        let task_id = begun.task_id.clone();
        let span = tracing::info_span!("task", %task_id);
        self.finish(begun, &planned, call.fallback)
            .instrument(span)
            .await
    }

    async fn finish(
        &self,
        begun: Begun,
        planned: &PlannedCall,
        fallback: FallbackPolicy,
    ) -> Result<DirectAnswer, DirectError> {
        let stop = self.stop(&begun.work);
        let Ended { end, body } = self.llm.run(planned, fallback, &stop).await;
        let task_id = begun.task_id.clone();
        self.record(begun, planned, &end).await?;
        match end {
            CallEnd::Completed(result) => Ok(DirectAnswer {
                task_id,
                result: *result,
                body,
                unknown_alias: planned.is_unknown_alias(),
            }),
            CallEnd::Failed(error, used) => Err(DirectError::call(task_id, error, used)),
            CallEnd::Stopped(reason, used) => Err(DirectError::stopped(task_id, reason, used)),
        }
    }

    /// Writes the end of a call down.
    async fn record(
        &self,
        begun: Begun,
        planned: &PlannedCall,
        end: &CallEnd,
    ) -> Result<(), DirectError> {
        let Begun {
            task_id,
            started,
            owns_task,
            work,
        } = begun;
        let recorded = self
            .record_end(&task_id, planned, started, end, owns_task)
            .await;
        drop(work);
        recorded.map_err(|source| DirectError::EndNotRecorded { task_id, source })
    }

    async fn begin(
        &self,
        named: Option<TaskId>,
        planned: &PlannedCall,
    ) -> Result<Begun, DirectError> {
        let Some(task_id) = named else {
            return self
                .begin_task(self.ids.task_id(), CALL_CHANNEL, planned)
                .await;
        };
        if self.store.task(&task_id).await?.is_none() {
            match self
                .begin_task(task_id.clone(), SESSION_CHANNEL, planned)
                .await
            {
                // Another call of the same session was first.
                Err(DirectError::Store(StoreError::TaskExists { .. })) => {}
                outcome => return outcome,
            }
        }
        self.join_task(task_id, planned).await
    }

    async fn begin_task(
        &self,
        task_id: TaskId,
        channel: &str,
        planned: &PlannedCall,
    ) -> Result<Begun, DirectError> {
        let text = planned.call.request.last_user_text();
        let origin = Origin {
            channel,
            thread_id: "default",
            sender_id: "api",
            key: None,
        };
        let commit = opening(task_id.clone(), origin, &text)
            .event(transition(TaskStatus::Created, TaskStatus::Running, ""))
            .event(planned.started());
        let work = self.work_on(&task_id);
        let started = self.start(commit).await?;
        Ok(Begun {
            task_id,
            started,
            owns_task: channel == CALL_CHANNEL,
            work,
        })
    }

    async fn join_task(
        &self,
        task_id: TaskId,
        planned: &PlannedCall,
    ) -> Result<Begun, DirectError> {
        // Registered first: a cancellation from here on reaches this call.
        let work = self.work_on(&task_id);
        let status = self.store.task(&task_id).await?.map(|task| task.status);
        if let Some(status) = status.filter(|status| status.is_terminal()) {
            return Err(DirectError::TaskEnded { task_id, status });
        }
        let opening = Commit::new(task_id.clone()).event(planned.started());
        let started = match self.start(opening).await {
            Err(StoreError::TaskEnded { task_id, status }) => {
                return Err(DirectError::TaskEnded { task_id, status });
            }
            outcome => outcome?,
        };
        Ok(Begun {
            task_id,
            started,
            owns_task: false,
            work,
        })
    }
}
