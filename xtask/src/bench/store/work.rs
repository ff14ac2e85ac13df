//! What is committed, and how long it took.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use event_payloads::{Actor, Payload, TaskCreated, TaskId, UserMessage};
use event_store::{Commit, EventStore, IdSource, NewEvent, SystemClock};
use hdrhistogram::Histogram;

use super::report::Rate;
use crate::bench::load::float;

/// A message of 200 characters: an event of some 300 bytes.
pub(super) fn message() -> NewEvent {
    NewEvent::new(Actor::User, user_message())
}

fn user_message() -> Payload {
    Payload::UserMessage(UserMessage {
        text_preview: "x".repeat(200),
        text_length: 200,
        attachment_count: 0,
    })
}

/// What every raw row has: the payload of such an event, its time and a hash.
pub(super) struct RawRow {
    pub(super) payload: String,
    pub(super) ts: &'static str,
    pub(super) hash: [u8; 32],
}

impl RawRow {
    pub(super) fn new() -> Result<Self> {
        Ok(Self {
            payload: user_message().to_json()?.to_string(),
            ts: "2026-03-01T12:00:00.250000+00:00",
            hash: [7; 32],
        })
    }

    /// A number as an identifier of 26 characters that sorts as it does.
    pub(super) fn event_id(number: i64) -> String {
        format!("01KZ{number:022}")
    }
}

pub(super) fn created() -> NewEvent {
    let created = Payload::TaskCreated(TaskCreated {
        title: "What is two plus two? Answer in one word.".to_owned(),
        thread_id: "default".to_owned(),
        scope_id: "chat:web:default".to_owned(),
        channel: "web".to_owned(),
        sender_id: "owner".to_owned(),
        risk_level: "low".to_owned(),
    });
    NewEvent::new(Actor::System, created)
}

/// Times of commits, all rounds together.
pub(super) struct Times {
    latencies_ns: Histogram<u64>,
    seconds: f64,
}

impl Times {
    pub(super) fn new() -> Result<Self> {
        Ok(Self {
            latencies_ns: Histogram::new_with_bounds(1, 60_000_000_000, 3)?,
            seconds: 0.0,
        })
    }

    /// Commits that were acknowledged together.
    pub(super) fn record(&mut self, took: Duration, commits: u64) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.latencies_ns.saturating_record_n(nanos.max(1), commits);
    }

    pub(super) fn took(&mut self, elapsed: Duration) {
        self.seconds += elapsed.as_secs_f64();
    }

    /// Takes the commits of others in, not their time: they were at work at once.
    pub(super) fn merge(&mut self, others: &Self) -> Result<()> {
        Ok(self.latencies_ns.add(&others.latencies_ns)?)
    }

    pub(super) fn rate(&self) -> Rate {
        let at = |quantile| float(self.latencies_ns.value_at_quantile(quantile)) / 1_000.0;
        Rate {
            commits: self.latencies_ns.len(),
            per_s: float(self.latencies_ns.len()) / self.seconds,
            p50_us: at(0.5),
            p99_us: at(0.99),
        }
    }
}

/// Writers that each commit one event after the other to a task of their own.
pub(super) async fn commit_for(
    store: &Arc<dyn EventStore>,
    writers: usize,
    time: Duration,
    times: &mut Times,
) -> Result<()> {
    let ids = IdSource::new(Arc::new(SystemClock));
    let mut tasks = Vec::new();
    for _ in 0..writers {
        let task_id = ids.task_id();
        let opening = Commit::new(task_id.clone()).event(created());
        store.append(opening).await?;
        tasks.push(task_id);
    }
    let start = Instant::now();
    let mut running = tokio::task::JoinSet::new();
    for task_id in tasks {
        running.spawn(write(Arc::clone(store), task_id, start, time));
    }
    while let Some(done) = running.join_next().await {
        times.merge(&done??)?;
    }
    times.took(start.elapsed());
    Ok(())
}

async fn write(
    store: Arc<dyn EventStore>,
    task_id: TaskId,
    start: Instant,
    time: Duration,
) -> Result<Times> {
    let mut times = Times::new()?;
    while start.elapsed() < time {
        let began = Instant::now();
        let commit = Commit::new(task_id.clone()).event(message());
        store.append(commit).await?;
        times.record(began.elapsed(), 1);
    }
    Ok(times)
}
