//! A row of `model_calls`, from the events of its call.

use event_payloads::{CostCorrected, CostSource, EventId, Payload};
use serde_json::Value;

use super::ending::Ending;
use super::stamp::Seen;
use crate::{Call, CallStatus};

/// A call, with what only its row says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CallRow {
    pub(crate) call: Call,
    /// The position of its start in the task.
    pub(crate) task_seq: u64,
    /// How often its cost was corrected.
    pub(crate) corrections: u64,
}

pub(crate) fn text(payload: &Value, field: &str) -> String {
    payload
        .get(field)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

impl CallRow {
    /// A call begins. `payload` is `None` where it has another shape.
    pub(crate) fn started(event: Seen<'_>, payload: Option<&Payload>) -> Self {
        let mut row = Self::nameless(event);
        if let Some(Payload::ModelCallStarted(started)) = payload {
            row.call.alias.clone_from(&started.model_alias);
            row.call.category.clone_from(&started.category);
            row.call.runtime_group.clone_from(&started.runtime_group);
        } else {
            row.call.alias = text(event.payload(), "model_alias");
            row.call.category = text(event.payload(), "category");
            row.call.runtime_group = text(event.payload(), "runtime_group");
        }
        row
    }

    /// A call that the log has only the end of.
    pub(crate) fn nameless(event: Seen<'_>) -> Self {
        Self {
            call: Call {
                call_id: event.event_id.clone(),
                task_id: event.task_id.clone(),
                started_at: event.ts,
                ended_at: None,
                status: CallStatus::Started,
                alias: String::new(),
                category: String::new(),
                runtime_group: String::new(),
                model: String::new(),
                provider: String::new(),
                is_fallback: false,
                cost: None,
                cost_unavailable_reason: String::new(),
                cost_source: CostSource::None,
                drift: false,
                recorded: None,
                estimated: false,
                tokens: None,
                duration_ms: None,
                error_type: String::new(),
            },
            task_seq: event.task_seq,
            corrections: 0,
        }
    }

    pub(crate) const fn id(&self) -> &EventId {
        &self.call.call_id
    }

    pub(crate) fn is_open(&self) -> bool {
        self.call.status == CallStatus::Started
    }

    /// True if it has ended, and what it cost is not known.
    pub(crate) fn has_no_cost(&self) -> bool {
        !self.is_open() && self.call.cost.is_none()
    }

    /// What was recorded first, if it was corrected since; in picodollars.
    pub(crate) fn recorded_pico(&self) -> i64 {
        let recorded = self.call.recorded.flatten();
        recorded.map_or(0, event_payloads::Picodollars::get)
    }

    /// True if it was corrected, and no cost was known at first.
    pub(crate) fn recorded_has_no_cost(&self) -> bool {
        self.call.recorded == Some(None)
    }

    /// The call ends.
    pub(crate) fn end(&mut self, event: Seen<'_>, ending: Ending) {
        let call = &mut self.call;
        call.ended_at = Some(event.ts);
        call.status = ending.status();
        // The start knows the alias best, the end which group came to answer.
        if call.alias.is_empty() {
            call.alias = ending.alias;
        }
        if !ending.category.is_empty() {
            call.category = ending.category;
        }
        if !ending.runtime_group.is_empty() {
            call.runtime_group = ending.runtime_group;
        }
        call.model = ending.model;
        call.provider = ending.provider;
        call.is_fallback = ending.is_fallback;
        call.cost = ending.cost;
        call.cost_unavailable_reason = ending.reason;
        call.cost_source = ending.source;
        call.drift = ending.drift;
        call.estimated = ending.estimated;
        call.tokens = ending.tokens;
        call.duration_ms = Some(ending.duration_ms);
        call.error_type = ending.error_type;
    }

    /// Its cost is said again; what was recorded first stays beside it.
    pub(crate) fn correct(&mut self, correction: &CostCorrected) {
        let call = &mut self.call;
        if call.recorded.is_none() {
            call.recorded = Some(call.cost);
        }
        self.corrections += 1;
        call.cost = Some(correction.cost_usd.to_picodollars());
        call.cost_source = correction.cost_source;
        call.cost_unavailable_reason = String::new();
    }
}
