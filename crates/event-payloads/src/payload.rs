//! The payload of each event type.
//!
//! Fields added after the first release have a default, so that events written before still read.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use crate::{
    ArtifactId, Cost, CostBreakdown, CostCorrected, CostDrift, CostSource, EventId, EventType,
    TaskPruned, TaskStatus, TokenUsage, Usd, usage,
};

/// An event whose payload lacks what its type needs.
#[derive(Debug, thiserror::Error)]
#[error("event {event_id} of type {event_type} has a payload of another shape")]
pub struct DecodeError {
    pub(crate) event_id: EventId,
    pub(crate) event_type: EventType,
    #[source]
    pub(crate) source: serde_json::Error,
}

/// Any payload, told apart by the event's type.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Payload {
    /// `TASK_CREATED`
    TaskCreated(TaskCreated),
    /// `USER_MESSAGE`
    UserMessage(UserMessage),
    /// `MODEL_CALL_STARTED`
    ModelCallStarted(ModelCallStarted),
    /// `MODEL_CALL_COMPLETED`
    ModelCallCompleted(Box<ModelCallCompleted>),
    /// `MODEL_CALL_FAILED`
    ModelCallFailed(Box<ModelCallFailed>),
    /// `COST_CORRECTED`
    CostCorrected(Box<CostCorrected>),
    /// `STATE_TRANSITION`
    StateTransition(StateTransition),
    /// `ARTIFACT_CREATED`
    ArtifactCreated(ArtifactCreated),
    /// `TASK_PRUNED`
    TaskPruned(Box<TaskPruned>),
    /// `ERROR`
    Error(ErrorEvent),
    /// A type that this version does not know, as it was written.
    Unknown(EventType, Value),
}

macro_rules! payloads {
    ($($variant:ident),+) => {
        impl Payload {
            /// The event type that goes with it.
            #[must_use]
            pub fn event_type(&self) -> EventType {
                match self {
                    $(Self::$variant(_) => EventType::$variant,)+
                    Self::Unknown(event_type, _) => event_type.clone(),
                }
            }

            /// The payload as the JSON that an event carries.
            ///
            /// # Errors
            /// None in practice: every field has a JSON form.
            pub fn to_json(&self) -> Result<Value, serde_json::Error> {
                serde_json::to_value(self)
            }

            /// The payload that some JSON is, by its event's type.
            ///
            /// # Errors
            /// It does not have the fields that the type needs.
            pub fn decode(event_type: &EventType, payload: &Value) -> Result<Self, serde_json::Error> {
                Ok(match event_type {
                    $(EventType::$variant => Self::$variant(Deserialize::deserialize(payload)?),)+
                    other => Self::Unknown(other.clone(), payload.clone()),
                })
            }
        }

        /// As the JSON that an event carries, see [`to_json`](Payload::to_json).
        impl Serialize for Payload {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self {
                    $(Self::$variant(payload) => payload.serialize(serializer),)+
                    Self::Unknown(_, payload) => payload.serialize(serializer),
                }
            }
        }
    };
}

payloads!(
    TaskCreated,
    UserMessage,
    ModelCallStarted,
    ModelCallCompleted,
    ModelCallFailed,
    CostCorrected,
    StateTransition,
    ArtifactCreated,
    TaskPruned,
    Error
);

/// A task exists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TaskCreated {
    /// What the task is called: the start of its message, at most 100 characters.
    pub title: String,
    /// The conversation that it belongs to.
    pub thread_id: String,
    /// The scope of its memory and costs: `chat:<channel>:<thread_id>` unless the channel says else.
    pub scope_id: String,
    /// How it came in: `web`, `v1`, …
    pub channel: String,
    /// Who sent it.
    pub sender_id: String,
    /// How dangerous its actions may be.
    #[serde(default = "low")]
    pub risk_level: String,
}

fn low() -> String {
    "low".to_owned()
}

/// A message came in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UserMessage {
    /// The start of the text, at most 200 characters.
    pub text_preview: String,
    /// Length of the whole text, in characters.
    pub text_length: u64,
    /// How many attachments came with it.
    #[serde(default)]
    pub attachment_count: u32,
}

/// A model call is about to leave. It is on disk before the request is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ModelCallStarted {
    /// The alias that was asked for.
    pub model_alias: String,
    /// What is asked, in a few words; never the prompt itself.
    pub request_summary: String,
    /// The artifact that holds the whole request, if one does.
    #[serde(default)]
    pub artifact_ref: Option<ArtifactId>,
    /// What the cost is attributed to: the category of the alias.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub category: String,
    /// The proxy's model group that the alias resolved to.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub runtime_group: String,
}

