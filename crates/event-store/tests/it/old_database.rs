//! A database of the Python version: its layout, its rows, and a table that is not ours.

use event_payloads::{ArtifactId, Cost, Event, EventType, TaskId, TaskStatus};
use event_store::{
    CallStatus, CostQuery, Dimension, EventStore, Progress, Rebuilt, SqliteStore, StoreError,
    TaskQuery,
};
use rusqlite::{Connection, params};
use tempfile::TempDir;

use crate::desk::{Desk, database, dump, options};
use crate::events::{completed, moved};

/// The layout that installations have (as of 2026-03).
const OLD_LAYOUT: &str = include_str!("../fixtures/python_layout.sql");

const ONE: &str = "01KJN4VZZZ0000000000000000";
const TWO: &str = "01KJN4VZZZ0000000000000001";
const PARIS: &str = "01KJN4W1000000000000000001";

fn old_events() -> Vec<Event> {
    let json = include_str!("../../../event-payloads/tests/fixtures/old_events.json");
    serde_json::from_str(json).unwrap()
}

fn insert_event(conn: &Connection, event: &Event, payload: &str) {
    conn.execute(
        "INSERT INTO events VALUES (?1, ?2, ?3, ?4, ?5, 1, ?6, ?7, ?8, '', NULL, ?9)",
        params![
            event.event_id.as_str(),
            event.task_id.as_str(),
            i64::try_from(event.task_seq).unwrap(),
            event.ts.to_string(),
            event.event_type.as_str(),
            event.actor.as_str(),
            payload,
            event.trace_id,
            event.causality.idempotency_key,
        ],
    )
    .unwrap();
}

/// The files of an old installation.
fn old_installation() -> (TempDir, Connection) {
    let dir = TempDir::new().unwrap();
    std::fs::create_dir(dir.path().join("sqlite")).unwrap();
    let conn = Connection::open(database(dir.path())).unwrap();
    conn.execute_batch(OLD_LAYOUT).unwrap();
    for (task_id, day, status, title) in [
        (ONE, 1, "SUCCEEDED", "What is the capital of France?"),
        (TWO, 2, "RUNNING", "old"),
    ] {
        let ts = format!("2026-03-0{day}T12:00:00.000001+00:00");
        conn.execute(
            "INSERT INTO tasks VALUES (?1, ?2, ?2, ?3, ?4, 'default', 'chat:web:default',
             '{\"channel\": \"web\", \"sender_id\": \"owner\"}', 'low',
             '{\"latest_event_id\": null, \"other\": 1}')",
            params![task_id, ts, status, title],
        )
        .unwrap();
    }
    for event in old_events() {
        insert_event(&conn, &event, &event.payload.to_string());
    }
    conn.execute(
        "INSERT INTO artifacts VALUES (?1, ?2, '2026-03-01T12:00:01+00:00', 'llm-response', '',
         '[{\"type\": \"text\", \"mime\": \"text/plain\", \"content\": \"Paris.\", \"uri\": null}]',
         NULL, 6, '', 1)",
        params![PARIS, ONE],
    )
    .unwrap();
    conn.execute("INSERT INTO task_jobs VALUES ('job', ?1)", [ONE])
        .unwrap();
    (dir, conn)
}

