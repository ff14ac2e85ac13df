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
mod database;
mod dice;
mod doctored;
mod process;
mod rounds;
#[path = "../support/mod.rs"]
mod support;
mod told;
mod upstream;

use dice::Dice;
use rounds::Plan;

/// A number of the environment.
fn asked(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn octo_killed_at_any_moment_keeps_its_books_in_sqlite() {
    let plan = Plan {
        kills: asked("OCTO_TEST_KILLS").unwrap_or(15),
        seed: asked("OCTO_TEST_KILLS_SEED").unwrap_or_else(Dice::new_seed),
    };
    let counts = rounds::run(&plan).await;
    eprintln!("{counts}");
    assert_eq!(counts.kills, plan.kills);
    assert!(
        counts.keys > 0 && counts.seen > 0 && counts.answers > 0,
        "{counts}"
    );
}
