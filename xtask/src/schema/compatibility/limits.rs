//! Keywords that limit a number, a length or a format.

use std::cmp::Ordering;

use serde_json::{Map, Number, Value};

/// A higher value refuses more.
const FLOORS: [&str; 5] = [
    "exclusiveMinimum",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
];
/// A lower value refuses more.
const CEILINGS: [&str; 5] = [
    "exclusiveMaximum",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
];
/// Integer formats, each holding all values of those before it in its row.
const UNSIGNED: [&str; 4] = ["uint8", "uint16", "uint32", "uint64"];
const SIGNED: [&str; 4] = ["int8", "int16", "int32", "int64"];

pub(super) fn has_rule(keyword: &str) -> bool {
    keyword == "format" || FLOORS.contains(&keyword) || CEILINGS.contains(&keyword)
}

pub(super) fn compare(old: &Map<String, Value>, new: &Map<String, Value>, at: &str) -> Vec<String> {
    let place = super::place(at);
    let mut found = Vec::new();
    for (keywords, stricter) in [(FLOORS, Ordering::Greater), (CEILINGS, Ordering::Less)] {
        for keyword in keywords {
            let Some(Value::Number(new)) = new.get(keyword) else {
                continue;
            };
            match old.get(keyword) {
                Some(Value::Number(old)) if order(new, old) != Some(stricter) => {}
                Some(old) => found.push(format!(
                    "{place} has a narrower {keyword}: {new} instead of {old}"
                )),
                None => found.push(format!("{place} now has a {keyword} of {new}")),
            }
        }
    }
    found.extend(format(old, new, place));
    found
}

/// `None` for what cannot be compared, which then does not count as stricter: equal texts are equal.
fn order(one: &Number, other: &Number) -> Option<Ordering> {
    if let (Some(one), Some(other)) = (one.as_i128(), other.as_i128()) {
        return Some(one.cmp(&other));
    }
    one.as_f64()?.partial_cmp(&other.as_f64()?)
}

fn format(old: &Map<String, Value>, new: &Map<String, Value>, place: &str) -> Option<String> {
    let new = new.get("format")?.as_str()?;
    match old.get("format").and_then(Value::as_str) {
        Some(old) if old == new || widens(old, new) => None,
        Some(old) => Some(format!("{place} has format {new} instead of {old}")),
        None => Some(format!("{place} now has a format: {new}")),
    }
}

fn widens(old: &str, new: &str) -> bool {
    [UNSIGNED, SIGNED].iter().any(|row| {
        let rank = |format: &str| row.iter().position(|one| *one == format);
        matches!((rank(old), rank(new)), (Some(old), Some(new)) if old < new)
    })
}
