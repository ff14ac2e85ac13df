//! What is about SQLite itself: its files, locks and layouts. What every store promises is held in
//! `conformance`.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "the functions that the tests share"
)]

mod artifacts;
mod commits;
mod desk;
#[path = "../shared/ended.rs"]
mod ended;
#[path = "../shared/events.rs"]
mod events;
mod failures;
mod keeping;
mod moved_files;
mod old_database;
mod rebuild;
