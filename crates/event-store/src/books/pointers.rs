//! What the row of a task points to: its latest event, and whatever other programs have put beside it.

use event_payloads::EventId;

use super::task::TaskRow;

/// Which pointer is to the latest event.
const LATEST: &str = "latest_event_id";

/// The pointers of a task that point to its latest event and to nothing else.
pub(crate) fn latest_alone(latest: &EventId) -> String {
    // An identifier has no character that JSON would escape.
    format!(r#"{{"{LATEST}":"{latest}"}}"#)
}

/// The pointers of a task with its latest event; what else they hold stays.
pub(crate) fn with_latest(before: Option<&String>, task: &TaskRow) -> String {
    let before = before.map_or("{}", String::as_str);
    let Some((_, latest)) = &task.latest else {
        return before.to_owned();
    };
    if hold_no_more(before) {
        return latest_alone(latest);
    }
    let pointers: Result<serde_json::Map<String, serde_json::Value>, _> =
        serde_json::from_str(before);
    let mut pointers = pointers.unwrap_or_default();
    pointers.insert(LATEST.to_owned(), latest.as_str().into());
    serde_json::Value::Object(pointers).to_string()
}

/// True for pointers as we write them, to the latest event alone: nearly all are such, and each commit has some.
pub(crate) fn hold_no_more(pointers: &str) -> bool {
    let latest = pointers
        .strip_prefix("{\"")
        .and_then(|rest| rest.strip_prefix(LATEST))
        .and_then(|rest| rest.strip_prefix("\":\""))
        .and_then(|rest| rest.strip_suffix("\"}"));
    pointers == "{}" || latest.is_some_and(|latest| !latest.contains(['"', '\\']))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value};

    use event_payloads::Timestamp;

    use super::*;

    fn after(before: &str) -> String {
        let latest = "01KJN4W0000000000000000001".parse().unwrap();
        let task = TaskRow {
            latest: Some((Timestamp::UNIX_EPOCH, latest)),
            ..TaskRow::default()
        };
        with_latest(Some(&before.to_owned()), &task)
    }

    const OURS: &str = r#"{"latest_event_id":"01KJN4W0000000000000000001"}"#;

    #[test]
    fn our_own_pointers_and_none_and_what_is_no_json_come_to_the_latest_event_alone() {
        let old = OURS.replace('1', "7");
        for before in ["{}", "", "no JSON", r#"{"latest_event_id":"a"b"}"#, &old] {
            assert_eq!(after(before), OURS, "{before}");
        }
    }

    #[test]
    fn a_pointer_behind_the_latest_event_stays() {
        let both = r#"{"latest_event_id":"a","other":"b"}"#;
        let expected = OURS.replace('}', r#","other":"b"}"#);
        assert_eq!(after(both), expected);
    }

    proptest! {
        #[test]
        fn what_else_pointers_hold_stays(
            pointers in prop::collection::btree_map("latest_event_id|[a-z\"\\\\]{0,3}", "[a-z\"\\\\,:}]{0,5}", 0..4),
        ) {
            let before = serde_json::to_string(&pointers).unwrap();
            let mut expected: Map<String, Value> = serde_json::from_str(&before).unwrap();
            expected.insert(LATEST.to_owned(), "01KJN4W0000000000000000001".into());
            let found: Map<String, Value> = serde_json::from_str(&after(&before)).unwrap();
            prop_assert_eq!(found, expected);
        }
    }
}
