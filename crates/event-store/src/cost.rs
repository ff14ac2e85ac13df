//! Sums over model calls.

use event_payloads::{Picodollars, TaskId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::Tokens;

/// Which calls to add up, and how to group the sums.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CostQuery {
    /// Calls that started at this moment or later.
    pub from: Option<Timestamp>,
    /// Calls that started before this moment.
    pub to: Option<Timestamp>,
    /// Calls of this task.
    pub task: Option<TaskId>,
    /// One row for each different combination of these; one row in all if empty.
    pub group_by: Vec<Dimension>,
}

/// What sums can be grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Dimension {
    /// The calendar day (UTC) on which the call started: `2026-03-01`.
    Day,
    /// The alias that was asked for.
    Alias,
    /// What the cost is attributed to; empty in old logs.
    Category,
    /// The model that answered; empty if nobody said.
    Model,
    /// The provider that answered; empty if nobody said.
    Provider,
}

/// A word that is no dimension.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is nothing to group costs by, use one of day, alias, category, model, provider")]
pub struct UnknownDimension(String);

impl Dimension {
    /// Every dimension.
    pub const ALL: [Self; 5] = [
        Self::Day,
        Self::Alias,
        Self::Category,
        Self::Model,
        Self::Provider,
    ];

    /// The word on the wire and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Alias => "alias",
            Self::Category => "category",
            Self::Model => "model",
            Self::Provider => "provider",
        }
    }
}

impl std::str::FromStr for Dimension {
    type Err = UnknownDimension;

    fn from_str(word: &str) -> Result<Self, UnknownDimension> {
        Self::ALL
            .into_iter()
            .find(|dimension| dimension.as_str() == word)
            .ok_or_else(|| UnknownDimension(event_payloads::first_chars(word, 40).to_owned()))
    }
}

/// The sums of one group of calls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CostRow {
    /// The group: each dimension of the query with its value, in the query's order.
    pub key: Vec<(Dimension, String)>,
    /// Calls, ended or not.
    pub calls: u64,
    /// Of those: not ended yet, so nothing is known of their cost.
    pub open_calls: u64,
    /// Of those: ended, and what they cost is not known. `cost` is then a lower bound.
    pub calls_without_cost: u64,
    /// Of those: answered by the fallback.
    pub fallback_calls: u64,
    /// Of those: ended without an answer.
    pub failed_calls: u64,
    /// Of those: the proxy's figure and ours differ by more than the threshold.
    pub drift_calls: u64,
    /// Of those: their tokens were counted from the text, since no answer stated them.
    pub estimated_calls: u64,
    /// Of those: their cost was corrected after it was recorded.
    pub corrected_calls: u64,
    /// What the calls with a known cost add up to, exactly.
    pub cost: Picodollars,
    /// The same by what was recorded first.
    pub recorded_cost: Picodollars,
    /// Tokens of all calls that stated them.
    pub tokens: Tokens,
}

impl CostRow {
    /// The value of one dimension of the group.
    #[must_use]
    pub fn get(&self, dimension: Dimension) -> Option<&str> {
        self.key
            .iter()
            .find_map(|(each, value)| (*each == dimension).then_some(value.as_str()))
    }
}
