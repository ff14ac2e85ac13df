//! The log as a stream that does not end.

use std::convert::Infallible;
use std::time::Duration;

use axum::response::sse::{Event as Frame, Sse};
use axum::response::{IntoResponse, Response};
use event_payloads::{EventType, LoggedEvent};
use event_store::LogFollow;
use futures_util::stream;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::http::ApiError;
use crate::http::stream::place;

/// A stream that is open.
struct Following {
    follow: LogFollow,
    /// The cursor that the client has, if it has one yet.
    told: Option<u64>,
    heartbeat: Duration,
    closing: CancellationToken,
    _place: OwnedSemaphorePermit,
}

/// What there is after a cursor, then what is recorded, until the client goes or the gateway ends.
pub(super) fn open(app: &App, after: u64, types: Vec<EventType>) -> Result<Response, ApiError> {
    let following = Following {
        follow: LogFollow::new(app.store.clone(), after, types),
        told: None,
        heartbeat: app.config.server.sse_heartbeat,
        closing: app.closing.clone(),
        _place: place(app)?,
    };
    let frames = stream::unfold(following, next_frame);
    Ok(Sse::new(frames).into_response())
}

/// The next frame, and what to go on with. The first one says where the stream begins: a client that loses
/// its connection before the first event goes on there, also if it asked for `latest`.
async fn next_frame(mut following: Following) -> Option<(Result<Frame, Infallible>, Following)> {
    if following.told.is_none() {
        let frame = following.told_frame(Frame::default());
        return Some((Ok(frame), following));
    }
    let event = tokio::select! {
        event = following.follow.next() => event,
        () = following.closing.cancelled() => return None,
        () = tokio::time::sleep(following.heartbeat) => {
            let frame = following.told_frame(Frame::default().comment("heartbeat"));
            return Some((Ok(frame), following));
        }
    };
    match event {
        Ok(Some(event)) => {
            following.told = Some(event.cursor);
            Some((Ok(frame(&event)), following))
        }
        Ok(None) => None,
        Err(error) => {
            // The client connects again, with the last cursor that it has.
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "an event stream broke"
            );
            None
        }
    }
}

impl Following {
    /// A frame without data dispatches nothing. Its id still moves the client's cursor over events of other
    /// types, so that it does not look at them again when it connects again.
    fn told_frame(&mut self, frame: Frame) -> Frame {
        let cursor = self.follow.cursor();
        if self.told.replace(cursor) == Some(cursor) {
            return frame;
        }
        frame.id(cursor.to_string())
    }
}

fn frame(event: &LoggedEvent) -> Frame {
    let id = || Frame::default().id(event.cursor.to_string());
    let word = event.event.event_type.as_str();
    // A database of somebody else's making may hold a type that no line of a stream can.
    let named = if word.contains(['\r', '\n', '\0']) {
        id()
    } else {
        id().event(word)
    };
    // Every field has a JSON form; if one had not, the client would see the frame without data.
    named.json_data(event).unwrap_or_else(|_| id())
}
