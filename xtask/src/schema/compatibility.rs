//! Whether everything that passed one schema still passes another.
//!
//! Decided keyword by keyword, and on the safe side: a keyword whose change is not understood counts as
//! a break. `--force` is there for the one who knows better.

mod limits;

use serde_json::{Map, Value};

/// Keywords that describe and refuse nothing, and those that only hold what is referred to.
const SILENT: [&str; 12] = [
    "$comment",
    "$defs",
    "$id",
    "$schema",
    "default",
    "deprecated",
    "description",
    "examples",
    "readOnly",
    "title",
    "writeOnly",
    "$ref",
];

/// Keywords with a rule of their own below.
const RULED: [&str; 9] = [
    "additionalProperties",
    "anyOf",
    "const",
    "enum",
    "items",
    "oneOf",
    "properties",
    "required",
    "type",
];

const ALL_TYPES: [&str; 7] = [
    "array", "boolean", "integer", "null", "number", "object", "string",
];

/// What of the `old` schema the `new` one would refuse, one sentence each.
pub(super) fn breaks(old: &Value, new: &Value) -> Vec<String> {
    let mut comparison = Comparison {
        old_root: old,
        new_root: new,
        open: Vec::new(),
    };
    comparison.compare(old, new, "")
}

struct Comparison<'a> {
    old_root: &'a Value,
    new_root: &'a Value,
    /// Pairs of references being compared further up: a recursive type ends there.
    open: Vec<(&'a Value, &'a Value)>,
}

impl<'a> Comparison<'a> {
    fn compare(&mut self, old: &'a Value, new: &'a Value, at: &str) -> Vec<String> {
        let beside = beside_reference(old, new, at);
        if !beside.is_empty() {
            return beside;
        }
        let old = resolve(self.old_root, old);
        let new = resolve(self.new_root, new);
        if self.open.contains(&(old, new)) {
            return Vec::new();
        }
        self.open.push((old, new));
        let found = self.compare_resolved(old, new, at);
        self.open.pop();
        found
    }

    fn compare_resolved(&mut self, old: &'a Value, new: &'a Value, at: &str) -> Vec<String> {
        if let Some(alternatives) = alternatives(old) {
            return alternatives
                .iter()
                .flat_map(|one| self.compare(one, new, at))
                .collect();
        }
        if let Some(alternatives) = alternatives(new) {
            return self.compare_with_any(old, alternatives, at);
        }
        match (old, new) {
            (_, Value::Bool(true)) | (Value::Bool(false), _) => Vec::new(),
            (_, Value::Bool(false)) => vec![format!("{} is no longer allowed", place(at))],
            (Value::Object(old), Value::Object(new)) => self.compare_objects(old, new, at),
            // `true`, which allows everything, is the schema without keywords.
            (_, Value::Object(new)) => self.compare_objects(empty(), new, at),
            _ => vec![format!("{} is not a schema", place(at))],
        }
    }

    /// What passed has to pass one of the alternatives.
    fn compare_with_any(&mut self, old: &'a Value, new: &'a [Value], at: &str) -> Vec<String> {
        // `type: [a, b]` is a shorter way to write two alternatives.
        if let Some(Value::Array(types)) = old.get("type")
            && let Value::Object(old) = old
        {
            let refused = types.iter().filter(|one| {
                let one = narrowed(old, one);
                !new.iter()
                    .any(|new| breaks_between(self, &one, new).is_empty())
            });
            return refused
                .map(|one| format!("{} no longer allows {one}", place(at)))
                .collect();
        }
        if new.iter().any(|new| self.compare(old, new, at).is_empty()) {
            return Vec::new();
        }
        vec![format!(
            "{} fits none of the alternatives any more",
            place(at)
        )]
    }

    fn compare_objects(
        &mut self,
        old: &'a Map<String, Value>,
        new: &'a Map<String, Value>,
        at: &str,
    ) -> Vec<String> {
        let mut found = types(old, new, at);
        if !share_a_type(old, new) {
            return found;
        }
        found.extend(values(old, new, at));
        found.extend(required(old, new, at));
        found.extend(limits::compare(old, new, at));
        found.extend(self.properties(old, new, at));
        found.extend(self.items(old, new, at));
        found.extend(not_understood(old, new, at));
        found
    }

    fn properties(
        &mut self,
        old: &'a Map<String, Value>,
        new: &'a Map<String, Value>,
        at: &str,
    ) -> Vec<String> {
        let mut found = Vec::new();
        if let Some(further) = new.get("additionalProperties") {
            let old = old
                .get("additionalProperties")
                .unwrap_or(&Value::Bool(true));
            found.extend(self.compare(old, further, &join(at, "*")));
        }
        let closed = new.get("additionalProperties") == Some(&Value::Bool(false));
        let new_properties = new.get("properties");
        for (name, old_property) in old
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            let at = join(at, name);
            match new_properties.and_then(|properties| properties.get(name)) {
                Some(new_property) => found.extend(self.compare(old_property, new_property, &at)),
                None if is_required(old, name) => {
                    found.push(format!("{at} was required and is gone"));
                }
                None if closed => found.push(format!("{at} is no longer allowed")),
                None => {}
            }
        }
        found
    }

    fn items(
        &mut self,
        old: &'a Map<String, Value>,
        new: &'a Map<String, Value>,
        at: &str,
    ) -> Vec<String> {
        let Some(new) = new.get("items") else {
            return Vec::new();
        };
        let old = old.get("items").unwrap_or(&Value::Bool(true));
        self.compare(old, new, &format!("{at}[]"))
    }
}

