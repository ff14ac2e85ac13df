//! Events recorded durably, a second: the store, and in turns with it the raw database with the rows that the store has just
//! written.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use event_store::{EventStore, PostgresOptions, PostgresStore, SqliteOptions, SqliteStore};
use real_stack::Postgres;

use super::raw_postgres;
use super::raw_sqlite;
use super::report::Appends;
use super::rows;
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
        "commits on {database}, writers: {}, tasks {tasks}, events a commit: {}",
        load.writers, load.events_per_commit
    )
}

/// At once: the next one may fail.
fn tell(measured: Result<Appends>) -> Result<Appends> {
    let appends = measured?;
    steps::note(format!(
        "events/s: {:.0}, raw {:.0}, raw one by one {:.0}, raw with a connection a writer {:.0}",
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
    let raw = |name: &str| raw_sqlite::Raw::open(&folder.path().join(name));
    let (batches, single) = (raw("batches.db")?, raw("single.db")?);
    let mut many = (0..load.writers)
        .map(|_| raw("many.db"))
        .collect::<Result<Vec<_>>>()?;
    let store: Arc<dyn EventStore> = Arc::new(SqliteStore::open(at("store.db")).await?);
    let mut all = AllTimes::new()?;
    for _ in 0..rounds.count {
        let before = *store.head().borrow();
        commit_for(&store, load, rounds.time, &mut all.store).await?;
        let written = rows::since(&store, before).await?;
        let same = rows::batches(&written, load.events_at_once());
        batches.commit_for(&same, rounds.time, &mut all.batches)?;
        let each = rows::batches(&written, 1);
        single.commit_for(&each, rounds.time, &mut all.single)?;
        let shares = rows::shares(&written, load.writers);
        many = raw_sqlite::at_once(many, &shares, rounds.time, &mut all.many)?;
    }
    store.close().await?;
    Ok(all.appends("SQLite", load))
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
    let database = |name: &str| {
        let Load {
            writers,
            events_per_task,
            events_per_commit,
        } = load;
        server.database(&format!(
            "{name}_{writers}_{events_per_task}_{events_per_commit}"
        ))
    };
    let open = async |url: &str| PostgresStore::open(PostgresOptions::new(url)?).await;
    let raw = async |name: &str| {
        let url = database(name)?;
        // The layout is the store's own.
        open(&url).await?.close().await?;
        anyhow::Ok(url)
    };
    let batches = raw_postgres::Raw::open(&raw("batches").await?).await?;
    let single = raw_postgres::Raw::open(&raw("single").await?).await?;
    let url = raw("many").await?;
    let mut many = Vec::new();
    for _ in 0..load.writers {
        many.push(raw_postgres::Raw::open(&url).await?);
    }
    let store: Arc<dyn EventStore> = Arc::new(open(&database("store")?).await?);
    let mut all = AllTimes::new()?;
    for _ in 0..rounds.count {
        let before = *store.head().borrow();
        commit_for(&store, load, rounds.time, &mut all.store).await?;
        let written = rows::since(&store, before).await?;
        let same = rows::batches(&written, load.events_at_once());
        batches
            .commit_for(&same, rounds.time, &mut all.batches)
            .await?;
        let each = rows::batches(&written, 1);
        single
            .commit_for(&each, rounds.time, &mut all.single)
            .await?;
        let shares = rows::shares(&written, load.writers);
        many = raw_postgres::at_once(many, shares, rounds.time, &mut all.many).await?;
    }
    store.close().await?;
    Ok(all.appends("Postgres", load))
}

/// Of the store, and of the bare database in its three ways.
struct AllTimes {
    store: Times,
    batches: Times,
    single: Times,
    many: Times,
}

impl AllTimes {
    fn new() -> Result<Self> {
        Ok(Self {
            store: Times::new()?,
            batches: Times::new()?,
            single: Times::new()?,
            many: Times::new()?,
        })
    }

    fn appends(&self, database: &str, load: Load) -> Appends {
        let Load {
            writers,
            events_per_task,
            events_per_commit,
        } = load;
        Appends {
            database: database.to_owned(),
            writers,
            events_per_task: (events_per_task != Load::ENDLESS).then_some(events_per_task),
            events_per_commit,
            store: self.store.rate(),
            raw_same_batches: self.batches.rate(),
            raw_one_by_one: self.single.rate(),
            raw_connections: self.many.rate(),
        }
    }
}
