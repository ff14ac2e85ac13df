//! An answer that comes in pieces.

mod chat;
mod pieces;
mod responses;
mod settlement;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::BytesMut;
use event_payloads::first_chars;
use http::header;
use hyper::body::Incoming;
use provider_core::{AnswerStream, Chunk, Closed, ModelCall, ProviderError, TimeoutPhase};
use sse_reader::{SseError, SseReader, data_frame};
use tokio::time::Instant;

use crate::client::Parts;
use crate::failure::{unusable, with_source};
use crate::head::Head;
use pieces::{Piece, Pieces};
use settlement::Settlement;

/// The largest single event: a piece of an answer is a few hundred bytes, an image or the last event of a
/// response may be some MB.
const MAX_EVENT_BYTES: usize = 8 << 20;
/// What ends a stream. OpenAI's own streams of responses do without, the proxy's have it; nobody minds.
const DONE: &str = "[DONE]";
/// After the last event the end of the body is waited for so long, so that the connection can be used again.
const END_OF_BODY: Duration = Duration::from_millis(5);

/// An answer of the proxy that comes in pieces.
pub(crate) struct LiteLlmStream {
    end: Settlement,
    model_name: String,
    reader: SseReader<Incoming>,
    pieces: Pieces,
    /// The first piece, read to see that there is one.
    first: Option<Chunk>,
    tail: BytesMut,
    started: Instant,
    time_to_first_token: Option<Duration>,
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
        let limit = MAX_EVENT_BYTES.min(parts.transport.config().max_response_bytes);
        let model = head.model_name().unwrap_or_default().model;
        let mut stream = Self {
            pieces: Pieces::of(&call.request, parts.transport.key()),
            end: Settlement {
                parts,
                call: call.clone(),
                head,
            },
            model_name: model,
            reader: SseReader::new(body, limit),
            first: None,
            tail: BytesMut::new(),
            started,
            time_to_first_token: None,
        };
        stream.first = stream.read_on().await?;
        Ok(stream)
    }

    /// The next piece for the caller, or nothing once the answer is whole.
    async fn read_on(&mut self) -> Result<Option<Chunk>, ProviderError> {
        loop {
            let event = match self.event().await {
                Ok(Some(event)) if event.data == DONE => {
                    self.pieces.done();
                    return self.ended();
                }
                Ok(Some(event)) => event,
                Ok(None) => return self.ended(),
                // The model had said that it is done: what breaks off after that is not its answer.
                Err(_) if self.pieces.is_whole() => return Ok(None),
                Err(error) => return Err(error),
            };
            match self.pieces.read(&event)? {
                Piece::Hidden => {}
                Piece::Last(frame) => self.tail.extend_from_slice(&frame),
                Piece::Failed(frame, error) => {
                    self.tail.extend_from_slice(&frame);
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
    }

    /// The next event of the body, within the size of a whole answer.
    async fn event(&mut self) -> Result<Option<sse_reader::SseEvent>, ProviderError> {
        let event = self.reader.next().await.transpose().map_err(broken)?;
        let limit = self.end.parts.transport.config().max_response_bytes;
        if self.reader.bytes_read() > u64::try_from(limit).unwrap_or(u64::MAX) {
            return Err(unusable(&format!(
                "it is larger than {limit} bytes (proxy.max_response_bytes)"
            )));
        }
        Ok(event)
    }

    /// Nothing more comes. A stream that was cut must not pass for a whole answer.
    fn ended(&self) -> Result<Option<Chunk>, ProviderError> {
        if self.pieces.is_whole() {
            return Ok(None);
        }
        Err(unusable("it was cut off before its end"))
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
            let until = (since + idle).min(whole_until);
            match tokio::time::timeout_at(until, self.read_on()).await {
                Ok(outcome) => return outcome,
                Err(_) if until == whole_until => {
                    return Err(timed_out(TimeoutPhase::Stream, whole, self.started));
                }
                Err(_) if self.reader.bytes_read() > seen => {}
                Err(_) if self.pieces.is_whole() => return Ok(None),
                Err(_) => return Err(timed_out(TimeoutPhase::Idle, idle, since)),
            }
        }
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
        self.read_in_time().await
    }

    async fn close(mut self: Box<Self>) -> Closed {
        let duration = self.started.elapsed();
        if self.pieces.is_whole() {
            self.tail.extend_from_slice(&data_frame(DONE));
            // An error or a time-out costs the connection, and nothing else.
            let _ = tokio::time::timeout(END_OF_BODY, self.reader.next()).await;
        }
        let Self {
            reader,
            end,
            time_to_first_token,
            pieces,
            tail,
            ..
        } = *self;
        // Ends the call upstream where it still goes on, before anything else is looked up.
        drop(reader);
        let mut result = end.settle(pieces, duration).await;
        result.time_to_first_token = time_to_first_token;
        Closed {
            result,
            tail: tail.freeze(),
        }
    }
}

fn broken(error: SseError) -> ProviderError {
    let reason = match &error {
        SseError::Broken { .. } => "it was cut off before its end".to_owned(),
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
