//! The JSON Schemas of the envelope and of every payload, for workers in any language.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};

use crate::{
    ArtifactCreated, CostCorrected, ErrorEvent, Event, EventPage, ModelCallChunk,
    ModelCallCompleted, ModelCallFailed, ModelCallStarted, StateTransition, TaskCreated,
    TaskPruned, UserMessage,
};

/// Every schema with the stem of its file name: `event`, and a payload's type in lower case.
#[must_use]
pub fn all() -> Vec<(&'static str, Schema)> {
    vec![
        ("event", of::<Event>()),
        ("event_page", of::<EventPage>()),
        ("task_created", of::<TaskCreated>()),
        ("user_message", of::<UserMessage>()),
        ("model_call_started", of::<ModelCallStarted>()),
        ("model_call_chunk", of::<ModelCallChunk>()),
        ("model_call_completed", of::<ModelCallCompleted>()),
        ("model_call_failed", of::<ModelCallFailed>()),
        ("cost_corrected", of::<CostCorrected>()),
        ("state_transition", of::<StateTransition>()),
        ("artifact_created", of::<ArtifactCreated>()),
        ("task_pruned", of::<TaskPruned>()),
        ("error", of::<ErrorEvent>()),
    ]
}

/// What a reader may rely on: a field with a default is not required, since old events lack it.
fn of<T: JsonSchema>() -> Schema {
    SchemaSettings::draft2020_12()
        .for_deserialize()
        .into_generator()
        .into_root_schema_for::<T>()
}
