//! Tasks, as their events add up.

use event_payloads::{EventId, TaskId, TaskStatus, Timestamp};
use serde::{Deserialize, Serialize};

/// A task: a projection of its events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Task {
    /// Its identifier.
    pub task_id: TaskId,
    /// When it was recorded.
    pub created_at: Timestamp,
    /// When its latest event was recorded.
    pub updated_at: Timestamp,
    /// Where it stands.
    pub status: TaskStatus,
    /// The start of its message.
    pub title: String,
    /// The conversation that it belongs to.
    pub thread_id: String,
    /// The scope of its memory and costs.
    pub scope_id: String,
    /// Who asked for it.
    pub requester: Requester,
    /// How dangerous its actions may be.
    pub risk_level: String,
    /// Where to look next.
    pub pointers: Pointers,
}

/// Who asked for a task.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requester {
    /// How the task came in: `web`, `v1`, …
    #[serde(default)]
    pub channel: String,
    /// Who sent it.
    #[serde(default)]
    pub sender_id: String,
}

/// What a task points at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pointers {
    /// Its latest event.
    #[serde(default)]
    pub latest_event_id: Option<EventId>,
}

/// Which tasks to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskQuery {
    /// Only those that stand here.
    pub status: Option<TaskStatus>,
    /// At most so many, the newest.
    pub limit: usize,
}
