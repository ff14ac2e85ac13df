//! One question, as a line of JSON.

use serde::Deserialize;
use serde_json::{Map, Value};

/// What is asked.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Question {
    pub(super) model: String,
    #[serde(default)]
    pub(super) provider: Option<String>,
    pub(super) usage: Value,
    #[serde(default)]
    pub(super) service_tier: Option<String>,
    #[serde(default)]
    pub(super) call_type: Option<String>,
    /// The model behind a deployment's name; counts instead of it.
    #[serde(default)]
    pub(super) base_model: Option<String>,
    /// OpenAI: the region of the host that was called.
    #[serde(default)]
    pub(super) data_residency: Option<String>,
    /// Vertex AI: the location of the endpoint that was called.
    #[serde(default)]
    pub(super) vertex_location: Option<String>,
}

/// The names of the fields.
const FIELDS: [&str; 9] = [
    "model",
    "provider",
    "usage",
    "service_tier",
    "call_type",
    "base_model",
    "data_residency",
    "vertex_location",
    "id",
];

/// A line as it was read.
pub(super) struct Line {
    pub(super) question: Result<Question, String>,
    /// Given back with the answer.
    pub(super) id: Option<Value>,
    /// Fields that mean nothing here: a slip in a name would change the price unseen.
    pub(super) ignored: Vec<String>,
}

impl Line {
    pub(super) fn parse(bytes: &[u8]) -> Self {
        let object: Map<String, Value> = match serde_json::from_slice(bytes) {
            Ok(object) => object,
            Err(error) => {
                return Self {
                    question: Err(format!("not a JSON object: {error}")),
                    id: None,
                    ignored: Vec::new(),
                };
            }
        };
        let id = object.get("id").cloned();
        let ignored = object
            .keys()
            .filter(|name| !FIELDS.contains(&name.as_str()))
            .cloned()
            .collect();
        let question = serde_json::from_value(Value::Object(object))
            .map_err(|error| format!("not a question: {error}"));
        Self {
            question,
            id,
            ignored,
        }
    }
}
