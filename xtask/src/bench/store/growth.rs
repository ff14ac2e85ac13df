//! The same questions to stores of different sizes.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result};
use event_payloads::Timestamp;
use event_store::{
    Clock, Commit, CostQuery, Dimension, EventStore, IdSource, LogQuery, ManualClock,
    PostgresOptions, PostgresStore, SqliteOptions, SqliteStore, TaskQuery,
};
use real_stack::Postgres;

use super::fill::{self, DAY, FIRST, SPAN};
use super::raw_postgres;
use super::report::{Growth, Question};
use super::work::{created, message};
use crate::steps;

/// SQLite with so many events.
pub(super) async fn on_sqlite(data: &Path, events: u64, quick: bool) -> Result<Growth> {
    let folder = tempfile::Builder::new()
        .prefix("growth-")
        .tempdir_in(data)?;
    let path = folder.path().join("octo.db");
    let open = async |clock| {
        let options = SqliteOptions::new(&path, folder.path().join("artifacts")).clock(clock);
        let store: Arc<dyn EventStore> = Arc::new(SqliteStore::open(options).await?);
        Ok(store)
    };
    let size = async || Ok(std::fs::metadata(&path)?.len());
    grow(("SQLite", events), quick, open, size).await
}

/// Postgres with so many events.
pub(super) async fn on_postgres(server: &Postgres, events: u64, quick: bool) -> Result<Growth> {
    let url = server.database(&format!("growth_{events}"))?;
    let open = async |clock| {
        let options = PostgresOptions::new(&url)?.clock(clock);
        let store: Arc<dyn EventStore> = Arc::new(PostgresStore::open(options).await?);
        Ok(store)
    };
    let size = async || raw_postgres::size(&url).await;
    grow(("Postgres", events), quick, open, size).await
}

async fn grow(
    (database, events): (&str, u64),
    quick: bool,
    open: impl AsyncFn(Arc<dyn Clock>) -> Result<Arc<dyn EventStore>>,
    size: impl AsyncFn() -> Result<u64>,
) -> Result<Growth> {
    let name = format!("{database} with {events} events");
    let step = steps::Step::begin(&name);
    let measured = async {
        let clock = Arc::new(ManualClock::at_unix_micros(FIRST));
        let ids = IdSource::new(Arc::clone(&clock) as Arc<dyn Clock>);
        let store = open(Arc::clone(&clock) as Arc<dyn Clock>).await?;
        let (tasks, fill_events_per_s) = fill::fill(&store, &clock, &ids, events).await?;
        store.close().await?;
        drop(store);

        let opening = Instant::now();
        let store = open(clock).await?;
        let open_ms = opening.elapsed().as_secs_f64() * 1_000.0;
        let rounds = if quick { 3 } else { 50 };
        let questions = questions(&store, &ids, rounds).await?;
        store.close().await?;
        Ok(Growth {
            database: database.to_owned(),
            events,
            tasks,
            bytes: size().await?,
            fill_events_per_s,
            open_ms,
            questions,
        })
    };
    let measured = Box::pin(measured).await;
    step.end(&measured);
    measured
}

/// Asks each some times.
struct Asker {
    rounds: u32,
    answers: Vec<Question>,
}

impl Asker {
    async fn ask<T, F: Future<Output = Result<T>>>(
        &mut self,
        what: &str,
        is_cost: bool,
        mut question: impl FnMut(u32) -> F,
    ) -> Result<()> {
        let mut times = Vec::new();
        for round in 0..self.rounds {
            let began = Instant::now();
            question(round).await.with_context(|| what.to_owned())?;
            times.push(began.elapsed().as_secs_f64() * 1_000.0);
        }
        times.sort_by(f64::total_cmp);
        self.answers.push(Question {
            what: what.to_owned(),
            is_cost,
            p50_ms: times.get(times.len() / 2).copied().unwrap_or_default(),
            max_ms: times.last().copied().unwrap_or_default(),
        });
        Ok(())
    }
}

