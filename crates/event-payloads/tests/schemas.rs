//! The schemas say what readers may rely on.

#![expect(
    clippy::unwrap_used,
    reason = "a schema that is missing has to stop the test"
)]

use event_payloads::{EventType, schema};
use serde_json::{Value, json};

fn named(name: &str) -> Value {
    let all = schema::all();
    let (_, schema) = all.into_iter().find(|(stem, _)| *stem == name).unwrap();
    schema.to_value()
}

#[test]
fn the_envelope_and_every_payload_have_one() {
    let stems: Vec<&str> = schema::all().into_iter().map(|(stem, _)| stem).collect();
    // Beside the payloads: the envelope, a page of it, and the piece of a stream, which is never recorded.
    assert_eq!(stems.len(), EventType::WORDS.len() + 3);
    for word in EventType::WORDS {
        assert!(stems.contains(&word.to_lowercase().as_str()), "{word}");
    }
}

#[test]
fn fields_that_old_events_lack_are_not_required() {
    let required = |name| named(name).get("required").cloned().unwrap();
    assert_eq!(
        required("model_call_completed"),
        json!(["model_alias", "response_summary", "duration_ms"])
    );
    assert_eq!(
        required("model_call_failed"),
        json!(["model_alias", "error_type", "error_message", "duration_ms"])
    );
    assert_eq!(
        required("user_message"),
        json!(["text_preview", "text_length"])
    );
}

#[test]
fn money_is_a_number_of_at_least_0_and_a_type_may_be_one_of_tomorrow() {
    let completed = named("model_call_completed");
    let usd = completed.pointer("/$defs/Usd").unwrap();
    assert_eq!(
        (usd.get("type"), usd.get("minimum")),
        (Some(&json!("number")), Some(&json!(0)))
    );
    let event = named("event");
    assert_eq!(
        event.pointer("/$defs/EventType/type"),
        Some(&json!("string"))
    );
    assert_eq!(event.pointer("/$defs/EventType/enum"), None);
}
