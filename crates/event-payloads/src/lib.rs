//! The event envelope, every payload, token usage and money: all that a worker needs to read the log.
//!
//! No async, no I/O, no HTTP: a worker that follows the events depends on this crate alone. Every
//! type here has a JSON Schema (`schemas/` beside the source, written by `cargo xtask schema`), so
//! that a worker in another language reads the same events.
//!
//! ```
//! use event_payloads::{Event, Payload};
//!
//! let line = r#"{
//!     "event_id": "01JD8V5Q8G3YB1Z2X4W6V8T0RS", "task_id": "01JD8V5Q8F0000000000000000",
//!     "task_seq": 5, "ts": "2026-03-01T12:00:00.250000+00:00", "type": "MODEL_CALL_COMPLETED",
//!     "schema_version": 1, "actor": "system", "trace_id": "trace-01JD8V5Q8F0000000000000000",
//!     "payload": {"model_alias": "planner", "response_summary": "Hi.", "duration_ms": 420,
//!                 "token_usage": {"prompt": 12, "completion": 3, "total": 15}, "cost_usd": 1.88e-05}
//! }"#;
//! let event: Event = serde_json::from_str(line)?;
//! let Payload::ModelCallCompleted(call) = event.decode()? else { panic!("another type") };
//! assert_eq!(call.cost_usd.to_string(), "0.0000188");
//! assert_eq!(call.token_usage.map(|usage| usage.total_tokens), Some(15));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Money in JSON
//!
//! [`Usd`] is a plain JSON number, and never passes through a binary float. That needs serde_json's
//! `arbitrary_precision` feature, which this crate switches on for the program it is built into;
//! `#[serde(flatten)]` and untagged enums over *numbers* do not work under it.

mod breakdown;
mod correction;
mod cost;
mod envelope;
mod id;
mod live;
mod log;
mod names;
mod payload;
mod pruned;
pub mod schema;
mod status;
mod text;
mod timestamp;
mod usage;
mod usd;

pub use breakdown::{CostBreakdown, CostLine, Quantity};
pub use correction::CostCorrected;
pub use cost::{Cost, CostDrift, CostSource};
pub use envelope::{Actor, Causality, Event, EventType, trace_id};
pub use id::{ArtifactId, EventId, InvalidId, MAX_ID_BYTES, TaskId};
pub use live::ModelCallChunk;
pub use log::{EventPage, LoggedEvent};
pub use names::{Category, InvalidName, RuntimeGroup};
pub use payload::{
    ArtifactCreated, DecodeError, ErrorClass, ErrorEvent, ModelCallCompleted, ModelCallFailed,
    ModelCallStarted, Payload, StateTransition, TaskCreated, UserMessage,
};
pub use pruned::{PrunedCalls, TaskPruned};
pub use status::{TaskStatus, UnknownTaskStatus};
pub use text::{MAX_PREVIEW_CHARS, MAX_TITLE_CHARS, TRUNCATION_MARK, first_chars, summary};
pub use timestamp::{InvalidTimestamp, Timestamp};
pub use usage::TokenUsage;
pub use usd::{Picodollars, Usd, UsdError};
