//! Model calls, one row each, as their events add up.

use event_payloads::{CostSource, EventId, Picodollars, TaskId, Timestamp};
use serde::Serialize;

/// A model call from its start to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The `MODEL_CALL_STARTED` event; the end's own, where an old log has no start for it.
    pub call_id: EventId,
    /// The task that it belongs to.
    pub task_id: TaskId,
    /// When it started.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Where it stands.
    pub status: CallStatus,
    /// The alias that was asked for.
    pub alias: String,
    /// What it is attributed to; empty in old logs.
    pub category: String,
    /// The proxy's model group; empty in old logs.
    pub runtime_group: String,
    /// The model that answered; empty if nobody said.
    pub model: String,
    /// The provider that answered; empty if nobody said.
    pub provider: String,
    /// True if the fallback answered or was tried too.
    pub is_fallback: bool,
    /// What it cost; `None` while it runs and where that is not known.
    pub cost: Option<Picodollars>,
    /// Why an ended call has no cost; empty if it has one, or the log does not say.
    pub cost_unavailable_reason: String,
    /// Who said what it cost.
    pub cost_source: CostSource,
    /// True if the proxy's figure and ours differ by more than the threshold.
    pub drift: bool,
    /// What was recorded first, if the cost was corrected since: `Some(None)` where it was not known.
    pub recorded: Option<Option<Picodollars>>,
    /// True if the tokens, and a cost that follows from them, were counted from the text.
    pub estimated: bool,
    /// Tokens used; `None` if the answer did not say.
    pub tokens: Option<Tokens>,
    /// From sending the request to the end, in ms; `None` while it runs.
    pub duration_ms: Option<u64>,
    /// The kind of failure; empty if there was none.
    pub error_type: String,
}

/// Where a model call stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CallStatus {
    /// It has no end yet.
    Started,
    /// It was answered.
    Completed,
    /// It ended without an answer.
    Failed,
}

impl CallStatus {
    /// The word in SQL and on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }
}

/// A call that started and has no end: in flight, or left behind by a crash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenCall {
    /// The task that it belongs to.
    pub task_id: TaskId,
    /// The `MODEL_CALL_STARTED` event: the parent of the end that is due.
    pub call_id: EventId,
    /// When it started.
    pub started_at: Timestamp,
    /// The alias that was asked for.
    pub alias: String,
    /// What it is attributed to.
    pub category: String,
    /// The proxy's model group.
    pub runtime_group: String,
}

/// Token counts, in the inclusive convention of [`TokenUsage`](event_payloads::TokenUsage).
///
/// A single call counts as at most 2^40 tokens here, so that one absurd answer can not make the
/// sums overflow; its event keeps what was said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tokens {
    /// All input tokens.
    pub prompt: u64,
    /// All output tokens.
    pub completion: u64,
    /// Input and output together.
    pub total: u64,
    /// Input tokens read from the provider's cache.
    pub cached: u64,
    /// Input tokens written to the provider's cache.
    pub cache_creation: u64,
    /// Output tokens that were reasoning.
    pub reasoning: u64,
}
