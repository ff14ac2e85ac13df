//! What a failing disk does to a SQLite store, with failures that are real: a small library stands before
//! the calls that change files and lets them fail as told.
//!
//! Each test runs twice. The program starts itself again with the library loaded: there the store works
//! under faults, and is killed in the end. Then the first checks, without faults, what is left.
#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "the functions that the tests share"
)]

mod cases;
mod disk;
#[path = "../shared/events.rs"]
mod events;
mod left;
mod load;
mod stage;
