//! A call of a program whose answer goes back to it piece by piece.

use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use event_payloads::{Cost, RuntimeGroup, TaskId};
use provider_core::{AnswerStream, Chunk, FallbackReason};
use tokio::sync::{mpsc, oneshot};
use tracing::Instrument;

use super::{Begun, DirectCall, DirectError, Turn};
use crate::call::{CallEnd, PlannedCall};
use crate::listener::{Gone, Listener};
use crate::llm::Ended;
use crate::{FallbackPolicy, TaskService};

/// Pieces that wait for a slow reader; with more, the upstream waits.
const ROOM: usize = 8;
/// A caller that takes no piece for so long has gone, whatever its connection says.
const STALLED: Duration = Duration::from_secs(60);

/// How long the last word of a stream may take when octo is ending.
const DRAIN: Duration = Duration::from_secs(1);

/// An answer that comes in pieces. It has begun: who answers is decided. Dropping it ends the call.
#[derive(Debug)]
pub struct DirectStream {
    /// The task that holds the call.
    pub task_id: TaskId,
    /// The group that was asked.
    pub runtime_group: RuntimeGroup,
    /// The model that answers; empty if nobody has said so yet.
    pub model_name: String,
    /// Why a fallback answers, if one does.
    pub fallback: Option<FallbackReason>,
    /// True if the alias is not known and the default group stands in.
    pub unknown_alias: bool,
    parts: mpsc::Receiver<StreamPart>,
}

/// A part of an answer that comes in pieces.
#[derive(Debug)]
pub enum StreamPart {
    /// One Server-Sent Event, to be handed on.
    Frame(Bytes),
    /// The answer is over, and recorded (unless the outcome says that it could not be).
    End {
        /// The last frames: those that end a whole answer, or the upstream's own words for breaking off.
        tail: Bytes,
        /// What it cost, or why it broke off.
        outcome: Box<Result<Cost, DirectError>>,
    },
}

impl DirectStream {
    /// The next part; `None` after the end.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<StreamPart>> {
        self.parts.poll_recv(context)
    }

    /// The next part; `None` after the end.
    pub async fn next(&mut self) -> Option<StreamPart> {
        self.parts.recv().await
    }
}

impl TaskService {
    /// Makes a call and gives its answer back piece by piece, from the first piece on.
    ///
    /// Dropping the future or the stream ends the call upstream; what it has used up until then is recorded.
    ///
    /// # Errors
    /// [`DirectError`], if no piece of an answer came.
    pub async fn stream(&self, call: DirectCall) -> Result<DirectStream, DirectError> {
        let slot = self.admission.enter()?;
        let (opened, opening) = oneshot::channel();
        let service = self.clone();
        let run = async move {
            if let Some((turn, opened)) = service.turn(&slot, opened).await {
                service.run_stream(call, opened, turn).await;
            }
        };
        self.tracker.spawn(run.in_current_span());
        match opening.await {
            Ok(outcome) => outcome,
            // The task died, with the runtime or by a fault of ours.
            Err(_) => Err(DirectError::Lost),
        }
    }

    async fn run_stream(&self, call: DirectCall, opened: Opened, turn: Turn) {
        let planned = self.llm.plan(&call.model, call.request);
        match self.begin(call.task, &planned).await {
            Ok(begun) => {
                let span = tracing::info_span!("task", task_id = %begun.task_id);
                self.stream_begun(begun, planned, call.fallback, opened, turn)
                    .instrument(span)
                    .await;
            }
            Err(error) => {
                // Who asked may have gone; then nobody wants to know.
                let _ = opened.send(Err(error));
            }
        }
    }

    async fn stream_begun(
        &self,
        begun: Begun,
        planned: PlannedCall,
        fallback: FallbackPolicy,
        opened: Opened,
        turn: Turn,
    ) {
        let stop = self.stop(&begun.work);
        let task_id = begun.task_id.clone();
        let mut caller = Caller::new(&task_id, &planned, opened);
        let calling = self.llm.stream(&planned, fallback, &stop, &mut caller);
        let Ended { end, mut body } = calling.await;
        // The next call need not wait until this one is written down and its last words are read.
        drop(turn);
        let outcome = match self.record(begun, &planned, &end).await {
            Ok(()) => match end {
                CallEnd::Completed(result) => Ok(result.cost),
                CallEnd::Failed(error, used) => {
                    Err(DirectError::call(task_id.clone(), error, used))
                }
                CallEnd::Stopped(reason, used) => {
                    Err(DirectError::stopped(task_id.clone(), reason, used))
                }
            },
            // What is not in the books has not ended well.
            Err(error) => {
                body = Bytes::new();
                Err(error)
            }
        };
        let last_word = caller.end(body, outcome);
        tokio::select! {
            () = last_word => {}
            // The books are closed; a caller that does not read is not waited for.
            () = async { self.shutdown.cancelled().await; tokio::time::sleep(DRAIN).await } => {}
        }
    }
}

type Opened = oneshot::Sender<Result<DirectStream, DirectError>>;

/// Who asked: waiting for the answer to begin, or hearing it.
struct Caller<'a> {
    task_id: &'a TaskId,
    planned: &'a PlannedCall,
    state: State,
}

enum State {
    Waiting(Opened),
    Hearing(mpsc::Sender<StreamPart>),
    Gone,
}

impl<'a> Caller<'a> {
    const fn new(task_id: &'a TaskId, planned: &'a PlannedCall, opened: Opened) -> Self {
        Self {
            task_id,
            planned,
            state: State::Waiting(opened),
        }
    }

    /// The last word: how the answer ended, or that it never began.
    async fn end(self, tail: Bytes, outcome: Result<Cost, DirectError>) {
        match (self.state, outcome) {
            (State::Hearing(parts), outcome) => {
                // A caller that has gone does not hear it; the books are closed.
                let outcome = Box::new(outcome);
                let end = StreamPart::End { tail, outcome };
                let _ = parts.send_timeout(end, STALLED).await;
            }
            (State::Waiting(opened), Err(error)) => {
                let _ = opened.send(Err(error));
            }
            // An answer can not be whole before it has begun.
            (State::Waiting(_) | State::Gone, _) => {}
        }
    }
}

#[async_trait]
impl Listener for Caller<'_> {
    fn begins(&mut self, stream: &dyn AnswerStream) {
        let State::Waiting(opened) = std::mem::replace(&mut self.state, State::Gone) else {
            return;
        };
        let (sender, parts) = mpsc::channel(ROOM);
        let begun = DirectStream {
            task_id: self.task_id.clone(),
            runtime_group: self.planned.call.runtime_group.clone(),
            model_name: stream.model_name().to_owned(),
            fallback: stream.fallback().cloned(),
            unknown_alias: self.planned.is_unknown_alias(),
            parts,
        };
        if opened.send(Ok(begun)).is_ok() {
            self.state = State::Hearing(sender);
        }
    }

    async fn hear(&mut self, chunk: Chunk) -> Result<(), Gone> {
        let State::Hearing(parts) = &self.state else {
            return Err(Gone);
        };
        let part = StreamPart::Frame(chunk.frame);
        parts.send_timeout(part, STALLED).await.map_err(|_| Gone)
    }

    async fn gone(&mut self) {
        match &mut self.state {
            State::Waiting(opened) => opened.closed().await,
            State::Hearing(parts) => parts.closed().await,
            State::Gone => {}
        }
    }
}
