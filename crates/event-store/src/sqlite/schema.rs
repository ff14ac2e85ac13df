//! The layout and how older databases come to it.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::failure::Failure;
use super::rebuild;
use crate::{Rebuilt, StoreError};

/// The layout that this version reads and writes, in `PRAGMA user_version`. Databases that the
/// Python version made say 0, as new files do.
pub(crate) const LAYOUT: i64 = 5;

/// The layout of existing installations: never renamed, never dropped, so that their own queries
/// keep working.
const BASE: &str = "
CREATE TABLE IF NOT EXISTS tasks (
    task_id    TEXT PRIMARY KEY,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    status     TEXT NOT NULL DEFAULT 'CREATED',
    title      TEXT NOT NULL DEFAULT '',
    thread_id  TEXT NOT NULL DEFAULT 'default',
    scope_id   TEXT NOT NULL DEFAULT '',
    requester  TEXT NOT NULL DEFAULT '{}',
    risk_level TEXT NOT NULL DEFAULT 'low',
    pointers   TEXT NOT NULL DEFAULT '{}'
);
CREATE INDEX IF NOT EXISTS idx_tasks_status ON tasks(status);
CREATE INDEX IF NOT EXISTS idx_tasks_thread_id ON tasks(thread_id);
CREATE INDEX IF NOT EXISTS idx_tasks_created_at ON tasks(created_at DESC);
CREATE TABLE IF NOT EXISTS events (
    event_id        TEXT PRIMARY KEY,
    task_id         TEXT NOT NULL,
    task_seq        INTEGER NOT NULL,
    ts              TEXT NOT NULL,
    type            TEXT NOT NULL,
    schema_version  INTEGER NOT NULL DEFAULT 1,
    actor           TEXT NOT NULL,
    payload         TEXT NOT NULL DEFAULT '{}',
    trace_id        TEXT NOT NULL DEFAULT '',
    span_id         TEXT NOT NULL DEFAULT '',
    parent_event_id TEXT,
    idempotency_key TEXT,
    FOREIGN KEY (task_id) REFERENCES tasks(task_id)
);
CREATE UNIQUE INDEX IF NOT EXISTS idx_events_task_seq ON events(task_id, task_seq);
CREATE INDEX IF NOT EXISTS idx_events_task_ts ON events(task_id, ts);
CREATE UNIQUE INDEX IF NOT EXISTS idx_events_idempotency_key
    ON events(idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE TABLE IF NOT EXISTS artifacts (
    artifact_id TEXT PRIMARY KEY,
    task_id     TEXT NOT NULL,
    ts          TEXT NOT NULL,
    name        TEXT NOT NULL,
    description TEXT NOT NULL DEFAULT '',
    parts       TEXT NOT NULL DEFAULT '[]',
    storage_ref TEXT,
    size        INTEGER NOT NULL DEFAULT 0,
    hash        TEXT NOT NULL DEFAULT '',
    version     INTEGER NOT NULL DEFAULT 1,
    FOREIGN KEY (task_id) REFERENCES tasks(task_id)
);
CREATE INDEX IF NOT EXISTS idx_artifacts_task_id ON artifacts(task_id);
";

/// Model calls, one row each: what costs are added up from. A projection like `tasks`.
const CALLS: &str = "
CREATE TABLE model_calls (
    call_id                 TEXT PRIMARY KEY,
    task_id                 TEXT NOT NULL,
    task_seq                INTEGER NOT NULL,
    started_at              TEXT NOT NULL,
    ended_at                TEXT,
    day                     TEXT NOT NULL,
    status                  TEXT NOT NULL,
    alias                   TEXT NOT NULL DEFAULT '',
    category                TEXT NOT NULL DEFAULT '',
    runtime_group           TEXT NOT NULL DEFAULT '',
    model                   TEXT NOT NULL DEFAULT '',
    provider                TEXT NOT NULL DEFAULT '',
    is_fallback             INTEGER NOT NULL DEFAULT 0,
    cost_pico               INTEGER NOT NULL DEFAULT 0,
    cost_unavailable        INTEGER NOT NULL DEFAULT 0,
    cost_unavailable_reason TEXT NOT NULL DEFAULT '',
    cost_source             TEXT NOT NULL DEFAULT 'none',
    drift                   INTEGER NOT NULL DEFAULT 0,
    prompt_tokens           INTEGER,
    completion_tokens       INTEGER,
    total_tokens            INTEGER,
    cached_tokens           INTEGER,
    cache_creation_tokens   INTEGER,
    reasoning_tokens        INTEGER,
    duration_ms             INTEGER,
    error_type              TEXT NOT NULL DEFAULT ''
);
CREATE INDEX idx_model_calls_task ON model_calls(task_id, task_seq);
CREATE INDEX idx_model_calls_started_at ON model_calls(started_at);
CREATE INDEX idx_model_calls_open ON model_calls(started_at) WHERE status = 'started';
";

/// Which calls' tokens were counted from the text. None were before this column.
const ESTIMATED: &str = "ALTER TABLE model_calls ADD COLUMN estimated INTEGER NOT NULL DEFAULT 0;";

/// How often a cost was corrected, and what was recorded first. None were before these columns.
const CORRECTIONS: &str = "
ALTER TABLE model_calls ADD COLUMN corrections INTEGER NOT NULL DEFAULT 0;
ALTER TABLE model_calls ADD COLUMN recorded_pico INTEGER NOT NULL DEFAULT 0;
ALTER TABLE model_calls ADD COLUMN recorded_unavailable INTEGER NOT NULL DEFAULT 0;
";

/// The order of the whole log, and how far its readers have come.
const LOG: &str = "
ALTER TABLE events ADD COLUMN position INTEGER;
UPDATE events SET position = rowid;
CREATE UNIQUE INDEX idx_events_position ON events(position);
CREATE TABLE log_cursors (
    reader   TEXT PRIMARY KEY,
    position INTEGER NOT NULL
) WITHOUT ROWID;
";

/// The layout that a database has.
pub(crate) fn layout(conn: &Connection) -> Result<i64, Failure> {
    let found = conn.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if found > LAYOUT {
        return Err(StoreError::TooNew {
            found,
            known: LAYOUT,
        }
        .into());
    }
    Ok(found)
}

/// Brings a database to today's layout; says what it read if it had to fill `model_calls`.
pub(crate) fn migrate(conn: &mut Connection, path: &Path) -> Result<Option<Rebuilt>, Failure> {
    let mut filled = None;
    if layout(conn)? < 1 {
        let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        tx.execute_batch(BASE)?;
        tx.pragma_update(None, "user_version", 1)?;
        tx.commit()?;
    }
    if layout(conn)? < 2 {
        let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        tx.execute_batch(CALLS)?;
        // Filling it needs all of today's columns.
        tx.execute_batch(ESTIMATED)?;
        tx.execute_batch(CORRECTIONS)?;
        let rebuilt = rebuild::calls(&tx)?;
        tx.pragma_update(None, "user_version", 4)?;
        tx.commit()?;
        tracing::info!(
            database = %path.display(),
            events = rebuilt.events,
            calls = rebuilt.calls,
            undecodable = rebuilt.undecodable,
            "database brought to today's layout"
        );
        filled = Some(rebuilt);
    }
    if layout(conn)? < 3 {
        let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        tx.execute_batch(ESTIMATED)?;
        tx.pragma_update(None, "user_version", 3)?;
        tx.commit()?;
    }
    if layout(conn)? < 4 {
        let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        tx.execute_batch(CORRECTIONS)?;
        tx.pragma_update(None, "user_version", 4)?;
        tx.commit()?;
    }
    if layout(conn)? < 5 {
        let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        tx.execute_batch(LOG)?;
        tx.pragma_update(None, "user_version", 5)?;
        tx.commit()?;
    }
    Ok(filled)
}
