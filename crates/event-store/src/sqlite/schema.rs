//! The layout and how older databases come to it.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::adopt;
use super::failure::Failure;
use super::rebuild;
use crate::{Rebuilt, StoreError};

/// The layout that this version reads and writes, in `PRAGMA user_version`. Databases that the
/// Python version made say 0, as new files do.
pub(crate) const LAYOUT: i64 = 9;

/// The last layout that projections changed with: from an older one, they are computed anew. It is enough to read.
pub(crate) const PROJECTED: i64 = 8;

/// The layout of existing installations: no table or column is ever renamed or dropped, so that their own queries
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

/// The order of the whole log, the chain of each task, sums, and how far readers of the log have come.
const LOG: &str = "
ALTER TABLE events ADD COLUMN position INTEGER;
ALTER TABLE events ADD COLUMN hash BLOB;
CREATE UNIQUE INDEX idx_events_position ON events(position);
ALTER TABLE tasks ADD COLUMN last_seq INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tasks ADD COLUMN chain BLOB;
CREATE TABLE log_cursors (
    reader   TEXT PRIMARY KEY,
    position INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE cost_sums (
    period                TEXT NOT NULL,
    scope                 TEXT NOT NULL,
    alias                 TEXT NOT NULL,
    category              TEXT NOT NULL,
    model                 TEXT NOT NULL,
    provider              TEXT NOT NULL,
    calls                 INTEGER NOT NULL,
    calls_without_cost    INTEGER NOT NULL,
    fallback_calls        INTEGER NOT NULL,
    failed_calls          INTEGER NOT NULL,
    drift_calls           INTEGER NOT NULL,
    estimated_calls       INTEGER NOT NULL,
    corrected_calls       INTEGER NOT NULL,
    cost_usd              INTEGER NOT NULL,
    cost_pico             INTEGER NOT NULL,
    recorded_usd          INTEGER NOT NULL,
    recorded_pico         INTEGER NOT NULL,
    prompt_tokens         INTEGER NOT NULL,
    completion_tokens     INTEGER NOT NULL,
    total_tokens          INTEGER NOT NULL,
    cached_tokens         INTEGER NOT NULL,
    cache_creation_tokens INTEGER NOT NULL,
    reasoning_tokens      INTEGER NOT NULL,
    PRIMARY KEY (period, scope, alias, category, model, provider)
) WITHOUT ROWID;
";

/// Tasks of a status by their creation: else the newest hundred of a million were found by sorting all of them. The
/// index keeps its name, so that the Python version does not make its own again.
const NEWEST_OF_STATUS: &str = "
DROP INDEX IF EXISTS idx_tasks_status;
CREATE INDEX idx_tasks_status ON tasks(status, created_at, task_id);
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

/// The steps from one layout to the next.
const STEPS: [&[&str]; 9] = [
    &[BASE],
    &[CALLS],
    &[ESTIMATED],
    &[CORRECTIONS],
    &[LOG],
    // A sum a day over all words: the rebuild from any layout before PROJECTED makes it.
    &[],
    // And so it makes the sums by alias.
    &[],
    // And those by alias and category, and by model and provider.
    &[],
    &[NEWEST_OF_STATUS],
];

/// Brings a database to today's layout, and events that another program wrote into the log; says what it
/// read if there was something to do.
pub(crate) fn migrate(conn: &mut Connection, path: &Path) -> Result<Option<Rebuilt>, Failure> {
    let found = layout(conn)?;
    let done = usize::try_from(found).unwrap_or(0);
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for step in STEPS.iter().skip(done).copied().flatten() {
        tx.execute_batch(step)?;
    }
    tx.pragma_update(None, "user_version", LAYOUT)?;
    let adopted = adopt::strangers(&tx)?;
    let rebuilt = if found < PROJECTED || adopted > 0 {
        Some(rebuild::calls(&tx)?)
    } else {
        None
    };
    tx.commit()?;
    if let Some(rebuilt) = rebuilt.filter(|rebuilt| rebuilt.events > 0) {
        tracing::info!(
            database = %path.display(),
            events = rebuilt.events,
            calls = rebuilt.calls,
            undecodable = rebuilt.undecodable,
            "database brought to today's layout"
        );
    }
    Ok(rebuilt)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_index_is_made_without_computing_everything_anew() {
        let mut conn = Connection::open_in_memory().unwrap();
        migrate(&mut conn, "memory".as_ref()).unwrap();
        let mut from = |layout: i64| {
            let older = format!(
                "PRAGMA user_version = {layout}; DROP INDEX idx_tasks_status;
                 CREATE INDEX idx_tasks_status ON tasks(status);"
            );
            conn.execute_batch(&older).unwrap();
            let rebuilt = migrate(&mut conn, "memory".as_ref()).unwrap();
            let index: String = conn
                .query_row(
                    "SELECT sql FROM sqlite_schema WHERE name = 'idx_tasks_status'",
                    [],
                    |row| row.get(0),
                )
                .unwrap();
            assert!(index.contains("created_at"), "{index}");
            rebuilt.is_some()
        };
        assert!(!from(PROJECTED));
        assert!(from(PROJECTED - 1));
    }
}
