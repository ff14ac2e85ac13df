//! Durable commits a second: the store, and the raw database in turns with it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use event_store::{EventStore, PostgresOptions, PostgresStore, SqliteOptions, SqliteStore};
use real_stack::Postgres;

use super::raw_postgres;
use super::raw_sqlite;
use super::report::Appends;
use super::work::{Load, Times, commit_for};
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

pub(super) async fn measure(data: &Path, load: Load, quick: bool) -> Result<Appends> {
    let name = name("SQLite", load);
    let step = steps::Step::begin(&name);
    let measured = sqlite(data, load, &Rounds::new(quick)).await;
    step.end(&measured);
    tell(measured)
}

fn name(database: &str, load: Load) -> String {
    let tasks = match load.events_per_task {
        Load::ENDLESS => "endless".to_owned(),
        events => format!("of {events} events"),
    };
    format!(
        "commits on {database}, writers: {}, tasks {tasks}",
        load.writers
    )
}

/// At once: the next one may fail.
fn tell(measured: Result<Appends>) -> Result<Appends> {
    let appends = measured?;
    steps::note(format!(
        "commits/s: {:.0}, raw {:.0}, raw one by one {:.0}, raw with a connection a writer {:.0}",
        appends.store.per_s,
        appends.raw_same_batches.per_s,
        appends.raw_one_by_one.per_s,
        appends.raw_connections.per_s
    ));
    Ok(appends)
}

async fn sqlite(data: &Path, load: Load, rounds: &Rounds) -> Result<Appends> {
    let folder = tempfile::Builder::new().prefix("store-").tempdir_in(data)?;
    let at =
        |name: &str| SqliteOptions::new(folder.path().join(name), folder.path().join("artifacts"));
    // The layout is the store's own; each way has a file of its own.
    for name in ["batches.db", "single.db", "many.db"] {
        SqliteStore::open(at(name)).await?.close().await?;
    }
    let raw = |name: &str, writers| raw_sqlite::Raw::open(&folder.path().join(name), load, writers);
    let mut batches = raw("batches.db", 0..load.writers)?;
    let mut single = raw("single.db", 0..1)?;
    let mut many = (0..load.writers)
        .map(|number| raw("many.db", number..number + 1))
        .collect::<Result<Vec<_>>>()?;
    let store: Arc<dyn EventStore> = Arc::new(SqliteStore::open(at("store.db")).await?);
    let [mut by_store, mut by_batch, mut by_one, mut by_many] =
        [Times::new()?, Times::new()?, Times::new()?, Times::new()?];
    for _ in 0..rounds.count {
        commit_for(&store, load, rounds.time, &mut by_store).await?;
        batches.commit_for(rounds.time, &mut by_batch)?;
        single.commit_for(rounds.time, &mut by_one)?;
        many = raw_sqlite::connections_for(many, rounds.time, &mut by_many)?;
    }
    store.close().await?;
    Ok(Appends {
        database: "SQLite".to_owned(),
        writers: load.writers,
        events_per_task: (load.events_per_task != Load::ENDLESS).then_some(load.events_per_task),
        store: by_store.rate(),
        raw_same_batches: by_batch.rate(),
        raw_one_by_one: by_one.rate(),
        raw_connections: by_many.rate(),
    })
}

/// The same on a server of this run.
pub(super) async fn on_postgres(server: &Postgres, load: Load, quick: bool) -> Result<Appends> {
    let name = name("Postgres", load);
    let step = steps::Step::begin(&name);
    let measured = Box::pin(postgres(server, load, &Rounds::new(quick))).await;
    step.end(&measured);
    tell(measured)
}

async fn postgres(server: &Postgres, load: Load, rounds: &Rounds) -> Result<Appends> {
    let Load {
        writers,
        events_per_task,
    } = load;
    let [url, raw] = [
        server.database(&format!("store_{writers}_{events_per_task}"))?,
        server.database(&format!("raw_{writers}_{events_per_task}"))?,
    ];
    let open = async |url: &str| PostgresStore::open(PostgresOptions::new(url)?).await;
    // The layout is the store's own.
    open(&raw).await?.close().await?;
    let store: Arc<dyn EventStore> = Arc::new(open(&url).await?);
    let mut batches = raw_postgres::Raw::open(&raw, load, 0..writers).await?;
    let mut single = raw_postgres::Raw::open(&raw, load, writers..writers + 1).await?;
    let mut many = Vec::new();
    for number in writers + 1..2 * writers + 1 {
        many.push(raw_postgres::Raw::open(&raw, load, number..number + 1).await?);
    }
    let [mut by_store, mut by_batch, mut by_one, mut by_many] =
        [Times::new()?, Times::new()?, Times::new()?, Times::new()?];
    for _ in 0..rounds.count {
        commit_for(&store, load, rounds.time, &mut by_store).await?;
        batches.commit_for(rounds.time, &mut by_batch).await?;
        single.commit_for(rounds.time, &mut by_one).await?;
        many = raw_postgres::connections_for(many, rounds.time, &mut by_many).await?;
    }
    store.close().await?;
    Ok(Appends {
        database: "Postgres".to_owned(),
        writers: load.writers,
        events_per_task: (load.events_per_task != Load::ENDLESS).then_some(load.events_per_task),
        store: by_store.rate(),
        raw_same_batches: by_batch.rate(),
        raw_one_by_one: by_one.rate(),
        raw_connections: by_many.rate(),
    })
}
