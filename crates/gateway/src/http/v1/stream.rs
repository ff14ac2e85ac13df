//! An answer that comes in pieces.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body::Frame;
use provider_core::Endpoint;
use provider_service::{DirectStream, StreamPart};
use serde_json::json;
use sse_reader::{SseEvent, data_frame};

use super::TASK_HEADER;
use super::answer::{set_cost, set_model, warn_unknown_alias};
use crate::http::OpenAiError;
use crate::http::error::set;

/// The frames as they came. What the call cost is known when they are over: it comes in the trailers, for a
/// client that takes any (`TE: trailers`), and is in the books for everybody.
pub(super) fn response(endpoint: Endpoint, stream: DirectStream) -> Response {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        (header::CONTENT_TYPE, "text/event-stream; charset=utf-8"),
        (header::CACHE_CONTROL, "no-cache"),
        (header::TRAILER, "x-octo-cost-usd, x-octo-cost-unavailable"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // A proxy in front (nginx and its like) is not to collect the pieces.
    set(&mut headers, "x-accel-buffering", "no");
    set(&mut headers, TASK_HEADER, stream.task_id.as_str());
    set_model(&mut headers, &stream.model_name, stream.fallback.as_ref());
    if stream.unknown_alias {
        warn_unknown_alias(&mut headers, &stream.runtime_group);
    }
    let frames = Frames {
        endpoint,
        stream,
        end: End::NotYet,
    };
    (headers, Body::new(frames)).into_response()
}

/// A response body of frames. Dropping it, when the client hangs up, ends the call.
///
/// A stream whose end was never said breaks the connection: it must not pass for a whole one.
struct Frames {
    endpoint: Endpoint,
    stream: DirectStream,
    end: End,
}

enum End {
    NotYet,
    Said(HeaderMap),
    Over,
}

impl Frames {
    /// The frames at the end, and what the trailers say.
    fn end(
        &mut self,
        tail: Bytes,
        outcome: Result<event_payloads::Cost, provider_service::DirectError>,
    ) -> Bytes {
        let mut trailers = HeaderMap::new();
        let tail = match outcome {
            Ok(cost) => {
                set_cost(&mut trailers, &cost);
                tail
            }
            Err(error) => {
                let error = OpenAiError::from(error);
                trailers.extend(
                    error
                        .headers
                        .iter()
                        .map(|(name, value)| (name.clone(), value.clone())),
                );
                if tail.is_empty() {
                    error_frame(self.endpoint, &error)
                } else {
                    tail
                }
            }
        };
        self.end = End::Said(trailers);
        tail
    }
}

impl http_body::Body for Frames {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match self.stream.poll_next(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(StreamPart::Frame(frame))) => {
                Poll::Ready(Some(Ok(Frame::data(frame))))
            }
            Poll::Ready(Some(StreamPart::End { tail, outcome })) => {
                let tail = self.end(tail, *outcome);
                Poll::Ready(Some(Ok(Frame::data(tail))))
            }
            Poll::Ready(None) => Poll::Ready(match std::mem::replace(&mut self.end, End::Over) {
                End::NotYet => Some(Err(io::ErrorKind::ConnectionAborted.into())),
                End::Said(trailers) => Some(Ok(Frame::trailers(trailers))),
                End::Over => None,
            }),
        }
    }
}

/// An error in the middle of a stream, in the form in which OpenAI's SDKs raise one.
fn error_frame(endpoint: Endpoint, error: &OpenAiError) -> Bytes {
    let inner = json!({
        "message": error.message,
        "type": error.kind,
        "param": error.param,
        "code": error.code,
    });
    if endpoint != Endpoint::Responses {
        return data_frame(&json!({"error": inner}).to_string());
    }
    // The Responses API has an event for it, whose fields stand beside its type; the SDKs raise what stands
    // under `error`.
    let data = json!({
        "type": "error",
        "code": error.code,
        "message": error.message,
        "param": error.param,
        "error": inner,
    });
    let event = SseEvent {
        name: Some("error".to_owned()),
        data: data.to_string(),
        id: None,
    };
    event.to_frame()
}
