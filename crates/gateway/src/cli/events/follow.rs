//! Following the log through the running gateway, over cut connections and restarts of it.

use std::time::Duration;

use bytes::Bytes;
use event_payloads::{EventPage, EventType, LoggedEvent};
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use secrecy::ExposeSecret;
use sse_reader::SseReader;

use super::Printer;
use crate::cli::gateway_client::{self, Begun, refusal};
use crate::cli::{Exit, output};
use crate::config::Config;
use crate::http::After;

/// Longest event that is read, in bytes.
const MAX_EVENT: usize = 8 << 20;
/// What the gateway may take to begin an answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);
/// Between two connections.
const PAUSE: Duration = Duration::from_secs(1);
/// A stream that sends no heartbeat for so many of them is dead.
const MISSED_HEARTBEATS: u32 = 4;

/// Why a stream is read no more.
enum End {
    /// Enough was printed.
    Enough,
    /// The gateway ended, or the way to it broke: it goes on after the last event.
    Cut(String),
    /// Asking again would get the same answer.
    Refused(String),
}

pub(super) async fn follow(
    config: &Config,
    after: After,
    types: &[EventType],
    printer: &mut Printer,
) -> Exit {
    let mut cursor = match after {
        After::Cursor(cursor) => Ok(cursor),
        After::Latest => latest(config).await,
    };
    let mut connected = false;
    while let Ok(after) = &mut cursor {
        match follow_once(config, after, types, printer, &mut connected).await {
            End::Enough => return Exit::Good,
            End::Cut(why) if connected => {
                output::note(format!("connecting again after cursor {after}: {why}"));
                tokio::time::sleep(PAUSE).await;
            }
            End::Cut(why) | End::Refused(why) => cursor = Err(why),
        }
    }
    if let Err(why) = cursor {
        output::note(format!("error: {why}"));
    }
    Exit::Failed
}

/// Where the log ends now: a place to come back to, also if the connection breaks before the first event.
async fn latest(config: &Config) -> Result<u64, String> {
    let begun = ask(
        config,
        "/api/events?after=latest&limit=1",
        "application/json",
    )
    .await?;
    let (head, body) = begun.response.into_parts();
    if head.status != StatusCode::OK {
        return Err(refusal(head.status, body).await);
    }
    let body = Limited::new(body, MAX_EVENT).collect().await;
    let body = body.map_err(|error| format!("the answer broke off: {error}"))?;
    let page: EventPage = serde_json::from_slice(&body.to_bytes())
        .map_err(|error| format!("the answer is no page of events: {error}"))?;
    Ok(page.next)
}

async fn follow_once(
    config: &Config,
    after: &mut u64,
    types: &[EventType],
    printer: &mut Printer,
    connected: &mut bool,
) -> End {
    let types: Vec<&str> = types.iter().map(EventType::as_str).collect();
    let filter = if types.is_empty() { "" } else { "&types=" };
    let path = format!("/api/events?after={after}{filter}{}", types.join(","));
    let begun = match ask(config, &path, "text/event-stream").await {
        Ok(begun) => begun,
        Err(why) => return End::Cut(why),
    };
    let (head, body) = begun.response.into_parts();
    if head.status != StatusCode::OK {
        let why = refusal(head.status, body).await;
        return if head.status.is_server_error() {
            End::Cut(why)
        } else {
            End::Refused(why)
        };
    }
    *connected = true;
    let end = print_all(body, config.server.sse_heartbeat, after, printer).await;
    drop(begun.connection);
    end
}

async fn print_all(
    body: Incoming,
    heartbeat: Duration,
    after: &mut u64,
    printer: &mut Printer,
) -> End {
    let quiet = heartbeat
        .saturating_mul(MISSED_HEARTBEATS)
        .max(ANSWER_LIMIT);
    let mut frames = SseReader::new(body, MAX_EVENT);
    loop {
        let read = frames.bytes_read();
        let frame = match tokio::time::timeout(quiet, frames.next()).await {
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(error))) => return End::Cut(error.to_string()),
            Ok(None) => return End::Cut("the stream ended".to_owned()),
            // Heartbeats are no events, but signs of life.
            Err(_) if frames.bytes_read() > read => continue,
            Err(_) => return End::Cut(format!("nothing came for {} s", quiet.as_secs())),
        };
        let event: LoggedEvent = match serde_json::from_str(&frame.data) {
            Ok(event) => event,
            Err(error) => return End::Refused(format!("an event can not be read: {error}")),
        };
        *after = event.cursor;
        if !printer.print(&event) {
            return End::Enough;
        }
    }
}

async fn ask(config: &Config, path: &str, accept: &str) -> Result<Begun, String> {
    let mut request = Request::get(path)
        .header(header::HOST, config.server.listen.to_string())
        .header(header::ACCEPT, accept);
    if let Some(key) = &config.server.key {
        let bearer = format!("Bearer {}", key.expose_secret());
        request = request.header(header::AUTHORIZATION, bearer);
    }
    let request = request.body(Full::<Bytes>::default());
    let request = request.map_err(|error| format!("the request can not be written: {error}"))?;
    let begun = gateway_client::send(config.server.listen, request, ANSWER_LIMIT).await;
    begun.map_err(|error| error.to_string())
}
