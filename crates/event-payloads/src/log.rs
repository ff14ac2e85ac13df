//! The log as workers read it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Event;

/// An event with its place in the log of all tasks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LoggedEvent {
    /// Grows with every event, in the order in which they were committed. To go on after this event, ask
    /// for what is after its cursor. It does not tell how many events lie between two.
    pub cursor: u64,
    /// The event itself.
    pub event: Event,
}

/// Some events in the order of the log: the answer of `GET /api/events`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EventPage {
    /// The events; can be empty although more follow, if those looked at have other types.
    pub events: Vec<LoggedEvent>,
    /// Where to go on: the `after` of the next request. Keep it once the events are dealt with.
    pub next: u64,
    /// True if the log had no more at that moment.
    pub caught_up: bool,
}
