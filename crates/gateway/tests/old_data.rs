//! An installation of the Python version, taken over as it is.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops where something is missing"
)]

mod support;

use std::path::Path;

use event_payloads::Event;
use rusqlite::{Connection, params};
use serde_json::{Value, json};
use support::octo::Octo;
use support::{Gateway, until};

const LAYOUT: &str = include_str!("../../event-store/tests/fixtures/python_layout.sql");
const EVENTS: &str = include_str!("../../event-payloads/tests/fixtures/old_events.json");

/// The database file of an old installation: one task that succeeded, one that was running.
fn old_installation(data: &Path) {
    std::fs::create_dir_all(data.join("sqlite")).unwrap();
    let conn = Connection::open(data.join("sqlite/octoagent.db")).unwrap();
    conn.execute_batch(LAYOUT).unwrap();
    let events: Vec<Event> = serde_json::from_str(EVENTS).unwrap();
    for event in &events {
        let task_id = event.task_id.as_str();
        let status = if task_id.ends_with('0') {
            "SUCCEEDED"
        } else {
            "RUNNING"
        };
        conn.execute(
            "INSERT OR IGNORE INTO tasks (task_id, created_at, updated_at, status, title, requester)
             VALUES (?1, ?2, ?2, ?3, 'old', '{\"channel\": \"web\", \"sender_id\": \"owner\"}')",
            params![task_id, event.ts.to_string(), status],
        )
        .unwrap();
        conn.execute(
            "INSERT INTO events VALUES (?1, ?2, ?3, ?4, ?5, 1, ?6, ?7, ?8, '', NULL, ?9)",
            params![
                event.event_id.as_str(),
                task_id,
                i64::try_from(event.task_seq).unwrap(),
                event.ts.to_string(),
                event.event_type.as_str(),
                event.actor.as_str(),
                event.payload.to_string(),
                event.trace_id,
                event.causality.idempotency_key,
            ],
        )
        .unwrap();
    }
}

#[tokio::test]
async fn an_old_installation_opens_lists_streams_and_adds_up() {
    let dir = tempfile::tempdir().unwrap();
    old_installation(dir.path());
    let gateway = Gateway::start_in(dir, &[("OCTOAGENT_LLM_MODE", "echo")]).await;
    let tasks = gateway.get("/api/tasks").await.json();
    assert_eq!(tasks["tasks"].as_array().unwrap().len(), 2);

    let done = "01KJN4VZZZ0000000000000000";
    let view = gateway.get(&format!("/api/tasks/{done}")).await.json();
    let old: Vec<Value> = serde_json::from_str(EVENTS).unwrap();
    for (shown, written) in view["events"].as_array().unwrap().iter().zip(&old) {
        assert_eq!(
            shown["payload"], written["payload"],
            "an old payload is handed on unchanged"
        );
    }
    let stream = gateway
        .get(&format!("/api/stream/task/{done}"))
        .await
        .text();
    assert_eq!(
        stream.matches("\nevent:").count() + usize::from(stream.starts_with("event:")),
        7,
        "{stream}"
    );
    assert!(stream.contains("\"final\":true"));

    let costs = gateway.get("/api/costs?group_by=model").await.json();
    let planner = costs["rows"]
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["model"] == "gpt-4o-mini")
        .unwrap();
    assert_eq!(planner["cost_usd"].to_string(), "0.000027");
    assert!(
        costs["total"]["calls_without_cost"].as_u64().unwrap() >= 1,
        "an old call without a cost is not 0: {costs}"
    );

    // The message of an old task is still known by its key, and what was running is closed.
    let again = gateway
        .post(
            "/api/message",
            &json!({"text": "x", "idempotency_key": "msg-1"}),
        )
        .await;
    assert_eq!(
        (again.status.as_u16(), &again.json()["task_id"]),
        (200, &json!(done))
    );
    let left = gateway
        .get("/api/tasks/01KJN4VZZZ0000000000000001")
        .await
        .json();
    assert_eq!(left["task"]["status"], "FAILED");
    let unknown = left["events"]
        .as_array()
        .unwrap()
        .iter()
        .find(|event| event["type"] == "ORCH_DECISION")
        .unwrap();
    assert_eq!(
        unknown["payload"]["weights"].to_string(),
        "[0.10,1e+3]",
        "an unknown type is kept to the letter"
    );
    gateway.run_message("New life", "new", None).await;
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_removes_what_ended_longer_ago_than_its_settings_say() {
    let dir = tempfile::tempdir().unwrap();
    old_installation(&dir.path().join("data"));
    let config = dir.path().join("config");
    std::fs::create_dir_all(&config).unwrap();
    std::fs::write(config.join("octo.toml"), "[storage]\nretention_days = 1\n").unwrap();
    std::fs::write(dir.path().join(".env"), "OCTOAGENT_LLM_MODE=echo\n").unwrap();
    let octo = Octo::start(dir.path(), "").await;

    let types = |view: &Value| -> Vec<String> {
        let events = view["events"].as_array().unwrap().iter();
        events
            .map(|event| event["type"].as_str().unwrap().to_owned())
            .collect()
    };
    let old = async || octo.get("/api/tasks/01KJN4VZZZ0000000000000000").await;
    let is_gone = |view: &Value| types(view).last().unwrap() == "TASK_PRUNED";
    let view = until(old, is_gone).await;
    assert_eq!(view["task"]["status"], "SUCCEEDED");
    // It ended when this gateway found it without anybody at work on it.
    let closed = octo.get("/api/tasks/01KJN4VZZZ0000000000000001").await;
    assert_eq!(closed["task"]["status"], "FAILED");
    assert!(!is_gone(&closed), "{closed}");
    let total = octo.get("/api/costs").await["total"].clone();
    assert_eq!(
        (&total["calls"], &total["cost_usd"]),
        (&json!(4), &json!(0.000_027))
    );
    assert_eq!(octo.end().await, Some(0));
}
