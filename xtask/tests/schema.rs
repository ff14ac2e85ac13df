//! A worker in another language can use the committed schemas: Python's `jsonschema` reads them and
//! tells good events from broken ones.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may stop at the first thing that is not as it should be"
)]

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn python() -> OsString {
    let variable = std::env::var_os("OCTO_TEST_PYTHON").filter(|value| !value.is_empty());
    variable.unwrap_or_else(|| {
        panic!("OCTO_TEST_PYTHON is not set: run this by `cargo xtask test`, which sets it up")
    })
}

fn old_events() -> Vec<Value> {
    let path: PathBuf = folder().join("../crates/event-payloads/tests/fixtures/old_events.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn validate(events: &[Value]) -> Output {
    let mut child = Command::new(python())
        .arg("-B")
        .arg(folder().join("python/validate_events.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin
        .write_all(&serde_json::to_vec(events).unwrap())
        .unwrap();
    drop(stdin);
    child.wait_with_output().unwrap()
}

#[track_caller]
fn check_passes(events: &[Value]) {
    let output = validate(events);
    assert!(output.status.success(), "{output:?}");
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(told.trim(), format!("{} events, 0 failed", events.len()));
}

#[track_caller]
fn check_fails(event: Value, expected: &str) {
    let mut events = old_events();
    events.push(event);
    let output = validate(&events);
    let told = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert_eq!(
        told.lines().count(),
        1,
        "only the broken event fails, for one reason: {told}"
    );
    assert!(told.contains(expected), "{told}");
}

/// One of the old events, to be broken or changed.
fn event_of(kind: &str) -> Value {
    old_events()
        .into_iter()
        .find(|event| event["type"] == kind)
        .unwrap()
}

#[test]
fn events_of_the_first_release_pass_the_schemas() {
    check_passes(&old_events());
}

#[test]
fn a_payload_without_a_required_field_fails() {
    let mut event = event_of("MODEL_CALL_COMPLETED");
    event["payload"]
        .as_object_mut()
        .unwrap()
        .remove("duration_ms");
    check_fails(event, "payload: 'duration_ms' is a required property");
}

#[test]
fn a_payload_with_a_wrong_type_fails() {
    let mut event = event_of("USER_MESSAGE");
    event["payload"]["text_length"] = json!("thirty");
    check_fails(
        event,
        "payload.text_length: 'thirty' is not of type 'integer'",
    );
}

#[test]
fn a_broken_envelope_fails() {
    let mut event = event_of("TASK_CREATED");
    event.as_object_mut().unwrap().remove("task_seq");
    check_fails(event, "event: 'task_seq' is a required property");
}

#[test]
fn a_type_without_a_schema_is_checked_as_an_envelope_only() {
    let mut event = event_of("TASK_CREATED");
    event["type"] = json!("SKILL_LEARNED");
    event["payload"] = json!({"anything": [1, 2]});
    check_passes(std::slice::from_ref(&event));
    event["actor"] = json!(7);
    check_fails(event, "event.actor");
}
