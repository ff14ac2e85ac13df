//! What clients were told is in the books.

use std::collections::{BTreeMap, BTreeSet};

use rust_decimal::Decimal;

use super::recount::decimal;
use super::{Findings, Rule};
use crate::books::{Books, Event};
use crate::told::Record;

pub(crate) fn check(books: &Books, told: &Record, found: &mut Findings) {
    for task_id in &told.tasks {
        let is_there = books.events.contains_key(task_id);
        found.unless(is_there, Rule::NothingLost, || {
            format!("task {task_id} was acknowledged and is lost")
        });
    }
    for task_id in &told.cancelled {
        let status = books.tasks.get(task_id).map(|task| task.status.as_str());
        found.unless(status == Some("CANCELLED"), Rule::NothingLost, || {
            format!("the cancellation of {task_id} was acknowledged, it is {status:?}")
        });
    }
    keys(books, told, found);
    events(books, told, found);
    answers(books, told, found);
}

/// The task of each key, once.
fn keys(books: &Books, told: &Record, found: &mut Findings) {
    let mut tasks: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (task_id, events) in &books.events {
        for key in events.iter().filter_map(|event| event.key.as_deref()) {
            tasks.entry(key).or_default().push(task_id);
        }
    }
    let tried: BTreeSet<&str> = told.tried.iter().map(String::as_str).collect();
    for (key, tasks) in &tasks {
        found.unless(tasks.len() == 1, Rule::OneTaskPerKey, || {
            format!("key {key} made the tasks {tasks:?}")
        });
        found.unless(tried.contains(key), Rule::OneTaskPerKey, || {
            format!("nobody sent the key {key}")
        });
    }
    for (key, task_id) in &told.keys {
        let now = tasks.get(key.as_str());
        let kept = now.is_some_and(|tasks| tasks.as_slice() == [task_id.as_str()]);
        found.unless(kept, Rule::OneTaskPerKey, || {
            format!("key {key} was acknowledged as {task_id}, in the books it is {now:?}")
        });
    }
}

/// Every event that was seen, to the letter.
fn events(books: &Books, told: &Record, found: &mut Findings) {
    let all = books.events.values().flatten();
    let wires: BTreeMap<&str, &str> = all
        .map(|event| (event.id.as_str(), event.wire.as_str()))
        .collect();
    for (event_id, data) in &told.seen {
        let Some(wire) = wires.get(event_id.as_str()) else {
            let what = format!("event {event_id} was seen and is lost");
            found.add(Rule::NothingLost, what);
            continue;
        };
        // What follows says whether the stream ends with it.
        let same = data
            .strip_prefix(wire)
            .is_some_and(|rest| rest == r#""final":true}"# || rest == r#""final":false}"#);
        found.unless(same, Rule::AsItWasSeen, || {
            format!("event {event_id} was seen as {data} and is {wire}")
        });
    }
}

/// Every answer, once, in its task, at its cost.
fn answers(books: &Books, told: &Record, found: &mut Findings) {
    let mut recorded: BTreeMap<String, Vec<(&str, &Event)>> = BTreeMap::new();
    for (task_id, events) in &books.events {
        for event in events
            .iter()
            .filter(|event| event.kind == "MODEL_CALL_COMPLETED")
        {
            let summary = event.payload["response_summary"].as_str();
            if let Some(mark) = mark(summary.unwrap_or_default()) {
                recorded.entry(mark).or_default().push((task_id, event));
            }
        }
    }
    for (mark, events) in &recorded {
        found.unless(events.len() == 1, Rule::OneEndPerCall, || {
            format!("{mark} is in the books {} times", events.len())
        });
    }
    for answer in &told.answers {
        let Some(&(task_id, event)) = recorded.get(&answer.mark).and_then(|events| events.first())
        else {
            let what = format!(
                "{} of {} was given and is lost",
                answer.mark, answer.task_id
            );
            found.add(Rule::NothingLost, what);
            continue;
        };
        let cost = &event.payload["cost_usd"];
        let same_cost = answer
            .cost
            .as_deref()
            .is_none_or(|told| told.parse::<Decimal>().ok() == Some(decimal(cost)));
        found.unless(
            task_id == answer.task_id && same_cost,
            Rule::OneEndPerCall,
            || {
                format!(
                    "{answer:?} is in the books as {} of {task_id}",
                    event.payload
                )
            },
        );
    }
}

/// The number that an answer begins with.
pub(crate) fn mark(text: &str) -> Option<String> {
    let number = text.strip_prefix("answer ")?.split(' ').next()?;
    Some(format!("answer {number}"))
}
