//! Closed-loop load: so many callers, each sending its next call when the last one is answered.

use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use hdrhistogram::Histogram;
use http::{HeaderMap, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::report::Figures;

/// No call is waited for longer.
const CALL_LIMIT: Duration = Duration::from_secs(30);
/// A caller that failed so often stops: the run is spoilt, and a refused connection would spin.
const ERRORS_OF_A_CALLER: u64 = 20;
/// The most calls of a caller in one round.
const CALLS_OF_A_CALLER: u64 = 1_000_000;

/// Somebody who makes one call after the other.
pub(super) trait Caller: Send + 'static {
    /// One call, from sending it to having its whole answer.
    fn call(&mut self) -> impl Future<Output = Result<()>> + Send;
}

/// What callers saw, added up over rounds.
#[derive(Debug)]
pub(super) struct Tally {
    latencies_ns: Histogram<u64>,
    errors: u64,
    first_error: Option<String>,
    seconds: f64,
    rates: Vec<f64>,
}

impl Tally {
    pub(super) fn new() -> Result<Self> {
        Ok(Self {
            latencies_ns: Histogram::new_with_bounds(1, 60_000_000_000, 3)?,
            errors: 0,
            first_error: None,
            seconds: 0.0,
            rates: Vec::new(),
        })
    }

    /// Takes another round in.
    pub(super) fn add(&mut self, round: &Self) -> Result<()> {
        self.gather(round)?;
        self.seconds += round.seconds;
        self.rates.push(round.rate());
        Ok(())
    }

    /// Takes what another caller of the same round saw.
    fn gather(&mut self, other: &Self) -> Result<()> {
        self.latencies_ns.add(&other.latencies_ns)?;
        self.errors += other.errors;
        if self.first_error.is_none() {
            self.first_error.clone_from(&other.first_error);
        }
        Ok(())
    }

    fn failed(&mut self, error: &anyhow::Error) {
        self.errors += 1;
        self.first_error.get_or_insert_with(|| format!("{error:#}"));
    }

    pub(super) fn calls(&self) -> u64 {
        self.latencies_ns.len()
    }

    pub(super) fn errors(&self) -> u64 {
        self.errors
    }

    pub(super) fn quantile_us(&self, quantile: f64) -> f64 {
        float(self.latencies_ns.value_at_quantile(quantile)) / 1000.0
    }

    fn rate(&self) -> f64 {
        if self.seconds > 0.0 {
            float(self.calls()) / self.seconds
        } else {
            0.0
        }
    }

    pub(super) fn figures(&self) -> Figures {
        Figures {
            calls: self.calls(),
            errors: self.errors,
            first_error: self.first_error.clone(),
            seconds: self.seconds,
            requests_per_s: self.rate(),
            p50_us: self.quantile_us(0.5),
            p99_us: self.quantile_us(0.99),
            max_us: float(self.latencies_ns.max()) / 1000.0,
            round_requests_per_s: extent(&self.rates),
        }
    }
}

/// The least and the most; zeros of nothing.
pub(super) fn extent(values: &[f64]) -> [f64; 2] {
    let least = values.iter().copied().reduce(f64::min);
    let most = values.iter().copied().reduce(f64::max);
    [least.unwrap_or(0.0), most.unwrap_or(0.0)]
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a figure of some digits, far below 2^52"
)]
pub(super) fn float(number: u64) -> f64 {
    number as f64
}

/// One round: all callers at once, for so long.
pub(super) async fn round<C: Caller>(callers: Vec<C>, length: Duration) -> Result<Tally> {
    let started = Instant::now();
    let end = started + length;
    let mut running = JoinSet::new();
    for caller in callers {
        running.spawn(call_until(caller, end));
    }
    let mut all = Tally::new()?;
    while let Some(done) = running.join_next().await {
        all.gather(&done??)?;
    }
    all.seconds = started.elapsed().as_secs_f64();
    Ok(all)
}

async fn call_until(mut caller: impl Caller, end: Instant) -> Result<Tally> {
    let mut seen = Tally::new()?;
    while seen.calls() < CALLS_OF_A_CALLER && seen.errors < ERRORS_OF_A_CALLER {
        let started = Instant::now();
        if started >= end {
            break;
        }
        let outcome = tokio::time::timeout(CALL_LIMIT, caller.call()).await;
        let took = u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        match outcome {
            Ok(Ok(())) => seen.latencies_ns.saturating_record(took),
            Ok(Err(error)) => seen.failed(&error),
            Err(_) => seen.failed(&anyhow::anyhow!("no answer within {CALL_LIMIT:?}")),
        }
    }
    Ok(seen)
}

/// A request, ready to be sent over and over.
#[derive(Clone, Debug)]
pub(super) struct Post {
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Post {
    pub(super) fn request(&self) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        request
    }
}

/// A caller with a kept-alive connection of its own.
pub(super) struct Connection {
    address: String,
    post: Post,
    sender: Option<SendRequest<Full<Bytes>>>,
    driver: JoinSet<()>,
}

impl Connection {
    /// Connects, so that the first call does not pay for it.
    pub(super) async fn open(address: &str, post: &Post) -> Result<Self> {
        let mut connection = Self {
            address: address.to_owned(),
            post: post.clone(),
            sender: None,
            driver: JoinSet::new(),
        };
        connection.sender = Some(connection.connect().await?);
        Ok(connection)
    }

    /// The connection, ready for a call; a fresh one if the last call did not [`keep`](Self::keep) it.
    pub(super) async fn sender(&mut self) -> Result<SendRequest<Full<Bytes>>> {
        let mut sender = match self.sender.take() {
            Some(sender) => sender,
            None => self.connect().await?,
        };
        sender.ready().await?;
        Ok(sender)
    }

    pub(super) fn request(&self) -> Request<Full<Bytes>> {
        self.post.request()
    }

    /// For the next call: the answer of the last was read to its end.
    pub(super) fn keep(&mut self, sender: SendRequest<Full<Bytes>>) {
        self.sender = Some(sender);
    }

    async fn connect(&mut self) -> Result<SendRequest<Full<Bytes>>> {
        let stream = TcpStream::connect(&self.address).await;
        let stream = stream.with_context(|| format!("cannot connect to {}", self.address))?;
        stream.set_nodelay(true)?;
        let (sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        self.driver.abort_all();
        self.driver.spawn(async move {
            // Its caller sees the same error.
            let _seen_by_the_caller = connection.await;
        });
        Ok(sender)
    }
}

impl Caller for Connection {
    async fn call(&mut self) -> Result<()> {
        let mut sender = self.sender().await?;
        let (head, body) = sender.send_request(self.post.request()).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        self.keep(sender);
        expect_answer(head.status, &body)
    }
}

/// Whatever is not a completed call counts as an error.
pub(super) fn expect_answer(status: StatusCode, body: &[u8]) -> Result<()> {
    if status == StatusCode::OK && body.ends_with(b"}") {
        return Ok(());
    }
    let text = String::from_utf8_lossy(body);
    let beginning: String = text.chars().take(200).collect();
    bail!("HTTP {status}: {beginning}")
}
