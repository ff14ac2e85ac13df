//! Durable commits a second: the store, and the raw database in turns with it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use event_store::{EventStore, PostgresOptions, PostgresStore, SqliteOptions, SqliteStore};

use super::raw_postgres;
use super::raw_sqlite::Raw;
use super::report::Appends;
use super::work::{Times, commit_for};
use crate::steps;

/// How long and how often.
struct Rounds {
    count: u32,
    time: Duration,
}

impl Rounds {
    const fn new(quick: bool) -> Self {
        if quick {
            return Self {
                count: 1,
                time: Duration::from_millis(100),
            };
        }
        Self {
            count: 5,
            time: Duration::from_millis(1_500),
        }
    }
}

pub(super) async fn measure(data: &Path, writers: usize, quick: bool) -> Result<Appends> {
    let name = format!("commits on SQLite, writers: {writers}");
    let step = steps::Step::begin(&name);
    let measured = sqlite(data, writers, &Rounds::new(quick)).await;
    step.end(&measured);
    measured
}

async fn sqlite(data: &Path, writers: usize, rounds: &Rounds) -> Result<Appends> {
    let folder = tempfile::Builder::new().prefix("store-").tempdir_in(data)?;
    let at =
        |name: &str| SqliteOptions::new(folder.path().join(name), folder.path().join("artifacts"));
    // The layout is the store's own; each way has a file of its own.
    for name in ["batches.db", "single.db"] {
        SqliteStore::open(at(name)).await?.close().await?;
    }
    let mut batches = Raw::open(&folder.path().join("batches.db"))?;
    let mut single = Raw::open(&folder.path().join("single.db"))?;
    let store: Arc<dyn EventStore> = Arc::new(SqliteStore::open(at("store.db")).await?);
    let [mut by_store, mut by_batch, mut by_one] = [Times::new()?, Times::new()?, Times::new()?];
    for _ in 0..rounds.count {
        commit_for(&store, writers, rounds.time, &mut by_store).await?;
        batches.commit_for(writers, rounds.time, &mut by_batch)?;
        single.commit_for(1, rounds.time, &mut by_one)?;
    }
    store.close().await?;
    Ok(Appends {
        database: "SQLite".to_owned(),
        writers,
        store: by_store.rate(),
        raw_same_batches: by_batch.rate(),
        raw_one_by_one: by_one.rate(),
        raw_connections: None,
    })
}

/// The same on a server of this run.
pub(super) async fn on_postgres(url: &str, writers: usize, quick: bool) -> Result<Appends> {
    let name = format!("commits on Postgres, writers: {writers}");
    let step = steps::Step::begin(&name);
    let measured = Box::pin(postgres(url, writers, &Rounds::new(quick))).await;
    step.end(&measured);
    measured
}

async fn postgres(url: &str, writers: usize, rounds: &Rounds) -> Result<Appends> {
    let store = PostgresStore::open(PostgresOptions::new(url)?).await?;
    let store: Arc<dyn EventStore> = Arc::new(store);
    // Numbers that no earlier level has taken.
    let first = i64::try_from(writers)? * 1_000;
    let mut batches = raw_postgres::Raw::open(url, first).await?;
    let mut single = raw_postgres::Raw::open(url, first + 1).await?;
    let mut many = Vec::new();
    for number in 0..i64::try_from(writers)? {
        many.push(raw_postgres::Raw::open(url, first + 2 + number).await?);
    }
    let [mut by_store, mut by_batch, mut by_one, mut by_many] =
        [Times::new()?, Times::new()?, Times::new()?, Times::new()?];
    for _ in 0..rounds.count {
        commit_for(&store, writers, rounds.time, &mut by_store).await?;
        batches
            .commit_for(writers, rounds.time, &mut by_batch)
            .await?;
        single.commit_for(1, rounds.time, &mut by_one).await?;
        many = raw_postgres::connections_for(many, rounds.time, &mut by_many).await?;
    }
    store.close().await?;
    Ok(Appends {
        database: "Postgres".to_owned(),
        writers,
        store: by_store.rate(),
        raw_same_batches: by_batch.rate(),
        raw_one_by_one: by_one.rate(),
        raw_connections: Some(by_many.rate()),
    })
}