#[tokio::test]
async fn it_opens_lists_reads_and_adds_up() {
    let (dir, conn) = old_installation();
    drop(conn);
    let error = SqliteStore::open_read_only(options(dir.path()))
        .await
        .unwrap_err();
    assert!(
        matches!(error, StoreError::TooOld { found: 0, .. }),
        "{error}"
    );

    let desk = Desk::at(dir, |options| options).await;
    let migrated = desk.store.migrated().unwrap();
    assert_eq!(
        migrated,
        Rebuilt {
            events: 12,
            calls: 4,
            undecodable: 0
        }
    );
    let (one, two): (TaskId, TaskId) = (ONE.parse().unwrap(), TWO.parse().unwrap());
    let listed = desk
        .store
        .tasks(TaskQuery {
            status: None,
            limit: 9,
        })
        .await
        .unwrap();
    assert_eq!(
        listed
            .iter()
            .map(|task| task.task_id.clone())
            .collect::<Vec<_>>(),
        [two.clone(), one.clone()]
    );
    assert_eq!(listed[0].requester.sender_id, "owner");
    let mut events = desk.store.events(&one, 0, 99).await.unwrap();
    events.extend(desk.store.events(&two, 0, 99).await.unwrap());
    assert_eq!(events, old_events(), "to the letter");
    assert_eq!(
        desk.store
            .task_by_key("msg-1")
            .await
            .unwrap()
            .unwrap()
            .task_id,
        one
    );
    let paris: ArtifactId = PARIS.parse().unwrap();
    assert_eq!(
        desk.store.artifact_content(&paris).await.unwrap().unwrap(),
        b"Paris."
    );

    let verified = desk.store.verify(&Progress::default()).await.unwrap();
    assert_eq!(verified.problems, [""; 0]);
    assert_eq!((verified.events, verified.calls), (12, 4));

    let calls = desk.store.calls(&one).await.unwrap();
    assert_eq!(calls.len(), 1, "the end goes with the start before it");
    assert_eq!(
        (calls[0].call_id.as_str(), calls[0].status),
        ("01KJN4W0000000000000000004", CallStatus::Completed)
    );
    assert_eq!(
        calls[0].cost, None,
        "recorded before costs were, not for nothing"
    );
    assert_eq!(calls[0].tokens.unwrap().total, 16);
    let calls = desk.store.calls(&two).await.unwrap();
    assert_eq!(
        calls.len(),
        3,
        "ends without a start are calls of their own"
    );
    assert_eq!(calls[0].cost.unwrap().get(), 27_000_000);
    assert_eq!((calls[1].cost, calls[1].is_fallback), (None, true));
    assert_eq!(calls[2].status, CallStatus::Failed);
    assert_eq!(desk.store.open_calls().await.unwrap(), []);
    let query = CostQuery {
        group_by: vec![Dimension::Day, Dimension::Model],
        ..CostQuery::default()
    };
    let rows = desk.store.cost_rollup(query).await.unwrap();
    let rows: Vec<_> = rows
        .iter()
        .map(|row| {
            (
                row.get(Dimension::Model).unwrap(),
                row.calls,
                row.calls_without_cost,
                row.cost.get(),
            )
        })
        .collect();
    assert_eq!(
        rows,
        [
            ("", 1, 1, 0),
            ("", 1, 0, 0),
            ("echo", 1, 1, 0),
            ("gpt-4o-mini", 1, 0, 27_000_000)
        ]
    );
}

