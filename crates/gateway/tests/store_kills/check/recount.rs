//! What the calls cost, counted from the events alone: by other code than octo's, on purpose.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde_json::Value;

use crate::books::{Books, Event};

/// What `/api/costs` groups by.
pub(crate) const DIMENSIONS: [&str; 5] = ["day", "alias", "category", "model", "provider"];

/// A call as its events tell it: the columns of its row.
pub(crate) type Columns = BTreeMap<&'static str, String>;

/// Sums by their names in the API.
pub(crate) type Sums = BTreeMap<&'static str, Decimal>;

/// Every call, and what does not fit.
#[derive(Default)]
pub(crate) struct Recount {
    pub calls: BTreeMap<String, Columns>,
    /// Ends of calls that have ended, and of calls that never began.
    pub surplus_ends: Vec<String>,
}

pub(crate) fn recount(books: &Books) -> Recount {
    let mut recount = Recount::default();
    for (task_id, events) in &books.events {
        for event in events {
            match event.kind.as_str() {
                "MODEL_CALL_STARTED" => recount.start(task_id, event),
                "MODEL_CALL_COMPLETED" => recount.end(event, "completed"),
                "MODEL_CALL_FAILED" => recount.end(event, "failed"),
                _ => {}
            }
        }
    }
    recount
}

impl Recount {
    fn start(&mut self, task_id: &str, event: &Event) {
        let text = |field: &str| text(&event.payload[field]);
        let mut call = Columns::from([
            ("call_id", event.id.clone()),
            ("task_id", task_id.to_owned()),
            ("status", "started".to_owned()),
            ("day", event.ts[..10].to_owned()),
            ("hour", event.ts[..13].to_owned()),
            ("alias", text("model_alias")),
            ("category", text("category")),
        ]);
        for name in [
            "model",
            "provider",
            "prompt_tokens",
            "completion_tokens",
            "total_tokens",
        ] {
            call.insert(name, String::new());
        }
        for name in [
            "cost_pico",
            "cost_unavailable",
            "is_fallback",
            "drift",
            "estimated",
        ] {
            call.insert(name, "0".to_owned());
        }
        self.calls.insert(event.id.clone(), call);
    }

    fn end(&mut self, event: &Event, status: &str) {
        let parent = event.parent.as_deref().unwrap_or_default();
        let open = self
            .calls
            .get_mut(parent)
            .filter(|call| call["status"] == "started");
        let Some(call) = open else {
            self.surplus_ends.push(event.id.clone());
            return;
        };
        let payload = &event.payload;
        let flag = |is: bool| if is { "1" } else { "0" }.to_owned();
        // Recorded before costs were: not known, and not the zero of a missing field.
        let says_nothing = ["cost_usd", "cost_unavailable"]
            .iter()
            .all(|field| payload.get(field).is_none());
        let category = text(&payload["category"]);
        if !category.is_empty() {
            call.insert("category", category);
        }
        call.extend([
            ("status", status.to_owned()),
            ("model", text(&payload["model_name"])),
            ("provider", text(&payload["provider"])),
            ("cost_pico", pico(&payload["cost_usd"])),
            (
                "cost_unavailable",
                flag(payload["cost_unavailable"] == true || says_nothing),
            ),
            ("is_fallback", flag(payload["is_fallback"] == true)),
            ("drift", flag(payload["cost_drift"].is_object())),
            ("estimated", flag(payload["usage_is_estimated"] == true)),
        ]);
        let usage = &payload["token_usage"];
        for name in ["prompt_tokens", "completion_tokens", "total_tokens"] {
            let old_name = name.trim_end_matches("_tokens");
            let count = usage.get(name).or_else(|| usage.get(old_name));
            let count = count.map(Value::to_string);
            call.insert(name, count.unwrap_or_default());
        }
    }

    /// The calls of one task, or all.
    fn of<'a>(&'a self, task: Option<&'a str>) -> impl Iterator<Item = &'a Columns> {
        let wanted = move |call: &&Columns| task.is_none_or(|task| call["task_id"] == task);
        self.calls.values().filter(wanted)
    }

    /// The sums of each group that has a call.
    pub(crate) fn sums(
        &self,
        group_by: &[&str],
        task: Option<&str>,
    ) -> BTreeMap<Vec<String>, Sums> {
        let mut groups: BTreeMap<Vec<String>, Sums> = BTreeMap::new();
        for call in self.of(task) {
            let key = group_by.iter().map(|name| call[name].clone()).collect();
            add(groups.entry(key).or_insert_with(nothing), call);
        }
        groups
    }

    /// The sums of all.
    pub(crate) fn total(&self, task: Option<&str>) -> Sums {
        let mut total = nothing();
        for call in self.of(task) {
            add(&mut total, call);
        }
        total
    }
}

const SUMS: [&str; 11] = [
    "cost_usd",
    "calls",
    "open_calls",
    "calls_without_cost",
    "failed_calls",
    "fallback_calls",
    "drift_calls",
    "estimated_calls",
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
];

fn nothing() -> Sums {
    SUMS.into_iter().map(|name| (name, Decimal::ZERO)).collect()
}

fn add(sums: &mut Sums, call: &Columns) {
    let number = |name: &str| call[name].parse::<Decimal>().unwrap_or_default();
    let is = |status: &str| Decimal::from(u8::from(call["status"] == status));
    let values = [
        number("cost_pico") / Decimal::from(1_000_000_000_000_u64),
        Decimal::ONE,
        is("started"),
        number("cost_unavailable"),
        is("failed"),
        number("is_fallback"),
        number("drift"),
        number("estimated"),
        number("prompt_tokens"),
        number("completion_tokens"),
        number("total_tokens"),
    ];
    for (name, value) in SUMS.into_iter().zip(values) {
        *sums.get_mut(name).unwrap() += value;
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// USD as picodollars.
fn pico(usd: &Value) -> String {
    let pico = decimal(usd) * Decimal::from(1_000_000_000_000_u64);
    pico.normalize().to_string()
}

/// A number as it is written; 0 if it is none.
pub(crate) fn decimal(value: &Value) -> Decimal {
    let text = value.to_string();
    let plain = text.parse::<Decimal>();
    plain
        .or_else(|_| Decimal::from_scientific(&text))
        .unwrap_or_default()
}