async fn questions(
    store: &Arc<dyn EventStore>,
    ids: &IdSource,
    rounds: u32,
) -> Result<Vec<Question>> {
    let mut asker = Asker {
        rounds,
        answers: Vec::new(),
    };
    for (what, query) in costs(store).await? {
        let ask = |_| async { Ok(store.cost_rollup(query.clone()).await?) };
        asker.ask(what, true, ask).await?;
    }
    reads(store, &mut asker).await?;
    let task_id = ids.task_id();
    store
        .append(Commit::new(task_id.clone()).event(created()))
        .await?;
    let append = |_| async {
        let commit = Commit::new(task_id.clone()).event(message());
        Ok(store.append(commit).await?)
    };
    asker
        .ask("append, one durable commit", false, append)
        .await?;
    Ok(asker.answers)
}

/// What the API asks about costs: `/api/costs` by each dimension, over all time and over ranges, and a task's.
async fn costs(store: &Arc<dyn EventStore>) -> Result<Vec<(&'static str, CostQuery)>> {
    let newest = TaskQuery {
        status: None,
        limit: 1,
    };
    let task = store.tasks(newest).await?.pop().context("no task")?;
    let by = |group_by: &[Dimension]| CostQuery {
        group_by: group_by.to_vec(),
        ..CostQuery::default()
    };
    let at = |micros| Some(Timestamp::from_unix_micros(micros));
    let odd = 7 * 3_600_000_000 + 1_234_567;
    let year_by = |group_by: &[Dimension]| CostQuery {
        from: at(FIRST + odd),
        to: at(FIRST + 365 * DAY + 2 * odd),
        ..by(group_by)
    };
    Ok(vec![
        ("cost in all", by(&[])),
        ("cost by day (two years)", by(&[Dimension::Day])),
        ("cost by alias", by(&[Dimension::Alias])),
        (
            "cost by model and provider",
            by(&[Dimension::Model, Dimension::Provider]),
        ),
        (
            "cost by every dimension but the day",
            by(&Dimension::ALL[1..]),
        ),
        (
            "cost by day and alias, 30 days",
            CostQuery {
                from: at(FIRST + SPAN - 30 * DAY),
                ..by(&[Dimension::Day, Dimension::Alias])
            },
        ),
        (
            "cost by alias, between two odd moments a year apart",
            year_by(&[Dimension::Alias]),
        ),
        (
            "cost by category, likewise",
            year_by(&[Dimension::Category]),
        ),
        (
            "cost by model and provider, likewise",
            year_by(&[Dimension::Model, Dimension::Provider]),
        ),
        (
            "cost by every dimension but the day, likewise",
            year_by(&Dimension::ALL[1..]),
        ),
        (
            "cost of a task",
            CostQuery {
                task: Some(task.task_id),
                ..by(&[])
            },
        ),
    ])
}

async fn reads(store: &Arc<dyn EventStore>, asker: &mut Asker) -> Result<()> {
    let newest = TaskQuery {
        status: None,
        limit: 100,
    };
    let tasks = store.tasks(newest).await?;
    let view = |round: u32| {
        let task = tasks.get(usize::try_from(round).unwrap_or(0) % tasks.len().max(1));
        async move {
            let task = task.context("no task")?;
            store.task(&task.task_id).await?;
            store.artifacts(&task.task_id).await?;
            store.calls(&task.task_id).await?;
            Ok(store.events(&task.task_id, 0, 1_000).await?)
        }
    };
    asker
        .ask("a task with its events and calls", false, view)
        .await?;
    let list = |_| async { Ok(store.tasks(newest).await?) };
    asker.ask("the newest 100 tasks", false, list).await?;
    let head = *store.head().borrow();
    for (what, after) in [
        ("1,000 events of the log from its middle", head / 2),
        ("the last 100 events of the log", head.saturating_sub(100)),
    ] {
        let page = |_| async move {
            let query = LogQuery {
                after,
                types: Vec::new(),
                limit: 1_000,
            };
            Ok(store.log(query).await?)
        };
        asker.ask(what, false, page).await?;
    }
    Ok(())
}
