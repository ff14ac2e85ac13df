//! A database of the layout that existing installations have, large enough that bringing it to today's takes a
//! while: long enough to be killed in.

use std::path::Path;

use rusqlite::{Connection, Transaction, params};
use serde_json::{Value, json};

use crate::told::Record;

const TASKS: usize = 400;
/// As installations have it: no position, no hash, no calls and no sums.
const LAYOUT: &str = "
CREATE TABLE tasks (
    task_id TEXT PRIMARY KEY, created_at TEXT NOT NULL, updated_at TEXT NOT NULL,
    status TEXT NOT NULL DEFAULT 'CREATED', title TEXT NOT NULL DEFAULT '',
    thread_id TEXT NOT NULL DEFAULT 'default', scope_id TEXT NOT NULL DEFAULT '',
    requester TEXT NOT NULL DEFAULT '{}', risk_level TEXT NOT NULL DEFAULT 'low',
    pointers TEXT NOT NULL DEFAULT '{}'
);
CREATE TABLE events (
    event_id TEXT PRIMARY KEY, task_id TEXT NOT NULL REFERENCES tasks(task_id), task_seq INTEGER NOT NULL,
    ts TEXT NOT NULL, type TEXT NOT NULL, schema_version INTEGER NOT NULL DEFAULT 1, actor TEXT NOT NULL,
    payload TEXT NOT NULL DEFAULT '{}', trace_id TEXT NOT NULL DEFAULT '', span_id TEXT NOT NULL DEFAULT '',
    parent_event_id TEXT, idempotency_key TEXT
);
CREATE UNIQUE INDEX idx_events_task_seq ON events(task_id, task_seq);
CREATE UNIQUE INDEX idx_events_idempotency_key ON events(idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE TABLE artifacts (
    artifact_id TEXT PRIMARY KEY, task_id TEXT NOT NULL REFERENCES tasks(task_id), ts TEXT NOT NULL,
    name TEXT NOT NULL, description TEXT NOT NULL DEFAULT '', parts TEXT NOT NULL DEFAULT '[]',
    storage_ref TEXT, size INTEGER NOT NULL DEFAULT 0, hash TEXT NOT NULL DEFAULT '',
    version INTEGER NOT NULL DEFAULT 1
);
";
const MOMENT: &str = "2026-03-01T12:00:00.000001+00:00";

/// Writes one, and remembers its tasks and keys: they are as acknowledged as any.
pub(crate) fn plant(path: &Path, told: &mut Record) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut conn = Connection::open(path).unwrap();
    conn.pragma_update(None, "journal_mode", "wal").unwrap();
    conn.execute_batch(LAYOUT).unwrap();
    let tx = conn.transaction().unwrap();
    for number in 0..TASKS {
        let key = format!("old-key-{number}");
        let task_id = task(&tx, number, &key);
        told.tried.push(key.clone());
        told.taken(&key, &task_id, true);
    }
    tx.commit().unwrap();
}

fn id(number: usize) -> String {
    format!("01KJN4{number:020}")
}

/// A task that was answered, before anybody wrote costs down.
fn task(tx: &Transaction<'_>, number: usize, key: &str) -> String {
    let task_id = id(number * 10);
    let events: [(&str, Value); 6] = [
        (
            "TASK_CREATED",
            json!({"title": "old", "thread_id": "default", "scope_id": "chat:web:default", "channel": "web", "sender_id": "owner"}),
        ),
        (
            "USER_MESSAGE",
            json!({"text_preview": "old", "text_length": 3, "attachment_count": 0}),
        ),
        (
            "STATE_TRANSITION",
            json!({"from_status": "CREATED", "to_status": "RUNNING", "reason": ""}),
        ),
        (
            "MODEL_CALL_STARTED",
            json!({"model_alias": "main", "request_summary": "old", "artifact_ref": null}),
        ),
        (
            "MODEL_CALL_COMPLETED",
            json!({"model_alias": "main", "response_summary": "old", "duration_ms": 5, "token_usage": {"prompt": 3, "completion": 4, "total": 7}, "artifact_ref": null}),
        ),
        (
            "STATE_TRANSITION",
            json!({"from_status": "RUNNING", "to_status": "SUCCEEDED", "reason": ""}),
        ),
    ];
    tx.execute(
        "INSERT INTO tasks (task_id, created_at, updated_at, status, title, scope_id, requester, pointers)
         VALUES (?1, ?2, ?2, 'SUCCEEDED', 'old', 'chat:web:default', ?3, ?4)",
        params![
            task_id,
            MOMENT,
            json!({"channel": "web", "sender_id": "owner"}).to_string(),
            json!({"latest_event_id": id(number * 10 + events.len())}).to_string(),
        ],
    )
    .unwrap();
    for (seq, (kind, payload)) in (1..).zip(&events) {
        let event_id = id(number * 10 + seq);
        let parent = (*kind == "MODEL_CALL_COMPLETED").then(|| id(number * 10 + seq - 1));
        tx.execute(
            "INSERT INTO events (event_id, task_id, task_seq, ts, type, actor, payload, trace_id, parent_event_id, idempotency_key)
             VALUES (?1, ?2, ?3, ?4, ?5, 'system', ?6, 'trace-' || ?2, ?7, ?8)",
            params![
                event_id,
                task_id,
                i64::try_from(seq).unwrap(),
                MOMENT,
                kind,
                payload.to_string(),
                parent,
                (seq == 1).then_some(key),
            ],
        )
        .unwrap();
    }
    task_id
}
