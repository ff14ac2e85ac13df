//! What Postgres adds to what every store promises: several programs at once, leases, and connections that
//! break.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the functions that the tests share"
)]

mod cut;
mod damaged;
#[path = "../shared/database.rs"]
mod database;
#[path = "../shared/events.rs"]
mod events;
mod house;
mod known;
mod leases;
mod lost;
mod moments;
mod opening;
mod pruning;
mod together;
