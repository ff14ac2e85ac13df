//! What is left of a task whose events were removed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{TaskStatus, Timestamp, Usd};

/// The events of an ended task after its first were removed: they were older than is kept.
///
/// This event follows the removed ones in the task's sequence, and carries what must outlive them: the
/// sums of the task's calls, and the hash that ties the chain together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TaskPruned {
    /// Tasks that ended before this moment were removed.
    pub before: Timestamp,
    /// Position of the first event that was removed.
    pub first_seq: u64,
    /// Position of the last event that was removed.
    pub last_seq: u64,
    /// How many artifacts went with them.
    #[serde(default)]
    pub artifacts: u64,
    /// How the task had ended.
    pub status: TaskStatus,
    /// The chain's hash at the last event that was removed, in hexadecimal: the chain goes on from it.
    pub chain_hash: String,
    /// The sums of the task's model calls, by what they are added up by.
    #[serde(default)]
    pub calls: Vec<PrunedCalls>,
}

/// Sums of calls that are recorded no more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PrunedCalls {
    /// The hour in which they started: `2026-03-01T12`, UTC.
    pub hour: String,
    /// The alias that was asked for.
    pub alias: String,
    /// What they are attributed to.
    pub category: String,
    /// The model that answered.
    pub model: String,
    /// The provider that answered.
    pub provider: String,
    /// How many they are.
    pub calls: u64,
    /// Of those: what they cost is not known.
    pub calls_without_cost: u64,
    /// Of those: answered by the fallback.
    pub fallback_calls: u64,
    /// Of those: ended without an answer.
    pub failed_calls: u64,
    /// Of those: the proxy's figure and ours differed.
    pub drift_calls: u64,
    /// Of those: their tokens were counted from the text.
    pub estimated_calls: u64,
    /// Of those: their cost was corrected after it was recorded.
    pub corrected_calls: u64,
    /// What those with a known cost add up to, in USD.
    pub cost_usd: Usd,
    /// The same by what was recorded first, in USD.
    pub recorded_cost_usd: Usd,
    /// All input tokens.
    pub prompt_tokens: u64,
    /// All output tokens.
    pub completion_tokens: u64,
    /// Input and output together.
    pub total_tokens: u64,
    /// Input tokens read from the provider's cache.
    pub cached_tokens: u64,
    /// Input tokens written to the provider's cache.
    pub cache_creation_tokens: u64,
    /// Output tokens that were reasoning.
    pub reasoning_tokens: u64,
}