/// A model call was answered, by the model or by the fallback.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ModelCallCompleted {
    /// The alias that was asked for.
    pub model_alias: String,
    /// The answer, or its start and `... [truncated, see artifact]`.
    pub response_summary: String,
    /// From sending the request to the whole answer, in ms.
    pub duration_ms: u64,
    /// Tokens used; `{}` if the answer did not say.
    #[serde(default, with = "usage::or_empty")]
    #[schemars(with = "TokenUsage")]
    pub token_usage: Option<TokenUsage>,
    /// The artifact that holds the whole answer.
    #[serde(default)]
    pub artifact_ref: Option<ArtifactId>,
    /// What the call cost, in USD; 0 if `cost_unavailable`.
    #[serde(default)]
    pub cost_usd: Usd,
    /// True if the cost is not known.
    #[serde(default)]
    pub cost_unavailable: bool,
    /// The model that answered (`gpt-4o-mini`), never the alias; empty if nobody said.
    #[serde(default)]
    pub model_name: String,
    /// The provider that answered (`openai`); empty if nobody said.
    #[serde(default)]
    pub provider: String,
    /// True if the fallback answered, not the model that was asked for.
    #[serde(default)]
    pub is_fallback: bool,
    /// Why the fallback answered; empty if it did not.
    #[serde(default)]
    pub fallback_reason: String,
    /// What the cost is attributed to: the category of the alias.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub category: String,
    /// The proxy's model group that the alias resolved to.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub runtime_group: String,
    /// Who said what the call cost.
    #[serde(default)]
    pub cost_source: CostSource,
    /// Why the cost is not known; empty if it is.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cost_unavailable_reason: String,
    /// Set when the proxy's cost and ours differ by more than the threshold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_drift: Option<CostDrift>,
    /// Why the model stopped: `stop`, `length`, `tool_calls`, …
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub finish_reason: String,
    /// How many tools the answer asks to call.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub tool_call_count: u32,
    /// How often the proxy tried again.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub attempted_retries: u32,
    /// How often the proxy went over to another group.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub attempted_fallbacks: u32,
    /// The proxy's name for the call, to find it in the proxy's own log.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub proxy_call_id: String,
    /// From sending the request to the first piece of text, in ms, of an answer that came in pieces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_to_first_token_ms: Option<u64>,
    /// True if the answer did not state its usage and its text was counted instead: the tokens, and a cost
    /// that follows from them, are close, not exact.
    #[serde(default, skip_serializing_if = "is_false")]
    pub usage_is_estimated: bool,
    /// How our own figure for the call is made up; also there where the proxy's is the cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_breakdown: Option<CostBreakdown>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde calls"
)]
fn is_false(flag: &bool) -> bool {
    !*flag
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde calls"
)]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// A model call ended without an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ModelCallFailed {
    /// The alias that was asked for.
    pub model_alias: String,
    /// The kind of failure, one word: `timeout`, `unreachable`, `interrupted`, …
    pub error_type: String,
    /// What happened and what to do, for people.
    pub error_message: String,
    /// From sending the request to its end, in ms.
    pub duration_ms: u64,
    /// The model that was tried, if known.
    #[serde(default)]
    pub model_name: String,
    /// The provider that was tried, if known.
    #[serde(default)]
    pub provider: String,
    /// True if the fallback had been tried too.
    #[serde(default)]
    pub is_fallback: bool,
    /// The limit that ran out, in ms, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// What the cost is attributed to: the category of the alias.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub category: String,
    /// The proxy's model group that the alias resolved to.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub runtime_group: String,
    /// Tokens used before the end, if known.
    #[serde(
        default,
        with = "usage::or_empty",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "TokenUsage")]
    pub token_usage: Option<TokenUsage>,
    /// From sending the request to the first piece of text, in ms, if one came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_to_first_token_ms: Option<u64>,
    /// True if the tokens were counted from the text that came, since nobody stated them.
    #[serde(default, skip_serializing_if = "is_false")]
    pub usage_is_estimated: bool,
    /// What the call cost all the same, in USD; 0 if nothing or not known.
    #[serde(default)]
    pub cost_usd: Usd,
    /// True if a provider may bill for this call and nobody can say how much.
    #[serde(default)]
    pub cost_unavailable: bool,
    /// Who said what the call cost.
    #[serde(default)]
    pub cost_source: CostSource,
    /// Why the cost is not known; empty if it is.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cost_unavailable_reason: String,
}

