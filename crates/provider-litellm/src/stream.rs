//! An answer that comes in pieces.

mod chat;
mod pieces;
mod responses;
mod settlement;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use event_payloads::first_chars;
use http::header;
use hyper::body::Incoming;
use provider_core::{AnswerStream, Chunk, Closed, ModelCall, ProviderError, TimeoutPhase};
use sse_reader::{SseError, SseReader, data_frame};
use tokio::time::Instant;

use crate::client::Parts;
use crate::failure::{unusable, with_source};
use crate::head::Head;
pub(crate) use pieces::Written;
use pieces::{Piece, Pieces};
use settlement::Settlement;

/// The largest single event: a piece of an answer is a few hundred bytes, an image or the last event of a
/// response may be some MB.
const MAX_EVENT_BYTES: usize = 8 << 20;
/// What ends a stream. OpenAI's own streams of responses do without, the proxy's have it; nobody minds.
const DONE: &str = "[DONE]";
/// After the last event the end of the body is waited for so long, so that the connection can be used again.
const END_OF_BODY: Duration = Duration::from_millis(5);
/// A caller may leave when the model is done; the piece that states the usage is waited for so long.
const LAST_PIECE: Duration = Duration::from_millis(250);

/// An answer of the proxy that comes in pieces.
pub(crate) struct LiteLlmStream {
    end: Settlement,
    model_name: String,
    reader: SseReader<Incoming>,
    pieces: Pieces,
    /// The first piece, read to see that there is one.
    first: Option<Chunk>,
    state: State,
    tail: BytesMut,
    last_words: Bytes,
    started: Instant,
    time_to_first_token: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// Nothing more comes, and the answer is whole.
    Ended,
    BrokenOff,
}

impl LiteLlmStream {
    /// Waits for the first piece. The time limit is the caller's.
    pub(crate) async fn begin(
        parts: Arc<Parts>,
        call: &ModelCall,
        head: Head,
        body: Incoming,
        started: Instant,
    ) -> Result<Self, ProviderError> {
        let kind = head.text(header::CONTENT_TYPE.as_str());
        if !kind.is_some_and(|kind| kind.trim_start().starts_with("text/event-stream")) {
            let kind = first_chars(kind.unwrap_or("not stated"), 60);
            return Err(unusable(&format!(
                "it is no event stream although one was asked for (its content type is {kind})"
            )));
        }
        let max_bytes = parts.transport.config().max_response_bytes;
        let (max_event, max_bytes) = (
            MAX_EVENT_BYTES.min(max_bytes),
            u64::try_from(max_bytes).unwrap_or(u64::MAX),
        );
        let model = head.model_name().unwrap_or_default().model;
        let mut stream = Self {
            pieces: Pieces::of(&call.request, parts.transport.key()),
            end: Settlement {
                parts,
                call: call.clone(),
                head: head.kept(),
            },
            model_name: model,
            reader: SseReader::with_max_bytes(body, max_event, max_bytes),
            first: None,
            state: State::Open,
            tail: BytesMut::new(),
            last_words: Bytes::new(),
            started,
            time_to_first_token: None,
        };
        stream.first = stream.read_on().await?;
        Ok(stream)
    }

    /// The next piece for the caller, or nothing once the answer is whole.
    async fn read_on(&mut self) -> Result<Option<Chunk>, ProviderError> {
        while self.state == State::Open {
            let event = match self.reader.next().await {
                Some(Ok(event)) if event.data.trim() == DONE => {
                    self.pieces.done();
                    return self.ended();
                }
                Some(Ok(event)) => event,
                None => return self.ended(),
                // The model had said that it is done: what breaks off after that is not its answer.
                Some(Err(_)) if self.pieces.is_whole() => return self.ended(),
                Some(Err(error)) => return Err(broken(error)),
            };
            match self.pieces.read(&event)? {
                Piece::Hidden => {}
                Piece::Last(frame) => self.tail.extend_from_slice(&frame),
                Piece::Failed(frame, error) => {
                    self.last_words = frame;
                    return Err(error);
                }
                Piece::Chunk(chunk, is_token) => {
                    if is_token && self.time_to_first_token.is_none() {
                        self.time_to_first_token = Some(self.started.elapsed());
                    }
                    return Ok(Some(chunk));
                }
            }
        }
        Ok(None)
    }

