//! What is different between two price maps.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use serde_json::{Map, Value};

/// Each model with its prices, flattened: `tiered_pricing.1.input_cost_per_token`.
pub(super) type Models = BTreeMap<String, BTreeMap<String, Value>>;

/// Out of the text of `data/prices.json`; nothing out of no text.
pub(super) fn models(compact: &str) -> Result<Models> {
    if compact.is_empty() {
        return Ok(Models::new());
    }
    let map: Map<String, Value> =
        serde_json::from_str(compact).context("the price map is not JSON")?;
    let models = map
        .get("models")
        .and_then(Value::as_object)
        .context("the price map has no `models`")?;
    let flat = models.iter().map(|(name, entry)| {
        let mut fields = BTreeMap::new();
        flatten(&mut fields, "", entry);
        (name.clone(), fields)
    });
    Ok(flat.collect())
}

fn flatten(fields: &mut BTreeMap<String, Value>, path: &str, value: &Value) {
    let at = |name: &str| {
        if path.is_empty() {
            name.to_owned()
        } else {
            format!("{path}.{name}")
        }
    };
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                flatten(fields, &at(name), value);
            }
        }
        Value::Array(values) => {
            for (index, value) in values.iter().enumerate() {
                flatten(fields, &at(&index.to_string()), value);
            }
        }
        leaf => {
            fields.insert(path.to_owned(), leaf.clone());
        }
    }
}

/// One line for each model that went, came or is different; the first sign says how: `-` went, `+` came,
/// `↑` has a price that is higher and none that is lower, `↓` the reverse, `~` anything else.
pub(super) fn changes(old: &Models, new: &Models) -> Vec<String> {
    let gone = old
        .keys()
        .filter(|name| !new.contains_key(*name))
        .map(|name| format!("- {name}"));
    let other = new.iter().filter_map(|(name, fields)| match old.get(name) {
        None => Some(format!("+ {name}{}", listed(fields))),
        Some(before) => {
            difference(before, fields).map(|(sign, text)| format!("{sign} {name}: {text}"))
        }
    });
    gone.chain(other).collect()
}

fn listed(fields: &BTreeMap<String, Value>) -> String {
    let prices = fields
        .iter()
        .filter(|(name, _)| name.contains("cost_per_token"));
    let shown: Vec<String> = prices
        .take(2)
        .map(|(name, value)| format!("{name} {value}"))
        .collect();
    if shown.is_empty() {
        String::new()
    } else {
        format!(": {}", shown.join(", "))
    }
}

fn difference(
    old: &BTreeMap<String, Value>,
    new: &BTreeMap<String, Value>,
) -> Option<(char, String)> {
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let changed: Vec<(&String, Option<&Value>, Option<&Value>)> = names
        .into_iter()
        .map(|name| (name, old.get(name), new.get(name)))
        .filter(|(_, old, new)| old != new)
        .collect();
    if changed.is_empty() {
        return None;
    }
    let directions: Vec<Option<bool>> = changed
        .iter()
        .map(|(_, old, new)| {
            let number = |value: &Option<&Value>| value.and_then(Value::as_f64);
            let (old, new) = (number(old)?, number(new)?);
            Some(new > old)
        })
        .collect();
    let sign = if directions.iter().all(|up| *up == Some(true)) {
        '↑'
    } else if directions.iter().all(|up| *up == Some(false)) {
        '↓'
    } else {
        '~'
    };
    let shown = |value: Option<&Value>| value.map_or_else(|| "none".to_owned(), Value::to_string);
    let parts = changed
        .iter()
        .map(|(name, old, new)| format!("{name} {} → {}", shown(*old), shown(*new)));
    Some((sign, parts.collect::<Vec<_>>().join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_went_and_changed_is_told_with_its_direction() {
        let old = r#"{"source": 1, "models": {"a": {"x": 1}, "b": {"x": 1}, "c": {"x": 1e-6, "y": 3}, "d": {"x": 2},
                      "e": {"mode": "chat", "t": [{"x": 1}]}}}"#;
        let new = r#"{"models": {"b": {"x": 1}, "c": {"x": 2e-6, "y": 3}, "d": {"x": 1},
                      "e": {"mode": "responses", "t": [{"x": 2}]}, "f": {"input_cost_per_token": 3}}}"#;
        let (old, new) = (models(old).unwrap(), models(new).unwrap());
        assert_eq!(
            changes(&old, &new),
            [
                "- a",
                "↑ c: x 1e-6 → 2e-6",
                "↓ d: x 2 → 1",
                "~ e: mode \"chat\" → \"responses\", t.0.x 1 → 2",
                "+ f: input_cost_per_token 3"
            ]
        );
        assert!(changes(&new, &new).is_empty());
        assert!(models("").unwrap().is_empty());
        assert!(models("[]").is_err());
    }
}
