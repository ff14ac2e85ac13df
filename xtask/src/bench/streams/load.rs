//! Clients that read streams, many at once.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use hdrhistogram::Histogram;
use http::{Response, StatusCode};
use http_body_util::{BodyExt as _, Collected, Limited};
use hyper::body::Incoming;
use sse_reader::SseReader;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::report::{Latency, StreamFigures};
use super::script::Script;
use super::stamp;
use crate::bench::load::{Connection, Post, float};

/// No stream takes longer than its script and this.
const LIMIT: Duration = Duration::from_secs(30);
/// A client that failed so often stops: the run is spoilt.
const ERRORS_OF_A_CLIENT: u64 = 5;
/// No event of a stream is larger.
const EVENT_BYTES: usize = 1 << 20;
/// What is read of an answer that is no stream.
const ERROR_BYTES: usize = 4096;

/// What a client saw, or all of them.
#[derive(Debug, Default)]
struct Seen {
    first_ns: Vec<u64>,
    chunk_ns: Vec<u64>,
    streams: u64,
    errors: u64,
    first_error: Option<String>,
}

impl Seen {
    fn gather(&mut self, other: Self) {
        self.first_ns.extend(other.first_ns);
        self.chunk_ns.extend(other.chunk_ns);
        self.streams += other.streams;
        self.errors += other.errors;
        self.first_error = self.first_error.take().or(other.first_error);
    }

    fn failed(&mut self, error: &anyhow::Error) {
        self.errors += 1;
        self.first_error.get_or_insert_with(|| format!("{error:#}"));
    }

    fn figures(self, seconds: f64) -> Result<StreamFigures> {
        let chunk = latencies(&self.chunk_ns)?;
        Ok(StreamFigures {
            streams: self.streams,
            chunks: chunk.len(),
            errors: self.errors,
            first_error: self.first_error,
            seconds,
            streams_per_s: float(self.streams) / seconds,
            chunks_per_s: float(chunk.len()) / seconds,
            first_token: quantiles(&latencies(&self.first_ns)?),
            chunk: quantiles(&chunk),
        })
    }
}

fn latencies(ns: &[u64]) -> Result<Histogram<u64>> {
    let mut latencies = Histogram::new_with_bounds(1, 60_000_000_000, 3)?;
    ns.iter().for_each(|ns| latencies.saturating_record(*ns));
    Ok(latencies)
}

fn quantiles(latencies: &Histogram<u64>) -> Latency {
    let quantile_us = |quantile| float(latencies.value_at_quantile(quantile)) / 1000.0;
    Latency {
        p50_us: quantile_us(0.5),
        p99_us: quantile_us(0.99),
    }
}

/// How many clients read which streams.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    pub(super) clients: usize,
    pub(super) script: Script,
    /// A client begins no further stream after so long.
    pub(super) length: Duration,
}

/// Every client on a connection of its own. They begin spread over the length of a stream, so that the
/// beginnings do not queue up behind each other.
pub(super) async fn round(address: &str, post: &Post, load: Load) -> Result<StreamFigures> {
    let connections = connect(address, post, load.clients).await?;
    let clients = u32::try_from(load.clients).context("too many clients")?;
    let begun = Instant::now();
    let end = begun + load.length;
    let mut running = JoinSet::new();
    for (number, connection) in (0..clients).zip(connections) {
        let delay = load.script.length() * number / clients;
        running.spawn(client(connection, delay, load.script, end));
    }
    let mut all = Seen::default();
    while let Some(done) = running.join_next().await {
        all.gather(done?);
    }
    all.figures(begun.elapsed().as_secs_f64())
}

/// One after the other: a system takes a burst of so many for an attack, and slows it down.
async fn connect(address: &str, post: &Post, clients: usize) -> Result<Vec<Connection>> {
    let mut connections = Vec::with_capacity(clients);
    for _ in 0..clients {
        connections.push(Connection::open(address, post).await?);
    }
    Ok(connections)
}

