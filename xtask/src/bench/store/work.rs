//! What is committed, and how long it took.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use event_payloads::{Actor, Payload, TaskCreated, UserMessage};
use event_store::{Commit, EventStore, IdSource, NewEvent, SystemClock};
use hdrhistogram::Histogram;

use super::report::Rate;
use crate::bench::load::float;

/// Who commits what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    /// How many commit at once, each to a task of its own.
    pub(super) writers: usize,
    /// After so many events, a writer goes on with a new task.
    pub(super) events_per_task: u32,
    /// How many a writer commits together: the gateway commits what a call begins with, and what it ends with.
    pub(super) events_per_commit: u32,
}

impl Load {
    /// Events of a task with one call, about.
    pub(super) const SHORT: u32 = 6;
    /// More than any run comes to.
    pub(super) const ENDLESS: u32 = u32::MAX;

    /// True if a writer that has written so many events begins a task.
    const fn begins_task(self, before: u32) -> bool {
        before.is_multiple_of(self.events_per_task)
    }

    /// How many events are in one transaction if each writer's next commit is.
    pub(super) const fn events_at_once(self) -> usize {
        self.writers * self.events_per_commit as usize
    }
}

/// A message of 200 characters: an event of some 300 bytes.
pub(super) fn message() -> NewEvent {
    let message = UserMessage {
        text_preview: "x".repeat(200),
        text_length: 200,
        attachment_count: 0,
    };
    NewEvent::new(Actor::User, Payload::UserMessage(message))
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

/// How long it took until events were recorded, all rounds together.
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

    /// Events that were acknowledged together.
    pub(super) fn record(&mut self, took: Duration, events: u64) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.latencies_ns.saturating_record_n(nanos.max(1), events);
    }

    pub(super) fn took(&mut self, elapsed: Duration) {
        self.seconds += elapsed.as_secs_f64();
    }

    /// Takes the events of others in, not their time: they were at work at once.
    pub(super) fn merge(&mut self, others: &Self) -> Result<()> {
        Ok(self.latencies_ns.add(&others.latencies_ns)?)
    }

    pub(super) fn rate(&self) -> Rate {
        let at = |quantile| float(self.latencies_ns.value_at_quantile(quantile)) / 1_000.0;
        Rate {
            events: self.latencies_ns.len(),
            per_s: float(self.latencies_ns.len()) / self.seconds,
            p50_us: at(0.5),
            p99_us: at(0.99),
        }
    }
}

/// Writers that each make one commit after the other, the first of each task with the task.
pub(super) async fn commit_for(
    store: &Arc<dyn EventStore>,
    load: Load,
    time: Duration,
    times: &mut Times,
) -> Result<()> {
    let ids = Arc::new(IdSource::new(Arc::new(SystemClock)));
    let start = Instant::now();
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..load.writers {
        running.spawn(write(
            Arc::clone(store),
            Arc::clone(&ids),
            load,
            start,
            time,
        ));
    }
    let mut latencies = Vec::with_capacity(load.writers);
    while let Some(done) = running.join_next().await {
        latencies.push(done??);
    }
    times.took(start.elapsed());
    for took in latencies.into_iter().flatten() {
        times.record(took, u64::from(load.events_per_commit));
    }
    Ok(())
}

async fn write(
    store: Arc<dyn EventStore>,
    ids: Arc<IdSource>,
    load: Load,
    start: Instant,
    time: Duration,
) -> Result<Vec<Duration>> {
    // Not a histogram each: those of 64 writers do not fit into the caches of the store that is measured.
    let mut latencies = Vec::new();
    let mut task_id = ids.task_id();
    for before in (0_u32..).step_by(load.events_per_commit as usize) {
        if start.elapsed() >= time {
            break;
        }
        let began = Instant::now();
        if load.begins_task(before) {
            task_id = ids.task_id();
        }
        let events = (before..before + load.events_per_commit).map(|before| {
            if load.begins_task(before) {
                created()
            } else {
                message()
            }
        });
        let commit = events.fold(Commit::new(task_id.clone()), Commit::event);
        store.append(commit).await?;
        latencies.push(began.elapsed());
    }
    Ok(latencies)
}
