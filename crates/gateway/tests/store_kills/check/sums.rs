//! The sums that octo keeps, row by row: each stretch of time, each task.

use std::collections::BTreeMap;

use super::recount::{Columns, Recount};
use super::{Findings, Rule};
use crate::books::{Books, SUM_VALUES};

const PICO: i128 = 1_000_000_000_000;

pub(crate) fn check(books: &Books, recount: &Recount, found: &mut Findings) {
    let mut counted: BTreeMap<Vec<String>, Vec<i128>> = BTreeMap::new();
    let ended = recount
        .calls
        .values()
        .filter(|call| call["status"] != "started");
    for call in ended {
        let values = values(call);
        for key in keys(call) {
            let sums = counted.entry(key).or_insert_with(|| vec![0; values.len()]);
            for (sum, value) in sums.iter_mut().zip(&values) {
                *sum += value;
            }
        }
    }
    for (key, counted) in &counted {
        let kept = books.sums.get(key).map(|kept| whole_cost(kept));
        found.unless(kept.as_ref() == Some(counted), Rule::Sums, || {
            format!(
                "the sums of {key:?} are {kept:?}, the events add up to {counted:?} {SUM_VALUES:?}"
            )
        });
    }
    for (key, kept) in &books.sums {
        let known = counted.contains_key(key) || kept.iter().all(|value| *value == 0);
        found.unless(known, Rule::Sums, || {
            format!("there are sums of {key:?} and no call")
        });
    }
}

/// The rows that a call counts in.
fn keys(call: &Columns) -> impl Iterator<Item = Vec<String>> {
    let hour = call["hour"].as_str();
    let words = ["alias", "category", "model", "provider"].map(|name| call[name].clone());
    let none = [const { String::new() }; 4];
    let [mut alias, mut model] = [words.clone(), words.clone()];
    alias[2..].fill(String::new());
    model[..2].fill(String::new());
    let (month, day) = (&hour[..7], &hour[..10]);
    let periods = [
        ("all", "", &words),
        ("month", month, &words),
        ("month_alias", month, &alias),
        ("month_model", month, &model),
        ("day", day, &words),
        ("day_alias", day, &alias),
        ("day_model", day, &model),
        ("day_total", day, &none),
        ("hour", hour, &words),
        ("hour_alias", hour, &alias),
        ("hour_model", hour, &model),
        ("task", call["task_id"].as_str(), &words),
    ];
    let keys = periods.map(|(period, scope, words)| {
        [
            [period.to_owned(), scope.to_owned()].as_slice(),
            words.as_slice(),
        ]
        .concat()
    });
    keys.into_iter()
}

/// In the order of the columns; the cost in picodollars.
fn values(call: &Columns) -> Vec<i128> {
    let number = |name: &str| call[name].parse::<i128>().unwrap_or(0);
    vec![
        1,
        number("cost_unavailable"),
        number("is_fallback"),
        i128::from(call["status"] == "failed"),
        number("drift"),
        number("estimated"),
        number("prompt_tokens"),
        number("completion_tokens"),
        number("total_tokens"),
        number("cost_pico"),
    ]
}

/// Dollars and picodollars as one figure.
fn whole_cost(kept: &[i128]) -> Vec<i128> {
    let (counts, cost) = kept.split_at(kept.len() - 2);
    let mut whole = counts.to_vec();
    whole.push(cost[0] * PICO + cost[1]);
    whole
}
