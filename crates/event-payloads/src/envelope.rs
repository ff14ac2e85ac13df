//! What every event has around its payload.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{DecodeError, EventId, Payload, TaskId, TaskStatus, Timestamp};

/// One entry of the log: what happened, to which task, when, and because of what.
///
/// The payload stays as it was written ([`Event::decode`] gives it a type), so an event whose type
/// or newer fields this version does not know is handed on unchanged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// A ULID; sorts by time within one store.
    pub event_id: EventId,
    /// The task that this event belongs to.
    pub task_id: TaskId,
    /// Position in the task: 1, 2, 3 … without a gap.
    pub task_seq: u64,
    /// When it was recorded.
    pub ts: Timestamp,
    /// Which payload this is.
    #[serde(rename = "type")]
    pub event_type: EventType,
    /// Version of the payload's layout. 1 until a change that old readers could not follow.
    #[serde(default = "first_version")]
    pub schema_version: u32,
    /// Who caused it.
    pub actor: Actor,
    /// The payload as JSON.
    #[serde(default = "empty_object")]
    #[schemars(extend("type" = "object"))]
    pub payload: Value,
    /// One per task: `trace-<task_id>`.
    #[serde(default)]
    pub trace_id: String,
    /// The span of the work that recorded it; empty if none.
    #[serde(default)]
    pub span_id: String,
    /// What led to it.
    #[serde(default)]
    pub causality: Causality,
}

const fn first_version() -> u32 {
    1
}

fn empty_object() -> Value {
    Value::Object(serde_json::Map::new())
}

/// The trace of a task: `trace-<task_id>`.
#[must_use]
pub fn trace_id(task_id: &TaskId) -> String {
    format!("trace-{task_id}")
}

impl Event {
    /// The payload as its type; [`Payload::Unknown`] for a type that this version does not know.
    ///
    /// # Errors
    /// The payload does not have the fields that its type needs.
    pub fn decode(&self) -> Result<Payload, DecodeError> {
        Payload::decode(&self.event_type, &self.payload).map_err(|source| DecodeError {
            event_id: self.event_id.clone(),
            event_type: self.event_type.clone(),
            source,
        })
    }

    /// True for the event that ends its task: a transition to a terminal state. The tombstone of an ended
    /// task stands for it.
    #[must_use]
    pub fn is_final(&self) -> bool {
        if self.event_type == EventType::TaskPruned {
            return true;
        }
        self.event_type == EventType::StateTransition
            && self
                .payload
                .get("to_status")
                .and_then(Value::as_str)
                .and_then(|word| word.parse::<TaskStatus>().ok())
                .is_some_and(TaskStatus::is_terminal)
    }
}

/// What led to an event.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Causality {
    /// The event that this one answers. The end of a model call names its start.
    #[serde(default)]
    pub parent_event_id: Option<EventId>,
    /// The caller's key that makes a repeated request find this event instead of adding another.
    #[serde(default)]
    pub idempotency_key: Option<String>,
}

/// A closed list of words that still keeps a word it does not know.
macro_rules! open_words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(from = "String", into = "String")]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$vdoc])* $variant,)+
            /// A word that this version does not know, kept as it is.
            Other(Box<str>),
        }

        impl $name {
            /// Every word that this version knows.
            pub const WORDS: &'static [&'static str] = &[$($word),+];

            /// The word on the wire and in SQL.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $word,)+
                    Self::Other(word) => word,
                }
            }
        }

        impl From<&str> for $name {
            fn from(word: &str) -> Self {
                match word {
                    $($word => Self::$variant,)+
                    other => Self::Other(other.into()),
                }
            }
        }

        impl From<String> for $name {
            fn from(word: String) -> Self {
                Self::from(word.as_str())
            }
        }

        impl From<$name> for String {
            fn from(word: $name) -> Self {
                word.as_str().to_owned()
            }
        }

        impl FromStr for $name {
            type Err = Infallible;

            fn from_str(word: &str) -> Result<Self, Infallible> {
                Ok(Self::from(word))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            /// A string, with today's words as examples: tomorrow's are valid too.
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "examples": Self::WORDS })
            }
        }
    };
}

open_words! {
    /// Which payload an event carries.
    EventType {
        /// A task exists: [`TaskCreated`](crate::TaskCreated).
        TaskCreated = "TASK_CREATED",
        /// A message came in: [`UserMessage`](crate::UserMessage).
        UserMessage = "USER_MESSAGE",
        /// A model call is about to leave: [`ModelCallStarted`](crate::ModelCallStarted).
        ModelCallStarted = "MODEL_CALL_STARTED",
        /// A model call was answered: [`ModelCallCompleted`](crate::ModelCallCompleted).
        ModelCallCompleted = "MODEL_CALL_COMPLETED",
        /// A model call ended without an answer: [`ModelCallFailed`](crate::ModelCallFailed).
        ModelCallFailed = "MODEL_CALL_FAILED",
        /// The cost of an earlier call was computed anew: [`CostCorrected`](crate::CostCorrected).
        CostCorrected = "COST_CORRECTED",
        /// A task changed its state: [`StateTransition`](crate::StateTransition).
        StateTransition = "STATE_TRANSITION",
        /// An artifact was stored: [`ArtifactCreated`](crate::ArtifactCreated).
        ArtifactCreated = "ARTIFACT_CREATED",
        /// The events of an ended task were removed; their sums are here.
        TaskPruned = "TASK_PRUNED",
        /// Something else went wrong: [`ErrorEvent`](crate::ErrorEvent).
        Error = "ERROR",
    }
}

open_words! {
    /// Who caused an event.
    Actor {
        /// A person.
        User = "user",
        /// The agent's own logic.
        Kernel = "kernel",
        /// A worker.
        Worker = "worker",
        /// A tool.
        Tool = "tool",
        /// The gateway and its services.
        System = "system",
    }
}
