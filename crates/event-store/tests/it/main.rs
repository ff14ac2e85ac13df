//! The store through its public surface.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "the functions that the tests share"
)]

mod artifacts;
mod commits;
mod costs;
mod desk;
mod failures;
mod keeping;
mod live;
mod old_database;
mod rebuild;
mod rules;
