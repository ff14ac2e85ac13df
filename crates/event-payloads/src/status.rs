//! The life of a task.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a task stands. Terminal states are final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TaskStatus {
    /// Recorded, not started.
    Created,
    /// Reserved.
    Queued,
    /// A model works on it.
    Running,
    /// Reserved.
    WaitingInput,
    /// Reserved.
    WaitingApproval,
    /// Reserved.
    Paused,
    /// Terminal: done.
    Succeeded,
    /// Terminal: ended with an error.
    Failed,
    /// Terminal: stopped by the user.
    Cancelled,
    /// Reserved, terminal.
    Rejected,
}

/// A word that names no status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a task status, use one of {all}", all = TaskStatus::ALL.map(TaskStatus::as_str).join(", "))]
pub struct UnknownTaskStatus(String);

impl TaskStatus {
    /// Every status, reserved ones included.
    pub const ALL: [Self; 10] = [
        Self::Created,
        Self::Queued,
        Self::Running,
        Self::WaitingInput,
        Self::WaitingApproval,
        Self::Paused,
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
        Self::Rejected,
    ];

    /// The word on the wire and in SQL.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "CREATED",
            Self::Queued => "QUEUED",
            Self::Running => "RUNNING",
            Self::WaitingInput => "WAITING_INPUT",
            Self::WaitingApproval => "WAITING_APPROVAL",
            Self::Paused => "PAUSED",
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
            Self::Cancelled => "CANCELLED",
            Self::Rejected => "REJECTED",
        }
    }

    /// True if nothing may follow.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(
            self,
            Self::Succeeded | Self::Failed | Self::Cancelled | Self::Rejected
        )
    }

    /// True if a task in this state may go over to `next`.
    ///
    /// CREATED → RUNNING → SUCCEEDED | FAILED | CANCELLED, and CREATED → CANCELLED | FAILED: a task
    /// that a crash caught before its first call has to end too.
    #[must_use]
    pub const fn may_become(self, next: Self) -> bool {
        match self {
            Self::Created => matches!(next, Self::Running | Self::Cancelled | Self::Failed),
            Self::Running => matches!(next, Self::Succeeded | Self::Failed | Self::Cancelled),
            _ => false,
        }
    }
}

impl fmt::Display for TaskStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for TaskStatus {
    type Err = UnknownTaskStatus;

    fn from_str(word: &str) -> Result<Self, UnknownTaskStatus> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str() == word)
            .ok_or_else(|| UnknownTaskStatus(crate::first_chars(word, 40).to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_reads_back_and_matches_its_json() {
        for status in TaskStatus::ALL {
            assert_eq!(status.as_str().parse::<TaskStatus>().unwrap(), status);
            assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
        }
        assert!("created".parse::<TaskStatus>().is_err());
    }

    #[test]
    fn nothing_follows_a_terminal_state() {
        for from in TaskStatus::ALL
            .into_iter()
            .filter(|status| status.is_terminal())
        {
            assert!(
                TaskStatus::ALL
                    .into_iter()
                    .all(|next| !from.may_become(next)),
                "{from}"
            );
        }
    }
}
