//! What who follows a task sees and no log keeps.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{EventId, TaskId, Timestamp};

/// A piece of an answer, while the model writes it.
///
/// It is sent to who follows the task and is never stored: it has no identifier and no position. The whole
/// text is in the artifact of the `MODEL_CALL_COMPLETED` event that follows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ModelCallChunk {
    /// The task that the call belongs to.
    pub task_id: TaskId,
    /// The `MODEL_CALL_STARTED` event of the call.
    pub call_id: EventId,
    /// When it came.
    pub ts: Timestamp,
    /// 0 for the first piece of the call, then 1, 2, 3 …: a gap tells that a slow reader has missed some.
    pub index: u64,
    /// The text that it adds to the answer.
    pub text: String,
}

impl ModelCallChunk {
    /// The word for it where events are told apart by their type.
    pub const TYPE: &str = "MODEL_CALL_CHUNK";
}
