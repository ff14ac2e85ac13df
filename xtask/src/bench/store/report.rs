//! The figures. Every field says its unit.

use serde::Serialize;

/// Events recorded durably, of so many writers at once.
#[derive(Debug, Serialize)]
pub(in crate::bench) struct Appends {
    pub(in crate::bench) database: String,
    pub(in crate::bench) writers: usize,
    /// After so many events a writer goes on with a new task; absent: never.
    pub(in crate::bench) events_per_task: Option<u32>,
    /// How many each commits at once.
    pub(in crate::bench) events_per_commit: u32,
    pub(in crate::bench) store: Rate,
    /// The database by itself writing the rows that the store has just written, in each transaction as many as all
    /// writers commit at once.
    pub(in crate::bench) raw_same_batches: Rate,
    /// The same with a transaction for each event, one after the other.
    pub(in crate::bench) raw_one_by_one: Rate,
    /// The same with a connection for each writer.
    pub(in crate::bench) raw_connections: Rate,
}

/// What was recorded in all rounds, and how long each event took.
#[derive(Clone, Debug, Serialize)]
pub(in crate::bench) struct Rate {
    pub(in crate::bench) events: u64,
    pub(in crate::bench) per_s: f64,
    pub(in crate::bench) p50_us: f64,
    pub(in crate::bench) p99_us: f64,
}

/// A store of some size, and what it takes.
#[derive(Debug, Serialize)]
pub(in crate::bench) struct Growth {
    pub(in crate::bench) database: String,
    pub(in crate::bench) events: u64,
    pub(in crate::bench) tasks: u64,
    pub(in crate::bench) bytes: u64,
    pub(in crate::bench) fill_events_per_s: f64,
    pub(in crate::bench) open_ms: f64,
    /// In milliseconds, the median and the slowest of the rounds.
    pub(in crate::bench) questions: Vec<Question>,
}

#[derive(Debug, Serialize)]
pub(in crate::bench) struct Question {
    pub(in crate::bench) what: String,
    pub(in crate::bench) is_cost: bool,
    pub(in crate::bench) p50_ms: f64,
    pub(in crate::bench) max_ms: f64,
}
