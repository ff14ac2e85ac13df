//! What octo wrote down of the calls of one program.

use std::collections::BTreeMap;
use std::fmt::Write;

use event_payloads::Usd;
use serde_json::Value;

use crate::stack::Stack;

/// Models whose tokens depend on the machine, or on when the client left.
const OF_ANY_COST: [&str; 2] = ["local", "endless"];

/// The books since they were last looked at.
pub(crate) struct Books {
    /// Tasks that were there before.
    before: usize,
    /// What all calls cost before.
    total: Usd,
}

impl Books {
    pub(crate) async fn open(stack: &Stack) -> Self {
        Self {
            before: tasks(stack).await.len(),
            total: total(stack).await,
        }
    }

    /// Each kind of entry, with how many there are, once all of them are closed. Every request is in them
    /// exactly once, with exactly one end, and with a cost or the reason why there is none.
    pub(crate) async fn close(self, stack: &Stack, sent: &BTreeMap<String, u64>) -> String {
        let mut tasks = tasks(stack).await;
        // Newest first.
        tasks.truncate(tasks.len() - self.before);
        let requests: u64 = sent.values().sum();
        assert_eq!(
            u64::try_from(tasks.len()).unwrap(),
            requests,
            "every request has its entry: {sent:?}"
        );
        let mut entries = BTreeMap::<String, usize>::new();
        let mut sum = self.total;
        for task in &tasks {
            let view = closed(stack, text(task, "task_id")).await;
            let end = end(&view);
            sum = sum.checked_add(usd(payload_of(end))).unwrap();
            *entries.entry(entry(end)).or_default() += 1;
        }
        assert_eq!(
            total(stack).await,
            sum,
            "the report is the sum of the calls"
        );
        let mut table = String::new();
        for (entry, count) in entries {
            writeln!(table, "{count:3} × {entry}").unwrap();
        }
        table
    }
}

/// A task, once it is over: that a client left is written down a moment later.
async fn closed(stack: &Stack, task_id: &str) -> Value {
    // This stream ends with the task.
    stack.read(&format!("/api/stream/task/{task_id}")).await;
    stack.ask(&format!("/api/tasks/{task_id}")).await
}

async fn tasks(stack: &Stack) -> Vec<Value> {
    let mut list = stack.ask("/api/tasks").await;
    assert_eq!(list.get("has_more"), Some(&Value::Bool(false)));
    match list.get_mut("tasks").unwrap().take() {
        Value::Array(tasks) => tasks,
        other => panic!("{other}"),
    }
}

/// What all calls cost, as octo reports it.
async fn total(stack: &Stack) -> Usd {
    usd(stack.ask("/api/costs").await.get("total").unwrap())
}

/// The one end of the one call of a task.
fn end(view: &Value) -> &Value {
    let events = view.get("events").and_then(Value::as_array).unwrap();
    let of = |kinds: &[&str]| -> Vec<&Value> {
        let of_kind = |event: &&Value| kinds.contains(&text(event, "type"));
        events.iter().filter(of_kind).collect()
    };
    assert_eq!(of(&["MODEL_CALL_STARTED"]).len(), 1, "{view}");
    match of(&["MODEL_CALL_COMPLETED", "MODEL_CALL_FAILED"]).as_slice() {
        [end] => end,
        ends => panic!("{} ends instead of one: {view}", ends.len()),
    }
}

/// One call: which model, how it ended, and what it cost.
fn entry(end: &Value) -> String {
    let call = payload_of(end);
    let outcome = match text(end, "type") {
        "MODEL_CALL_COMPLETED" => "completed",
        _ => text(call, "error_type"),
    };
    format!("{}: {outcome}, {}", text(call, "model_alias"), cost(call))
}

fn cost(call: &Value) -> String {
    if call.get("cost_unavailable") == Some(&Value::Bool(true)) {
        let reason = text(call, "cost_unavailable_reason");
        assert!(!reason.is_empty(), "no cost and no reason: {call}");
        return format!("no cost: {reason}");
    }
    let (usd, mut source) = (usd(call), text(call, "cost_source").to_owned());
    if call.get("usage_is_estimated") == Some(&Value::Bool(true)) {
        source += ", tokens counted";
    }
    if OF_ANY_COST.contains(&text(call, "model_alias")) && !usd.is_zero() {
        return format!("more than 0 USD ({source})");
    }
    format!("{usd} USD ({source})")
}

fn payload_of(event: &Value) -> &Value {
    event.get("payload").unwrap()
}

fn usd(value: &Value) -> Usd {
    let number = value.get("cost_usd").unwrap().to_string();
    number.parse().unwrap()
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value
        .get(field)
        .and_then(Value::as_str)
        .unwrap_or_else(|| panic!("no {field} in {value}"))
}
