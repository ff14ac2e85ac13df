use serde_json::{Value, json};

use super::breaks;

fn object(properties: &Value, required: &[&str]) -> Value {
    json!({"type": "object", "properties": properties, "required": required})
}

#[track_caller]
fn check(old: &Value, new: &Value, expected: &[&str]) {
    assert_eq!(breaks(old, new), expected);
    assert!(
        breaks(old, old).is_empty(),
        "a schema must be compatible with itself"
    );
}

#[test]
fn a_new_field_with_a_default_breaks_nothing() {
    let old = object(&json!({"name": {"type": "string"}}), &["name"]);
    let new = object(
        &json!({"name": {"type": "string"}, "cost": {"type": "number", "default": 0}}),
        &["name"],
    );
    check(&old, &new, &[]);
}

#[test]
fn a_newly_required_field_is_a_break() {
    let old = object(
        &json!({"name": {"type": "string"}, "cost": {"type": "number"}}),
        &["name"],
    );
    let new = object(
        &json!({"name": {"type": "string"}, "cost": {"type": "number"}}),
        &["name", "cost"],
    );
    check(&old, &new, &["cost is now required"]);
}

#[test]
fn a_required_field_that_is_gone_is_a_break_and_an_optional_one_is_not() {
    let old = object(
        &json!({"name": {"type": "string"}, "cost": {"type": "number"}}),
        &["name"],
    );
    check(
        &old,
        &object(&json!({}), &[]),
        &["name was required and is gone"],
    );
}

#[test]
fn a_lost_type_is_a_break_and_a_wider_one_is_not() {
    let optional = object(&json!({"size": {"type": ["integer", "null"]}}), &[]);
    let integer = object(&json!({"size": {"type": "integer"}}), &[]);
    let number = object(&json!({"size": {"type": "number"}}), &[]);
    check(&optional, &integer, &["size no longer allows type null"]);
    check(&integer, &optional, &[]);
    check(&integer, &number, &[]);
    check(&number, &integer, &["size no longer allows type number"]);
}

#[test]
fn a_break_behind_a_reference_is_found() {
    let old = json!({
        "type": "object",
        "properties": {"usage": {"anyOf": [{"$ref": "#/$defs/Usage"}, {"type": "null"}]}},
        "$defs": {"Usage": {"type": "object", "properties": {"total": {"type": "integer"}}}},
    });
    let mut new = old.clone();
    new["$defs"]["Usage"]["required"] = json!(["total"]);
    check(
        &old,
        &new,
        &["usage fits none of the alternatives any more"],
    );
    new["properties"]["usage"] = json!({"$ref": "#/$defs/Usage"});
    check(
        &old,
        &new,
        &[
            "usage.total is now required",
            "usage no longer allows type null",
        ],
    );
}

#[test]
fn two_ways_to_write_an_optional_value_are_the_same() {
    let list = object(&json!({"id": {"type": ["string", "null"]}}), &[]);
    let any = object(
        &json!({"id": {"anyOf": [{"type": "string"}, {"type": "null"}]}}),
        &[],
    );
    check(&list, &any, &[]);
    check(&any, &list, &[]);
    let only_string = object(&json!({"id": {"anyOf": [{"type": "string"}]}}), &[]);
    check(&list, &only_string, &["id no longer allows \"null\""]);
}

#[test]
fn a_lost_value_is_a_break_and_a_new_one_is_not() {
    let two = object(&json!({"actor": {"enum": ["user", "kernel"]}}), &[]);
    let one = object(&json!({"actor": {"const": "user"}}), &[]);
    check(&two, &one, &["actor no longer allows \"kernel\""]);
    check(&one, &two, &[]);
    let free = object(&json!({"actor": {}}), &[]);
    check(&free, &one, &["actor is now limited to certain values"]);
}

#[test]
fn a_narrower_limit_is_a_break_and_a_wider_one_is_not() {
    let wide = object(
        &json!({"size": {"minimum": 0, "maximum": 255, "format": "uint8"}}),
        &[],
    );
    let narrow = object(
        &json!({"size": {"minimum": 1, "maximum": 255, "format": "uint8"}}),
        &[],
    );
    check(
        &wide,
        &narrow,
        &["size has a narrower minimum: 1 instead of 0"],
    );
    check(&narrow, &wide, &[]);
    let wider = object(&json!({"size": {"minimum": 0, "format": "uint64"}}), &[]);
    check(&wide, &wider, &[]);
    let expected = [
        "size now has a maximum of 255",
        "size has format uint8 instead of uint64",
    ];
    check(&wider, &wide, &expected);
}

#[test]
fn a_closed_object_is_a_break() {
    let open = object(&json!({"name": {"type": "string"}}), &[]);
    let mut closed = object(&json!({}), &[]);
    closed["additionalProperties"] = json!(false);
    let expected = ["* is no longer allowed", "name is no longer allowed"];
    check(&open, &closed, &expected);
}

#[test]
fn an_unknown_keyword_counts_as_a_break() {
    let old = object(&json!({"name": {"type": "string"}}), &[]);
    let new = object(&json!({"name": {"type": "string", "pattern": "^a"}}), &[]);
    check(&old, &new, &["name has another `pattern`"]);
    check(&new, &old, &[]);
}

#[test]
fn what_was_anything_may_not_become_something() {
    let anything = object(&json!({"payload": true}), &[]);
    let text = object(
        &json!({"payload": {"type": "array", "items": {"type": "string"}}}),
        &[],
    );
    let found = breaks(&anything, &text);
    assert!(
        found.contains(&"payload no longer allows type object".to_owned()),
        "{found:?}"
    );
    check(&text, &anything, &[]);
}

#[test]
fn a_break_in_the_items_of_a_list_is_found() {
    let old = object(
        &json!({"calls": {"items": {"type": ["string", "null"]}}}),
        &[],
    );
    let new = object(&json!({"calls": {"items": {"type": "string"}}}), &[]);
    check(&old, &new, &["calls[] no longer allows type null"]);
}

#[test]
fn a_recursive_type_is_compared_once() {
    let tree = |leaf: &str| {
        json!({
            "$ref": "#/$defs/Tree",
            "$defs": {"Tree": {"properties": {
                "next": {"$ref": "#/$defs/Tree"}, "leaf": {"type": leaf},
            }}},
        })
    };
    check(
        &tree("string"),
        &tree("null"),
        &["leaf no longer allows type string"],
    );
}

#[test]
fn a_limit_beside_a_reference_is_not_overlooked() {
    let definitions = json!({"Count": {"type": "integer"}});
    let free = json!({"properties": {"size": {"$ref": "#/$defs/Count"}}, "$defs": definitions});
    let mut limited = free.clone();
    limited["properties"]["size"]["minimum"] = json!(1);
    check(&free, &limited, &["size has another `minimum`"]);
    check(&limited, &free, &[]);
}
