//! Events that the Python version wrote (its layout at 2026-03) read here, every type of them.

#![expect(clippy::unwrap_used, reason = "a broken fixture has to stop the test")]

use event_payloads::{Cost, Event, EventType, Payload, TokenUsage};

fn old_events() -> Vec<Event> {
    serde_json::from_str(include_str!("fixtures/old_events.json")).unwrap()
}

/// Types that came after the Python version.
const NEWER: [&str; 2] = ["COST_CORRECTED", "TASK_PRUNED"];

#[test]
fn every_old_event_decodes_and_every_type_is_there() {
    let events = old_events();
    for word in EventType::WORDS
        .iter()
        .filter(|word| !NEWER.contains(*word))
    {
        assert!(
            events
                .iter()
                .any(|event| event.event_type.as_str() == *word),
            "no old {word}"
        );
    }
    for event in &events {
        event.decode().unwrap();
    }
}

#[test]
fn an_event_of_an_unknown_type_is_handed_on_to_the_letter() {
    let events = old_events();
    let unknown = events.last().unwrap();
    assert!(matches!(
        unknown.decode().unwrap(),
        Payload::Unknown(EventType::Other(_), _)
    ));
    assert_eq!(
        unknown.payload["weights"].to_string(),
        "[0.10,1e+3]",
        "numbers keep their text"
    );
    let again: Event = serde_json::from_str(&serde_json::to_string(unknown).unwrap()).unwrap();
    assert_eq!(&again, unknown);
}

#[test]
fn fields_that_old_events_lack_have_their_defaults() {
    let Payload::ModelCallCompleted(call) = old_events()[4].decode().unwrap() else {
        panic!()
    };
    assert_eq!(call.token_usage, Some(TokenUsage::new(14, 2)));
    assert_eq!(call.cost(), Cost::FREE);
    assert_eq!((call.model_name.as_str(), call.is_fallback), ("", false));
    let Payload::ModelCallCompleted(echo) = old_events()[8].decode().unwrap() else {
        panic!()
    };
    assert_eq!(echo.token_usage, None);
    assert_eq!(echo.cost(), Cost::Unavailable(String::new()));
}

#[test]
fn only_a_transition_to_a_terminal_state_is_final() {
    let finals: Vec<u64> = old_events()
        .iter()
        .filter(|event| event.is_final())
        .map(|event| event.task_seq)
        .collect();
    assert_eq!(finals, [7]);
}

#[test]
fn a_payload_of_another_shape_is_an_error_that_names_the_event() {
    let mut event = old_events().remove(0);
    event.payload = serde_json::json!({"title": 5});
    let error = event.decode().unwrap_err();
    assert!(
        error.to_string().contains(event.event_id.as_str()),
        "{error}"
    );
}