/// One stream after the other, and at least one.
async fn client(mut connection: Connection, delay: Duration, script: Script, end: Instant) -> Seen {
    sleep(delay).await;
    let limit = script.length() + LIMIT;
    let mut seen = Seen::default();
    loop {
        let stream = stream(&mut connection, script, &mut seen);
        let outcome = timeout(limit, stream).await;
        let outcome = outcome.unwrap_or_else(|_| bail!("a stream did not end within {limit:?}"));
        match outcome {
            Ok(()) => seen.streams += 1,
            Err(error) => seen.failed(&error),
        }
        if Instant::now() >= end || seen.errors == ERRORS_OF_A_CLIENT {
            return seen;
        }
    }
}

/// One stream to its end. A stream that is not whole is an error.
async fn stream(connection: &mut Connection, script: Script, seen: &mut Seen) -> Result<()> {
    let begun = Instant::now();
    let mut sender = connection.sender().await?;
    let response = sender.send_request(connection.request()).await?;
    let mut events = events(response).await?;
    let mut chunks = 0;
    let mut has_usage = false;
    let mut last = String::new();
    while let Some(event) = events.next().await {
        let data = event?.data;
        if let Some(sent_ns) = stamp::of_chunk(&data) {
            if chunks == 0 {
                seen.first_ns.push(nanoseconds(begun.elapsed()));
            }
            chunks += 1;
            seen.chunk_ns.push(stamp::now_ns().saturating_sub(sent_ns));
        }
        has_usage |= data.contains("\"prompt_tokens\"");
        last = data;
    }
    ensure!(
        last == "[DONE]" && chunks == script.chunks && has_usage,
        "a stream of {} chunks ended after {chunks}, usage: {has_usage}, with {last}",
        script.chunks
    );
    connection.keep(sender);
    Ok(())
}

/// A stream that has begun, and is kept open.
pub(super) struct Open {
    _connection: Connection,
    _events: SseReader<Incoming>,
}

impl Open {
    /// Begins a stream, and waits for its first chunk.
    async fn begin(mut connection: Connection) -> Result<Self> {
        let mut sender = connection.sender().await?;
        let response = timeout(LIMIT, sender.send_request(connection.request())).await??;
        let mut events = events(response).await?;
        let first = timeout(LIMIT, events.next()).await?;
        let first = first.context("a stream ended before it began")??;
        ensure!(
            stamp::of_chunk(&first.data).is_some(),
            "a stream began with {}",
            first.data
        );
        connection.keep(sender);
        Ok(Self {
            _connection: connection,
            _events: events,
        })
    }
}

/// Opens so many streams at once. Those that began, and the first error of the others.
pub(super) async fn open(
    address: &str,
    post: &Post,
    streams: usize,
) -> Result<(Vec<Open>, Option<anyhow::Error>)> {
    let mut beginning = JoinSet::new();
    for connection in connect(address, post, streams).await? {
        beginning.spawn(Open::begin(connection));
    }
    let mut open = Vec::with_capacity(streams);
    let mut first_error = None;
    while let Some(begun) = beginning.join_next().await {
        match begun? {
            Ok(stream) => open.push(stream),
            Err(error) => {
                first_error.get_or_insert(error);
            }
        }
    }
    Ok((open, first_error))
}

/// The events of an answer, if it is a stream.
async fn events(response: Response<Incoming>) -> Result<SseReader<Incoming>> {
    let (head, body) = response.into_parts();
    if head.status == StatusCode::OK {
        return Ok(SseReader::new(body, EVENT_BYTES));
    }
    let body = Limited::new(body, ERROR_BYTES).collect().await;
    let body = body.map(Collected::to_bytes).unwrap_or_default();
    let text = String::from_utf8_lossy(&body);
    let beginning: String = text.chars().take(200).collect();
    bail!("HTTP {}: {beginning}", head.status)
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
