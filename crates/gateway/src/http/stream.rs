//! `GET /api/stream/task/{id}`: the events of a task as they happen, as Server-Sent Events.

use std::convert::Infallible;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event as Frame, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use event_payloads::{Event, ModelCallChunk, TaskId};
use event_store::{Follow, Followed};
use futures_util::stream;
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

use super::ApiError;
use super::tasks::parse_id;
use crate::app::App;

/// History first, then live, until the event that ends the task.
pub(super) async fn task(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let task_id = parse_id(&id)?;
    let task = app
        .store
        .task(&task_id)
        .await?
        .ok_or_else(|| ApiError::no_task(&id))?;
    let after = resume_after(&app, &task_id, &headers).await?;
    if task.status.is_terminal()
        && after > 0
        && app.store.events(&task_id, after, 1).await?.is_empty()
    {
        // All was seen. 204 is how a browser's EventSource is told not to connect again.
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let following = Following {
        follow: Follow::new(app.store.clone(), task_id, after),
        closing: app.closing.clone(),
        _place: place(&app)?,
    };
    let state = Some(following);
    let frames = stream::unfold(state, |state| async move { next_frame(state?).await });
    let heartbeat = KeepAlive::new()
        .interval(app.config.server.sse_heartbeat)
        .text("heartbeat");
    Ok(Sse::new(frames).keep_alive(heartbeat).into_response())
}

/// A place for an answer that stays open.
pub(super) fn place(app: &App) -> Result<OwnedSemaphorePermit, ApiError> {
    let place = app.streams.clone().try_acquire_owned();
    place.map_err(|_| ApiError::busy("too many event streams are open; try again in a second"))
}

/// The position after which the client wants to go on: that of `Last-Event-ID`, if it is an event of
/// this task, else the beginning.
async fn resume_after(app: &App, task_id: &TaskId, headers: &HeaderMap) -> Result<u64, ApiError> {
    let last = headers
        .get("last-event-id")
        .and_then(|value| value.to_str().ok()?.parse().ok());
    let Some(event_id) = last else { return Ok(0) };
    let position = app.store.position(&event_id).await?;
    Ok(position
        .filter(|position| &position.task_id == task_id)
        .map_or(0, |position| position.task_seq))
}

/// A stream that is open.
struct Following {
    follow: Follow,
    closing: CancellationToken,
    _place: OwnedSemaphorePermit,
}

/// The next event as a frame, and what to go on with; nothing after the final one.
async fn next_frame(
    mut following: Following,
) -> Option<(Result<Frame, Infallible>, Option<Following>)> {
    let event = tokio::select! {
        event = following.follow.next() => event,
        () = following.closing.cancelled() => return None,
    };
    match event {
        Ok(Some(Followed::Chunk(chunk))) => Some((Ok(chunk_frame(&chunk)), Some(following))),
        Ok(Some(Followed::Event(event))) => {
            let is_final = event.is_final();
            let next = (!is_final).then_some(following);
            Some((Ok(frame(&event, is_final)), next))
        }
        Ok(None) => None,
        Err(error) => {
            // The client connects again, with the last event that it has seen.
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "an event stream broke"
            );
            None
        }
    }
}

/// A piece of an answer. It has no `id:`, so that a client that connects again goes on after the last event
/// that was recorded.
fn chunk_frame(chunk: &ModelCallChunk) -> Frame {
    #[derive(Serialize)]
    struct Data<'a> {
        r#type: &'static str,
        task_id: &'a TaskId,
        ts: event_payloads::Timestamp,
        payload: &'a ModelCallChunk,
        r#final: bool,
    }
    let data = Data {
        r#type: ModelCallChunk::TYPE,
        task_id: &chunk.task_id,
        ts: chunk.ts,
        payload: chunk,
        r#final: false,
    };
    let frame = Frame::default().event(ModelCallChunk::TYPE);
    frame
        .json_data(&data)
        .unwrap_or_else(|_| Frame::default().event(ModelCallChunk::TYPE))
}

fn frame(event: &Event, is_final: bool) -> Frame {
    #[derive(Serialize)]
    struct Data<'a> {
        event_id: &'a event_payloads::EventId,
        task_id: &'a TaskId,
        task_seq: u64,
        ts: event_payloads::Timestamp,
        r#type: &'a event_payloads::EventType,
        schema_version: u32,
        actor: &'a event_payloads::Actor,
        payload: &'a serde_json::Value,
        trace_id: &'a str,
        span_id: &'a str,
        causality: &'a event_payloads::Causality,
        r#final: bool,
    }
    let data = Data {
        event_id: &event.event_id,
        task_id: &event.task_id,
        task_seq: event.task_seq,
        ts: event.ts,
        r#type: &event.event_type,
        schema_version: event.schema_version,
        actor: &event.actor,
        payload: &event.payload,
        trace_id: &event.trace_id,
        span_id: &event.span_id,
        causality: &event.causality,
        r#final: is_final,
    };
    let frame = Frame::default()
        .id(event.event_id.as_str())
        .event(event.event_type.as_str());
    // Every field has a JSON form; if one had not, the client would see the frame without data.
    frame
        .json_data(&data)
        .unwrap_or_else(|_| Frame::default().id(event.event_id.as_str()))
}
