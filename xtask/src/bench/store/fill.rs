//! A store with many events: two years of days, each with calls of several aliases and models.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result};
use event_payloads::{
    Actor, Cost, CostSource, ModelCallCompleted, ModelCallStarted, Payload, StateTransition,
    TaskStatus, TokenUsage, Usd,
};
use event_store::{
    Commit, EventStore, IdSource, ManualClock, NewEvent, Parent, Recorded, StoreError,
};
use tokio::task::JoinSet;

use super::work::{Load, created, message};
use crate::bench::load::float;

/// 2025-01-01T00:00:00 UTC.
pub(super) const FIRST: i64 = 1_735_689_600_000_000;
/// Two years, in microseconds.
pub(super) const SPAN: i64 = 2 * 365 * DAY;
pub(super) const DAY: i64 = 86_400_000_000;
/// How many commits wait at once: several groups of the writer's.
const IN_FLIGHT: usize = 1_024;

const ALIASES: [(&str, &str); 5] = [
    ("planner", "main"),
    ("executor", "main"),
    ("router", "cheap"),
    ("extractor", "cheap"),
    ("summarizer", "cheap"),
];
const MODELS: [(&str, &str); 4] = [
    ("gpt-4o-mini", "openai"),
    ("gpt-4o", "openai"),
    ("claude-haiku", "anthropic"),
    ("gemini-flash", "gemini"),
];

/// Fills an empty store; says how many tasks, and events a second.
pub(super) async fn fill(
    store: &Arc<dyn EventStore>,
    clock: &ManualClock,
    ids: &IdSource,
    events: u64,
) -> Result<(u64, f64)> {
    let tasks = events / u64::from(Load::SHORT);
    let step = SPAN / i64::try_from(tasks.max(1))?;
    let start = Instant::now();
    let mut running = JoinSet::new();
    let mut day = 0;
    for index in 0..tasks {
        let after = step * i64::try_from(index)?;
        // The writer asks for the time when it comes to a commit: none may slip into a later day, or the days
        // of a small store are empty.
        if after / DAY != day {
            day = after / DAY;
            settle(&mut running).await?;
        }
        clock.set_unix_micros(FIRST + after);
        let task = commit(ids, index)?;
        let store = Arc::clone(store);
        running.spawn(async move { store.append(task).await });
        if running.len() >= IN_FLIGHT {
            running.join_next().await.context("nothing runs")???;
        }
        if index % 100_000 == 0 && index > 0 {
            crate::steps::note(format!(
                "{} of {events} events",
                index * u64::from(Load::SHORT)
            ));
        }
    }
    settle(&mut running).await?;
    let rate = float(tasks * u64::from(Load::SHORT)) / start.elapsed().as_secs_f64();
    Ok((tasks, rate))
}

async fn settle(running: &mut JoinSet<Result<Recorded, StoreError>>) -> Result<()> {
    while let Some(done) = running.join_next().await {
        done??;
    }
    Ok(())
}

/// A whole task in one commit.
fn commit(ids: &IdSource, index: u64) -> Result<Commit> {
    let pick = |count: usize| usize::try_from(index).unwrap_or(0) % count;
    let (alias, category) = ALIASES
        .get(pick(ALIASES.len()))
        .copied()
        .unwrap_or_default();
    let (model, provider) = MODELS
        .get(pick(7) % MODELS.len())
        .copied()
        .unwrap_or_default();
    let system = |payload| NewEvent::new(Actor::System, payload);
    let started = ModelCallStarted {
        model_alias: alias.to_owned(),
        request_summary: "one message".to_owned(),
        category: category.to_owned(),
        runtime_group: category.to_owned(),
        ..ModelCallStarted::default()
    };
    let usd: Usd = format!("0.0000{}", 10 + pick(90)).parse()?;
    let completed = ModelCallCompleted {
        model_alias: alias.to_owned(),
        response_summary: "Four.".to_owned(),
        duration_ms: 420,
        model_name: model.to_owned(),
        provider: provider.to_owned(),
        category: category.to_owned(),
        runtime_group: category.to_owned(),
        token_usage: Some(TokenUsage::new(20, 2)),
        ..ModelCallCompleted::default()
    }
    .with_cost(&Cost::known(usd, CostSource::Proxy));
    Ok(Commit::new(ids.task_id())
        .event(created().key(format!("key-{index}")))
        .event(message())
        .event(moved(TaskStatus::Created, TaskStatus::Running))
        .event(system(Payload::ModelCallStarted(started)))
        .event(system(Payload::ModelCallCompleted(Box::new(completed))).parent(Parent::InCommit(3)))
        .event(moved(TaskStatus::Running, TaskStatus::Succeeded)))
}

fn moved(from_status: TaskStatus, to_status: TaskStatus) -> NewEvent {
    let transition = StateTransition {
        from_status,
        to_status,
        reason: String::new(),
    };
    NewEvent::new(Actor::System, Payload::StateTransition(transition))
}