macro_rules! cost_fields {
    ($($payload:ident),+) => {$(
        impl $payload {
            /// The cost fields as one value that can not contradict itself.
            #[must_use]
            pub fn cost(&self) -> Cost {
                if self.cost_unavailable {
                    return Cost::Unavailable(self.cost_unavailable_reason.clone());
                }
                Cost::Known { usd: self.cost_usd, source: self.cost_source, drift: self.drift() }
            }

            /// Sets the cost fields from one value.
            #[must_use]
            pub fn with_cost(mut self, cost: &Cost) -> Self {
                self.cost_usd = cost.usd().unwrap_or_default();
                self.cost_source = cost.source();
                self.cost_unavailable = matches!(cost, Cost::Unavailable(_));
                self.cost_unavailable_reason = match cost {
                    Cost::Unavailable(reason) => reason.clone(),
                    Cost::Known { .. } => String::new(),
                };
                self.set_drift(cost);
                self
            }
        }
    )+};
}

cost_fields!(ModelCallCompleted, ModelCallFailed);

impl ModelCallCompleted {
    fn drift(&self) -> Option<CostDrift> {
        self.cost_drift
    }

    fn set_drift(&mut self, cost: &Cost) {
        self.cost_drift = match cost {
            Cost::Known { drift, .. } => *drift,
            Cost::Unavailable(_) => None,
        };
    }
}

impl ModelCallFailed {
    /// A failed call has no answer that two sources could price differently.
    #[expect(clippy::unused_self, reason = "same shape as for a completed call")]
    fn drift(&self) -> Option<CostDrift> {
        None
    }

    #[expect(clippy::unused_self, reason = "same shape as for a completed call")]
    fn set_drift(&mut self, _: &Cost) {}
}

/// A task changed its state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StateTransition {
    /// The state it was in.
    pub from_status: TaskStatus,
    /// The state it is in now.
    pub to_status: TaskStatus,
    /// Why, if there is more to say.
    #[serde(default)]
    pub reason: String,
}

/// An artifact was stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ArtifactCreated {
    /// Its identifier.
    pub artifact_id: ArtifactId,
    /// What it is: `llm-response`.
    pub name: String,
    /// Its content, in bytes.
    pub size: u64,
    /// How many parts it has.
    pub part_count: u32,
}

/// Something went wrong outside a model call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorEvent {
    /// Where.
    pub error_type: ErrorClass,
    /// What happened, for people.
    pub error_message: String,
    /// True if trying again can help.
    #[serde(default)]
    pub recoverable: bool,
    /// What to do.
    #[serde(default)]
    pub recovery_hint: String,
}

/// Where an error comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorClass {
    /// A model or the way to it.
    Model,
    /// A tool.
    Tool,
    /// The machine: disk, memory, network.
    System,
    /// A rule of the business.
    Business,
    /// A word that this version does not know.
    #[serde(other)]
    Other,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_an_unknown_payload_keeps_every_digit_and_the_order() {
        let text = r#"{"b":12345678901234567890123,"a":0.10,"list":[1.50,null]}"#;
        let kind = EventType::from("ORCH_DECISION");
        let payload = Payload::decode(&kind, &serde_json::from_str(text).unwrap()).unwrap();
        assert_eq!(payload.event_type(), kind);
        assert_eq!(serde_json::to_string(&payload).unwrap(), text);
        assert_eq!(payload.to_json().unwrap().to_string(), text);
    }

    #[test]
    fn the_json_of_a_payload_is_what_its_text_reads_as() {
        let cost = Cost::Known {
            usd: "0.00048750".parse().unwrap(),
            source: CostSource::Proxy,
            drift: None,
        };
        let call = ModelCallFailed {
            error_message: "a \"word\"".to_owned(),
            ..ModelCallFailed::default()
        };
        let call = call.with_cost(&cost);
        let payload = Payload::ModelCallFailed(Box::new(call));
        let text = serde_json::to_string(&payload).unwrap();
        let read: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(payload.to_json().unwrap(), read);
        assert_eq!(read.to_string(), text, "fields in the order of the type");
    }
}
