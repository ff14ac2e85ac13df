//! An event in one line for people.

use event_payloads::{
    Cost, CostCorrected, LoggedEvent, ModelCallCompleted, ModelCallFailed, Payload, TaskPruned,
    first_chars,
};

/// Longest summary, in characters.
const MAX_CHARS: usize = 120;

/// Cursor, time, type, task, and what happened.
pub(super) fn of(logged: &LoggedEvent) -> String {
    let event = &logged.event;
    let text = event.decode().map_or_else(
        |_| "its payload has another shape".to_owned(),
        |payload| summary(&payload),
    );
    // One line, whatever somebody wrote into a message or a name.
    let whole = format!(
        "{:>6}  {}  {:<20}  {}  {}",
        logged.cursor,
        event.ts,
        event.event_type.as_str(),
        event.task_id,
        first_chars(&text, MAX_CHARS),
    );
    whole.replace(char::is_control, " ").trim_end().to_owned()
}

fn summary(payload: &Payload) -> String {
    match payload {
        Payload::TaskCreated(task) => format!("{} ({})", task.title, task.channel),
        Payload::UserMessage(message) => message.text_preview.clone(),
        Payload::ModelCallStarted(call) => {
            format!("{} → {}", call.model_alias, named(&call.runtime_group))
        }
        Payload::ModelCallCompleted(call) => completed(call),
        Payload::ModelCallFailed(call) => failed(call),
        Payload::CostCorrected(correction) => corrected(correction),
        Payload::StateTransition(step) => {
            let why = if step.reason.is_empty() { "" } else { ": " };
            format!(
                "{} → {}{why}{}",
                step.from_status, step.to_status, step.reason
            )
        }
        Payload::ArtifactCreated(artifact) => {
            format!("{}, {} bytes", artifact.name, artifact.size)
        }
        Payload::TaskPruned(pruned) => removed(pruned),
        Payload::Error(error) => error.error_message.clone(),
        Payload::Unknown(_, payload) => payload.to_string(),
        _ => String::new(),
    }
}

fn named(name: &str) -> &str {
    if name.is_empty() { "?" } else { name }
}

fn cost(cost: &Cost) -> String {
    match cost {
        Cost::Known { usd, .. } => format!("{usd} USD"),
        Cost::Unavailable(reason) => format!("cost unavailable ({reason})"),
    }
}

fn completed(call: &ModelCallCompleted) -> String {
    let tokens = call.token_usage.as_ref().map_or_else(
        || "tokens unknown".to_owned(),
        |usage| {
            format!(
                "{} in, {} out",
                usage.prompt_tokens, usage.completion_tokens
            )
        },
    );
    let fallback = if call.is_fallback { ", fallback" } else { "" };
    format!(
        "{} → {}{fallback}, {tokens}, {}",
        call.model_alias,
        named(&call.model_name),
        cost(&call.cost())
    )
}

fn failed(call: &ModelCallFailed) -> String {
    format!(
        "{}: {}: {}, {}",
        call.model_alias,
        call.error_type,
        call.error_message,
        cost(&call.cost())
    )
}

fn corrected(correction: &CostCorrected) -> String {
    let before = if correction.previous_cost_unavailable {
        "unavailable".to_owned()
    } else {
        correction.previous_cost_usd.to_string()
    };
    format!(
        "{before} → {} USD, call {}",
        correction.cost_usd, correction.call_id
    )
}

fn removed(pruned: &TaskPruned) -> String {
    format!(
        "events {} to {} removed, {} as it ended",
        pruned.first_seq, pruned.last_seq, pruned.status
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use insta::assert_snapshot;
    use serde_json::{Value, json};

    fn shown(kind: &str, payload: &Value) -> String {
        let logged = json!({"cursor": 7, "event": {
            "event_id": "01JD8V5Q8G3YB1Z2X4W6V8T0RS", "task_id": "run-42", "task_seq": 5,
            "ts": "2026-03-01T12:00:00.250000+00:00", "type": kind, "actor": "system", "payload": payload,
        }});
        of(&serde_json::from_value(logged).unwrap())
    }

    #[test]
    fn an_event_is_one_line_that_says_what_happened() {
        let call = json!({
            "model_alias": "planner", "response_summary": "Hi.", "duration_ms": 420, "model_name": "gpt-4o-mini",
            "token_usage": {"prompt": 12, "completion": 3, "total": 15}, "cost_usd": 1.88e-05,
        });
        assert_snapshot!(
            shown("MODEL_CALL_COMPLETED", &call),
            @"     7  2026-03-01T12:00:00.250000+00:00  MODEL_CALL_COMPLETED  run-42  planner → gpt-4o-mini, 12 in, 3 out, 0.0000188 USD"
        );
        let step = json!({"from_status": "RUNNING", "to_status": "FAILED", "reason": "no\u{1b}[2J\nmodel"});
        assert_snapshot!(
            shown("STATE_TRANSITION", &step),
            @"     7  2026-03-01T12:00:00.250000+00:00  STATE_TRANSITION      run-42  RUNNING → FAILED: no [2J model"
        );
        assert_snapshot!(
            shown("OF_TOMORROW", &json!({"a": 1})),
            @r#"     7  2026-03-01T12:00:00.250000+00:00  OF_TOMORROW           run-42  {"a":1}"#
        );
        assert_snapshot!(
            shown("MODEL_CALL_COMPLETED", &json!({})),
            @"     7  2026-03-01T12:00:00.250000+00:00  MODEL_CALL_COMPLETED  run-42  its payload has another shape"
        );
    }
}