#[tokio::test]
async fn it_goes_on_and_its_own_queries_still_work() {
    let (dir, conn) = old_installation();
    let desk = Desk::at(dir, |options| options).await;
    let two: TaskId = TWO.parse().unwrap();
    let call_id = desk.call(&two).await;
    let events = desk
        .append(
            &two,
            vec![
                completed(&call_id, &Cost::FREE),
                moved(TaskStatus::Running, TaskStatus::Succeeded),
            ],
        )
        .await;
    assert_eq!(events[1].task_seq, 8);
    assert!(events[0].event_id.as_str() > "01KJN4W000000000000000000C");
    // As the Python version asks.
    let (status, pointers): (String, String) = conn
        .query_row(
            "SELECT status, pointers FROM tasks WHERE task_id = ?1",
            [TWO],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap();
    assert_eq!(status, "SUCCEEDED");
    let pointers: serde_json::Value = serde_json::from_str(&pointers).unwrap();
    assert_eq!(pointers["latest_event_id"], events[1].event_id.as_str());
    assert_eq!(pointers["other"], 1, "what we do not know stays");
    let ts: Vec<String> = conn
        .prepare("SELECT ts FROM events WHERE task_id = ?1 ORDER BY task_seq")
        .unwrap()
        .query_map([TWO], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert!(
        ts.iter().all(|ts| ts.len() == 32 && ts.ends_with("+00:00")),
        "{ts:?}"
    );
    assert_eq!(dump(&conn, "task_jobs").len(), 1, "not ours, left alone");
    conn.execute(
        "INSERT INTO events (event_id, task_id, task_seq, ts, type, actor) VALUES ('py', ?1, 9, ?2, 'ERROR', 'kernel')",
        [TWO, "2026-03-02T12:00:09+00:00"],
    )
    .unwrap();
    let integrity: String = conn
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(integrity, "ok");
}

#[tokio::test]
async fn a_rebuild_keeps_what_old_events_do_not_tell() {
    let (dir, _conn) = old_installation();
    let desk = Desk::at(dir, |options| options).await;
    let before = dump(&desk.sql(), "model_calls");
    let rebuilt = desk.store.rebuild().await.unwrap();
    assert_eq!(rebuilt.calls, 4);
    assert_eq!(dump(&desk.sql(), "model_calls"), before);
    let one = desk
        .store
        .task(&ONE.parse().unwrap())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(one.status, TaskStatus::Succeeded);
    assert_eq!(one.title, "What is the capital of France?");
    // The second task has no TASK_CREATED and no transition: its row says what it said.
    let two = desk
        .store
        .task(&TWO.parse().unwrap())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (two.status, two.title.as_str()),
        (TaskStatus::Running, "old")
    );
    assert_eq!(
        two.pointers.latest_event_id.unwrap().as_str(),
        "01KJN4W000000000000000000C"
    );
}

#[tokio::test]
async fn events_that_can_not_be_read_are_counted_and_stop_nothing() {
    let (dir, conn) = old_installation();
    let mut event = old_events().remove(3);
    let mut insert = |seq: u64, event_type: EventType, payload: &str| {
        event.task_seq = seq;
        event.event_type = event_type;
        event.event_id = format!("bad-{seq}").parse().unwrap();
        insert_event(&conn, &event, payload);
    };
    insert(8, EventType::ModelCallStarted, r#"{"model_alias": "main"}"#);
    insert(
        9,
        EventType::ModelCallCompleted,
        r#"{"model_alias": "main", "cost_usd": -1}"#,
    );
    insert(10, EventType::ModelCallFailed, "no json at all");
    insert(
        11,
        EventType::StateTransition,
        r#"{"to_status": "DANCING"}"#,
    );
    let desk = Desk::at(dir, |options| options).await;
    let migrated = desk.store.migrated().unwrap();
    assert_eq!((migrated.calls, migrated.undecodable), (6, 4));
    let one: TaskId = ONE.parse().unwrap();
    let events = desk.store.events(&one, 0, 99).await.unwrap();
    assert_eq!(events.len(), 11, "they are handed on all the same");
    assert_eq!(events[9].payload, "no json at all");
    let calls = desk.store.calls(&one).await.unwrap();
    assert_eq!(
        calls[1].call_id.as_str(),
        "bad-8",
        "the unreadable end still ends its call"
    );
    assert_eq!(
        (calls[1].status, calls[1].cost),
        (CallStatus::Completed, None)
    );
    assert_eq!((calls[2].status, calls[2].cost), (CallStatus::Failed, None));
    assert_eq!(desk.store.open_calls().await.unwrap(), []);
}

#[tokio::test]
async fn an_event_whose_task_has_no_row_gets_one_in_a_rebuild() {
    let (dir, conn) = old_installation();
    conn.execute_batch("PRAGMA foreign_keys = OFF; DELETE FROM task_jobs; DELETE FROM artifacts; DELETE FROM tasks").unwrap();
    let desk = Desk::at(dir, |options| options).await;
    desk.store.rebuild().await.unwrap();
    let tasks = desk
        .store
        .tasks(TaskQuery {
            status: None,
            limit: 9,
        })
        .await
        .unwrap();
    assert_eq!(tasks.len(), 2);
    assert_eq!(tasks[1].status, TaskStatus::Succeeded);
    assert_eq!(tasks[0].status, TaskStatus::Created);
}
