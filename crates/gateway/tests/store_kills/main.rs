//! octo, killed at any moment, keeps its books.
//!
//! Clients send messages (also with keys of before), make calls alone and in sessions, cancel and follow; then
//! octo gets SIGKILL, also in the middle of its start, and several times in a row. Whatever the clients were told
//! has to be there afterwards, and the books have to hold together: `check` says which rules these are. They are
//! read past octo, straight from the database, and counted by code of their own.
//!
//! A few kills in every run of the tests; `cargo xtask kills --store sqlite --times 1000` does it as often as one
//! likes.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test stops where something is missing"
)]

mod books;
mod check;
mod clients;
mod counts;
mod database;
mod dice;
mod doctored;
mod folder;
mod look;
mod old;
mod process;
mod psql;
mod rounds;
mod store;
#[path = "../support/mod.rs"]
mod support;
mod told;
mod upstream;

use std::sync::Arc;

use dice::Dice;
use process::Place;
use psql::Cluster;
use rounds::{Plan, Victim};
use store::Store;

/// A number of the environment.
fn asked(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap())
}

/// So many kills, unless somebody asked for more.
async fn kill(victim: Victim, kills: u64) {
    let plan = Plan {
        victim,
        kills: asked("OCTO_TEST_KILLS").unwrap_or(kills),
        seed: asked("OCTO_TEST_KILLS_SEED").unwrap_or_else(Dice::new_seed),
    };
    let counts = rounds::run(&plan).await;
    assert!(counts.kills >= plan.kills, "{counts}");
    assert!(counts.show_work(), "nobody worked: {counts}");
}

/// An octo that does not know Postgres takes no notice of an address where there is none.
async fn octo_knows_postgres(cluster: &Arc<Cluster>) -> bool {
    let store = Store::Postgres(Arc::clone(cluster));
    let place = Place::new(store.nowhere(), "http://127.0.0.1:1".to_owned());
    place.start().await.is_err()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn octo_killed_at_any_moment_keeps_its_books_in_sqlite() {
    kill(Victim::Octo(Store::Sqlite), 12).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn octo_killed_at_any_moment_keeps_its_books_in_postgres() {
    let cluster = Arc::new(Cluster::shared().await);
    if octo_knows_postgres(&cluster).await {
        kill(Victim::Octo(Store::Postgres(cluster)), 5).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn octo_keeps_its_books_in_a_postgres_that_is_killed() {
    let cluster = Arc::new(Cluster::own().await);
    if octo_knows_postgres(&cluster).await {
        kill(Victim::Server(cluster), 3).await;
    }
}
