//! A chat call of a program: the answer goes back to it, the books are the same.

use bytes::Bytes;
use event_payloads::{EventId, TaskId, TaskStatus};
use event_store::{Commit, StoreError};
use provider_core::{ChatRequest, ModelCallResult};
use tokio::sync::oneshot;
use tracing::Instrument;

use crate::call::{CallEnd, PlannedCall, StopReason};
use crate::live::LiveWork;
use crate::message::{Origin, opening, transition};
use crate::task::SESSION_CHANNEL;
use crate::{CallError, FallbackPolicy, NotAdmitted, TaskService};

/// The channel of a call that is a task of its own.
const CALL_CHANNEL: &str = "v1";

/// A chat call.
#[derive(Clone, Debug)]
pub struct ChatCall {
    /// The alias or group that is asked for.
    pub model: String,
    /// What is asked.
    pub request: ChatRequest,
    /// The task that it belongs to. One that does not exist is created and stays open for further
    /// calls; without a name the call is a task of its own.
    pub task: Option<TaskId>,
    /// Whether an echo may answer.
    pub fallback: FallbackPolicy,
}

/// An answer, recorded.
#[derive(Clone, Debug)]
pub struct ChatAnswer {
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
pub enum ChatError {
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
    /// Nobody answered. Recorded.
    #[error("{error}")]
    Call {
        /// The task that holds the call.
        task_id: TaskId,
        /// Why.
        #[source]
        error: CallError,
    },
    /// The call was stopped. Recorded.
    #[error("the call was stopped: {}", match reason { StopReason::Cancelled => "its task was cancelled", StopReason::Shutdown => "octo is shutting down" })]
    Stopped {
        /// The task that holds the call.
        task_id: TaskId,
        /// Why.
        reason: StopReason,
    },
}

/// A call whose start is on disk.
struct Begun {
    task_id: TaskId,
    started: EventId,
    owns_task: bool,
    work: LiveWork,
}

impl TaskService {
    /// Makes a chat call and gives its answer back, once its end is on disk.
    ///
    /// Dropping the future does not stop the call: it is paid for either way, so it is finished and
    /// recorded.
    ///
    /// # Errors
    /// [`ChatError`].
    pub async fn chat(&self, call: ChatCall) -> Result<ChatAnswer, ChatError> {
        let slot = self.admission.enter()?;
        let (mut reply, answer) = oneshot::channel();
        let service = self.clone();
        let run = async move {
            let turn = tokio::select! {
                biased;
                () = service.shutdown.cancelled() => {
                    let _ = reply.send(Err(NotAdmitted::ShuttingDown.into()));
                    return;
                }
                // A caller that goes while it waits has no call in flight: its place is free again.
                () = reply.closed() => return,
                turn = slot.turn() => turn,
            };
            let outcome = service.run_chat(call).await;
            drop(turn);
            // The caller may have gone; the books are complete.
            let _ = reply.send(outcome);
        };
        self.tracker.spawn(run.in_current_span());
        match answer.await {
            Ok(outcome) => outcome,
            // Only if the task died with the runtime.
            Err(_) => Err(ChatError::Store(StoreError::Closed)),
        }
    }

    async fn run_chat(&self, call: ChatCall) -> Result<ChatAnswer, ChatError> {
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
    ) -> Result<ChatAnswer, ChatError> {
        let stop = self.stop(&begun.work);
        let end = self.llm.run(planned, fallback, &stop).await;
        let Begun {
            task_id,
            started,
            owns_task,
            work,
        } = begun;
        let recorded = self
            .record_end(&task_id, planned, started, &end, owns_task)
            .await;
        drop(work);
        if let Err(source) = recorded {
            return Err(ChatError::EndNotRecorded { task_id, source });
        }
        match end {
            CallEnd::Completed(completion) => Ok(ChatAnswer {
                task_id,
                result: completion.result,
                body: completion.body,
                unknown_alias: planned.is_unknown_alias(),
            }),
            CallEnd::Failed(error, _) => Err(ChatError::Call {
                task_id,
                error: *error,
            }),
            CallEnd::Stopped(reason, _) => Err(ChatError::Stopped { task_id, reason }),
        }
    }

    async fn begin(
        &self,
        named: Option<TaskId>,
        planned: &PlannedCall,
    ) -> Result<Begun, ChatError> {
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
                Err(ChatError::Store(StoreError::TaskExists { .. })) => {}
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
    ) -> Result<Begun, ChatError> {
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
        let work = self.live.begin(&task_id);
        let started = self.start(commit).await?;
        Ok(Begun {
            task_id,
            started,
            owns_task: channel == CALL_CHANNEL,
            work,
        })
    }

    async fn join_task(&self, task_id: TaskId, planned: &PlannedCall) -> Result<Begun, ChatError> {
        // Registered first: a cancellation from here on reaches this call.
        let work = self.live.begin(&task_id);
        let status = self.store.task(&task_id).await?.map(|task| task.status);
        if let Some(status) = status.filter(|status| status.is_terminal()) {
            return Err(ChatError::TaskEnded { task_id, status });
        }
        let opening = Commit::new(task_id.clone()).event(planned.started());
        let started = match self.start(opening).await {
            Err(StoreError::TaskEnded { task_id, status }) => {
                return Err(ChatError::TaskEnded { task_id, status });
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
