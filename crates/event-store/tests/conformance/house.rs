//! A place for the data of one test, and the stores that are open on it.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use event_store::{
    Clock, EventStore, IdSource, ManualClock, PostgresOptions, PostgresStore, SqliteOptions,
    SqliteStore,
};
use proptest::strategy::Strategy;
use proptest::test_runner::{Config as ProptestConfig, TestRunner};
use tempfile::TempDir;

use crate::database::Database;
use crate::desk::Desk;

/// 2026-03-01T12:00:00 UTC.
pub(crate) const NOON: i64 = 1_772_366_400_000_000;

/// How long a test may take, before it is said to hang.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a test sets; what it leaves out is as usual.
#[derive(Clone, Copy, Default)]
pub(crate) struct Limits {
    pub(crate) queue: Option<usize>,
    pub(crate) inline_threshold: Option<usize>,
    pub(crate) max_artifact_bytes: Option<u64>,
}

/// The data of one test, for one kind of store, under one clock.
pub(crate) struct House {
    place: Place,
    clock: Arc<ManualClock>,
    opened: Mutex<Vec<Arc<dyn EventStore>>>,
}

/// Where the data is.
enum Place {
    Sqlite(TempDir),
    Postgres(Database),
}

impl House {
    #[expect(clippy::unused_async, reason = "other kinds have to ask a server")]
    pub(crate) async fn sqlite() -> Self {
        Self::at(Place::Sqlite(TempDir::new().unwrap()))
    }

    pub(crate) async fn postgres() -> Self {
        Self::at(Place::Postgres(Database::fresh().await))
    }

    fn at(place: Place) -> Self {
        Self {
            place,
            clock: Arc::new(ManualClock::at_unix_micros(NOON)),
            opened: Mutex::default(),
        }
    }

    /// Another of the same kind, with nothing in it.
    pub(crate) async fn another(&self) -> Self {
        match self.place {
            Place::Sqlite(_) => Self::sqlite().await,
            Place::Postgres(_) => Self::postgres().await,
        }
    }

    /// Opens a store on the data; again, after the last was closed.
    pub(crate) async fn open(&self) -> Desk {
        self.open_with(Limits::default()).await
    }

    pub(crate) async fn open_with(&self, limits: Limits) -> Desk {
        let store = match &self.place {
            Place::Sqlite(dir) => self.open_sqlite(dir, limits).await,
            Place::Postgres(database) => self.open_postgres(database, limits).await,
        };
        self.opened.lock().unwrap().push(Arc::clone(&store));
        self.desk(store)
    }

    /// Several programs at work: stores of their own on the same data, where the kind lets more than one
    /// write, and the one store for all of them where it does not.
    pub(crate) async fn several(&self, programs: usize) -> Vec<Desk> {
        let first = self.open().await;
        let mut desks = Vec::new();
        for _ in 1..programs {
            desks.push(if first.store.is_shared() {
                self.open().await
            } else {
                self.desk(Arc::clone(&first.store))
            });
        }
        desks.push(first);
        desks
    }

    fn desk(&self, store: Arc<dyn EventStore>) -> Desk {
        Desk {
            store,
            clock: Arc::clone(&self.clock),
            ids: IdSource::new(Arc::clone(&self.clock) as Arc<dyn Clock>),
        }
    }

    async fn open_sqlite(&self, dir: &TempDir, limits: Limits) -> Arc<dyn EventStore> {
        let mut options =
            SqliteOptions::new(dir.path().join("octo.db"), dir.path().join("artifacts"))
                .clock(Arc::clone(&self.clock) as Arc<dyn Clock>);
        if let Some(commits) = limits.queue {
            options = options.queue(commits);
        }
        if let Some(bytes) = limits.inline_threshold {
            options = options.inline_threshold(bytes);
        }
        if let Some(bytes) = limits.max_artifact_bytes {
            options = options.max_artifact_bytes(bytes);
        }
        Arc::new(SqliteStore::open(options).await.unwrap())
    }

    async fn open_postgres(&self, database: &Database, limits: Limits) -> Arc<dyn EventStore> {
        let mut options = PostgresOptions::new(database.url())
            .unwrap()
            .clock(Arc::clone(&self.clock) as Arc<dyn Clock>);
        if let Some(commits) = limits.queue {
            options = options.queue(commits);
        }
        if let Some(bytes) = limits.inline_threshold {
            options = options.inline_threshold(bytes);
        }
        if let Some(bytes) = limits.max_artifact_bytes {
            options = options.max_artifact_bytes(bytes);
        }
        Arc::new(PostgresStore::open(options).await.unwrap())
    }

    /// Closes what is open. Nothing is left of the data.
    pub(crate) async fn clear(&self) {
        let opened = std::mem::take(&mut *self.opened.lock().unwrap());
        for store in opened {
            store.close().await.unwrap();
        }
    }
}

/// A test in mid-run.
type Running<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// Runs a test in a house of its own.
pub(crate) fn run<M: Future<Output = House>>(make: M, test: for<'a> fn(&'a House) -> Running<'a>) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let house = make.await;
        let whole = async {
            test(&house).await;
            house.clear().await;
        };
        let ended = tokio::time::timeout(PATIENCE, whole).await;
        assert!(ended.is_ok(), "it hangs");
    });
}

/// Holds a property of random histories, each case in a house of its own.
pub(crate) async fn check<S>(
    house: &House,
    cases: u32,
    inputs: S,
    property: impl AsyncFn(&House, S::Value),
) where
    S: Strategy,
{
    let config = ProptestConfig {
        cases,
        failure_persistence: None,
        max_shrink_iters: 200,
        ..ProptestConfig::default()
    };
    let mut runner = TestRunner::new(config);
    let case = |input| {
        tokio::runtime::Handle::current().block_on(async {
            let house = house.another().await;
            property(&house, input).await;
            house.clear().await;
        });
        Ok(())
    };
    // The cases wait for the store; the other threads work meanwhile.
    tokio::task::block_in_place(|| runner.run(&inputs, case)).unwrap();
}