/// A comparison of its own, for a schema that is made up on the way.
fn breaks_between(comparison: &Comparison<'_>, old: &Value, new: &Value) -> Vec<String> {
    let mut inner = Comparison {
        old_root: comparison.old_root,
        new_root: comparison.new_root,
        open: Vec::new(),
    };
    inner.compare(old, new, "")
}

/// The schema with only one of its types.
fn narrowed(schema: &Map<String, Value>, one: &Value) -> Value {
    let mut schema = schema.clone();
    schema.insert("type".to_owned(), one.clone());
    Value::Object(schema)
}

/// Follows `$ref` within the document.
fn resolve<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    let mut schema = schema;
    // Bounded: a reference to itself would go on for ever.
    for _ in 0..16 {
        let target = schema
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|path| path.strip_prefix('#'));
        match target.and_then(|path| root.pointer(path)) {
            Some(target) => schema = target,
            None => break,
        }
    }
    schema
}

/// What stands beside a `$ref` counts too. schemars puts nothing but descriptions there, so any other
/// keyword is only checked for being the same.
fn beside_reference(old: &Value, new: &Value, at: &str) -> Vec<String> {
    let Some(new) = new.as_object().filter(|new| new.contains_key("$ref")) else {
        return Vec::new();
    };
    let asserting = new
        .iter()
        .filter(|(keyword, _)| !SILENT.contains(&keyword.as_str()));
    let changed = asserting.filter(|(keyword, value)| old.get(*keyword) != Some(value));
    changed
        .map(|(keyword, _)| format!("{} has another `{keyword}`", place(at)))
        .collect()
}

fn alternatives(schema: &Value) -> Option<&[Value]> {
    let alternatives = schema.get("anyOf").or_else(|| schema.get("oneOf"))?;
    alternatives.as_array().map(Vec::as_slice)
}

fn allowed_types(schema: &Map<String, Value>) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ => ALL_TYPES.to_vec(),
    }
}

fn types(old: &Map<String, Value>, new: &Map<String, Value>, at: &str) -> Vec<String> {
    let allowed = allowed_types(new);
    let still =
        |one: &str| allowed.contains(&one) || (one == "integer" && allowed.contains(&"number"));
    let lost = allowed_types(old).into_iter().filter(|one| !still(one));
    lost.map(|one| format!("{} no longer allows type {one}", place(at)))
        .collect()
}

fn share_a_type(old: &Map<String, Value>, new: &Map<String, Value>) -> bool {
    let lost = types(old, new, "");
    lost.len() < allowed_types(old).len()
}

/// The values that `enum` or `const` limit a schema to.
fn listed(schema: &Map<String, Value>) -> Option<Vec<&Value>> {
    let one = schema.get("const").map(|one| vec![one]);
    one.or_else(|| Some(schema.get("enum")?.as_array()?.iter().collect()))
}

fn values(old: &Map<String, Value>, new: &Map<String, Value>, at: &str) -> Vec<String> {
    let Some(new) = listed(new) else {
        return Vec::new();
    };
    let Some(old) = listed(old) else {
        return vec![format!("{} is now limited to certain values", place(at))];
    };
    let lost = old.into_iter().filter(|value| !new.contains(value));
    lost.map(|value| format!("{} no longer allows {value}", place(at)))
        .collect()
}

fn is_required(schema: &Map<String, Value>, name: &str) -> bool {
    let required = schema.get("required").and_then(Value::as_array);
    required.is_some_and(|required| required.iter().any(|one| one == name))
}

fn required(old: &Map<String, Value>, new: &Map<String, Value>, at: &str) -> Vec<String> {
    let required = new
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let added = required
        .filter_map(Value::as_str)
        .filter(|name| !is_required(old, name));
    added
        .map(|name| format!("{} is now required", join(at, name)))
        .collect()
}

fn not_understood(old: &Map<String, Value>, new: &Map<String, Value>, at: &str) -> Vec<String> {
    let unknown = new.iter().filter(|(keyword, _)| {
        let keyword = keyword.as_str();
        !SILENT.contains(&keyword) && !RULED.contains(&keyword) && !limits::has_rule(keyword)
    });
    let changed = unknown.filter(|(keyword, value)| old.get(*keyword) != Some(value));
    changed
        .map(|(keyword, _)| format!("{} has another `{keyword}`", place(at)))
        .collect()
}

fn join(at: &str, name: &str) -> String {
    if at.is_empty() {
        name.to_owned()
    } else {
        format!("{at}.{name}")
    }
}

fn place(at: &str) -> &str {
    if at.is_empty() { "the whole" } else { at }
}

fn empty() -> &'static Map<String, Value> {
    static EMPTY: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
    &EMPTY
}

#[cfg(test)]
mod tests;