    /// Nothing more comes. A stream that was cut must not pass for a whole answer.
    fn ended(&mut self) -> Result<Option<Chunk>, ProviderError> {
        if !self.pieces.is_whole() {
            let inside = self.reader.ended_inside_an_event();
            let place = if inside {
                ", in the middle of a piece"
            } else {
                ""
            };
            return Err(unusable(&format!("it was cut off before its end{place}")));
        }
        self.state = State::Ended;
        Ok(None)
    }

    /// The next piece, within the time that it may take.
    ///
    /// Anything that comes is a sign of life, also a comment that is no piece.
    async fn read_in_time(&mut self) -> Result<Option<Chunk>, ProviderError> {
        let config = self.end.parts.transport.config();
        let (idle, whole) = (config.stream_idle_timeout, config.stream_timeout);
        let whole_until = self.started + whole;
        loop {
            let (since, seen) = (Instant::now(), self.reader.bytes_read());
            // Also where more is there to read: a slow caller does not make it longer.
            if since >= whole_until {
                return Err(timed_out(TimeoutPhase::Stream, whole, self.started));
            }
            let until = (since + idle).min(whole_until);
            match tokio::time::timeout_at(until, self.read_on()).await {
                Ok(outcome) => return outcome,
                Err(_) if until == whole_until => {
                    return Err(timed_out(TimeoutPhase::Stream, whole, self.started));
                }
                Err(_) if self.reader.bytes_read() > seen => {}
                Err(_) if self.pieces.is_whole() => return self.ended(),
                Err(_) => return Err(timed_out(TimeoutPhase::Idle, idle, since)),
            }
        }
    }

    /// Reads what still comes of a whole answer: the usage, where the caller left before it came, and the end
    /// of the body, so that the connection can be used again. An error or a time-out costs no more than that.
    async fn read_out(&mut self) {
        let limit = if self.pieces.has_usage() {
            END_OF_BODY
        } else {
            LAST_PIECE
        };
        let rest = async {
            while let Ok(Some(_)) = self.read_on().await {}
            self.reader.next().await
        };
        let _ = tokio::time::timeout(limit, rest).await;
    }
}

#[async_trait]
impl AnswerStream for LiteLlmStream {
    fn model_name(&self) -> &str {
        &self.model_name
    }

    async fn next(&mut self) -> Result<Option<Chunk>, ProviderError> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        let next = self.read_in_time().await;
        if next.is_err() {
            self.state = State::BrokenOff;
        }
        next
    }

    async fn close(mut self: Box<Self>) -> Closed {
        let duration = self.started.elapsed();
        let is_whole = self.state != State::BrokenOff && self.pieces.is_whole();
        if is_whole {
            self.read_out().await;
            self.tail.extend_from_slice(&data_frame(DONE));
        }
        let Self {
            reader,
            end,
            time_to_first_token,
            pieces,
            tail,
            last_words,
            ..
        } = *self;
        // Ends the call upstream where it still goes on, before anything else is looked up.
        drop(reader);
        let mut result = end.settle(pieces, duration).await;
        result.time_to_first_token = time_to_first_token;
        Closed {
            result,
            is_whole,
            tail: tail.freeze(),
            last_words,
        }
    }
}

fn broken(error: SseError) -> ProviderError {
    let reason = match &error {
        SseError::Broken { .. } => "it was cut off before its end".to_owned(),
        SseError::TooLarge { limit } => {
            format!("it is larger than {limit} bytes (proxy.max_response_bytes)")
        }
        other => other.to_string(),
    };
    with_source(reason, error.into())
}

pub(crate) fn timed_out(phase: TimeoutPhase, limit: Duration, since: Instant) -> ProviderError {
    ProviderError::Timeout {
        phase,
        limit,
        elapsed: since.elapsed(),
    }
}
