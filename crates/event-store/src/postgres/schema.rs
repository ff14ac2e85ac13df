//! The layout, and who makes it.

use tokio_postgres::Client;

use super::facts::LOCK;
use super::failure::Failure;
use crate::StoreError;

/// The layout that this version reads and writes, in `octo_layout`.
pub(crate) const LAYOUT: i64 = 5;

/// The tables of the SQLite layout, with the same names. What is compared or sorted has the collation
/// `C`, so that both databases sort alike. Times and JSON are the texts that were recorded: the hash chain
/// is over these texts.
///
/// There are no foreign keys: all writes are planned in one place, and each key would cost a lock on the
/// task's row for every event.
const FIRST: &str = r#"
CREATE TABLE tasks (
    task_id    TEXT COLLATE "C" PRIMARY KEY,
    created_at TEXT COLLATE "C" NOT NULL,
    updated_at TEXT COLLATE "C" NOT NULL,
    status     TEXT COLLATE "C" NOT NULL DEFAULT 'CREATED',
    title      TEXT NOT NULL DEFAULT '',
    thread_id  TEXT COLLATE "C" NOT NULL DEFAULT 'default',
    scope_id   TEXT COLLATE "C" NOT NULL DEFAULT '',
    requester  TEXT NOT NULL DEFAULT '{}',
    risk_level TEXT NOT NULL DEFAULT 'low',
    pointers   TEXT NOT NULL DEFAULT '{}',
    last_seq   BIGINT NOT NULL DEFAULT 0,
    chain      BYTEA,
    owner      TEXT COLLATE "C"
) WITH (fillfactor = 70);
CREATE INDEX idx_tasks_created_at ON tasks (created_at, task_id);
CREATE INDEX idx_tasks_status ON tasks (status, created_at, task_id);
CREATE INDEX idx_tasks_thread_id ON tasks (thread_id);
CREATE TABLE events (
    event_id        TEXT COLLATE "C" PRIMARY KEY,
    task_id         TEXT COLLATE "C" NOT NULL,
    task_seq        BIGINT NOT NULL,
    ts              TEXT COLLATE "C" NOT NULL,
    type            TEXT COLLATE "C" NOT NULL,
    schema_version  BIGINT NOT NULL DEFAULT 1,
    actor           TEXT NOT NULL,
    payload         TEXT NOT NULL DEFAULT '{}',
    trace_id        TEXT NOT NULL DEFAULT '',
    span_id         TEXT NOT NULL DEFAULT '',
    parent_event_id TEXT COLLATE "C",
    idempotency_key TEXT COLLATE "C",
    position        BIGINT,
    hash            BYTEA
);
CREATE UNIQUE INDEX idx_events_task_seq ON events (task_id, task_seq);
CREATE UNIQUE INDEX idx_events_position ON events (position);
CREATE UNIQUE INDEX idx_events_idempotency_key
    ON events (idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE TABLE artifacts (
    artifact_id TEXT COLLATE "C" PRIMARY KEY,
    task_id     TEXT COLLATE "C" NOT NULL,
    ts          TEXT COLLATE "C" NOT NULL,
    name        TEXT NOT NULL,
    description TEXT NOT NULL DEFAULT '',
    parts       TEXT NOT NULL DEFAULT '[]',
    storage_ref TEXT,
    size        BIGINT NOT NULL DEFAULT 0,
    hash        TEXT NOT NULL DEFAULT '',
    version     BIGINT NOT NULL DEFAULT 1
);
CREATE INDEX idx_artifacts_task_id ON artifacts (task_id);
CREATE TABLE artifact_contents (
    artifact_id TEXT COLLATE "C" PRIMARY KEY,
    content     BYTEA NOT NULL
);
CREATE TABLE model_calls (
    call_id                 TEXT COLLATE "C" PRIMARY KEY,
    task_id                 TEXT COLLATE "C" NOT NULL,
    task_seq                BIGINT NOT NULL,
    started_at              TEXT COLLATE "C" NOT NULL,
    ended_at                TEXT COLLATE "C",
    day                     TEXT COLLATE "C" NOT NULL,
    status                  TEXT COLLATE "C" NOT NULL,
    alias                   TEXT COLLATE "C" NOT NULL DEFAULT '',
    category                TEXT COLLATE "C" NOT NULL DEFAULT '',
    runtime_group           TEXT NOT NULL DEFAULT '',
    model                   TEXT COLLATE "C" NOT NULL DEFAULT '',
    provider                TEXT COLLATE "C" NOT NULL DEFAULT '',
    is_fallback             INTEGER NOT NULL DEFAULT 0,
    cost_pico               BIGINT NOT NULL DEFAULT 0,
    cost_unavailable        INTEGER NOT NULL DEFAULT 0,
    cost_unavailable_reason TEXT NOT NULL DEFAULT '',
    cost_source             TEXT NOT NULL DEFAULT 'none',
    drift                   INTEGER NOT NULL DEFAULT 0,
    estimated               INTEGER NOT NULL DEFAULT 0,
    prompt_tokens           BIGINT,
    completion_tokens       BIGINT,
    total_tokens            BIGINT,
    cached_tokens           BIGINT,
    cache_creation_tokens   BIGINT,
    reasoning_tokens        BIGINT,
    duration_ms             BIGINT,
    error_type              TEXT NOT NULL DEFAULT '',
    corrections             BIGINT NOT NULL DEFAULT 0,
    recorded_pico           BIGINT NOT NULL DEFAULT 0,
    recorded_unavailable    INTEGER NOT NULL DEFAULT 0,
    owner                   TEXT COLLATE "C"
) WITH (fillfactor = 80);
CREATE INDEX idx_model_calls_task ON model_calls (task_id, task_seq);
CREATE INDEX idx_model_calls_started_at ON model_calls (started_at);
CREATE INDEX idx_model_calls_open ON model_calls (started_at, call_id) WHERE status = 'started';
CREATE TABLE cost_sums (
    period                TEXT COLLATE "C" NOT NULL,
    scope                 TEXT COLLATE "C" NOT NULL,
    alias                 TEXT COLLATE "C" NOT NULL,
    category              TEXT COLLATE "C" NOT NULL,
    model                 TEXT COLLATE "C" NOT NULL,
    provider              TEXT COLLATE "C" NOT NULL,
    calls                 BIGINT NOT NULL,
    calls_without_cost    BIGINT NOT NULL,
    fallback_calls        BIGINT NOT NULL,
    failed_calls          BIGINT NOT NULL,
    drift_calls           BIGINT NOT NULL,
    estimated_calls       BIGINT NOT NULL,
    corrected_calls       BIGINT NOT NULL,
    cost_usd              BIGINT NOT NULL,
    cost_pico             BIGINT NOT NULL,
    recorded_usd          BIGINT NOT NULL,
    recorded_pico         BIGINT NOT NULL,
    prompt_tokens         BIGINT NOT NULL,
    completion_tokens     BIGINT NOT NULL,
    total_tokens          BIGINT NOT NULL,
    cached_tokens         BIGINT NOT NULL,
    cache_creation_tokens BIGINT NOT NULL,
    reasoning_tokens      BIGINT NOT NULL,
    PRIMARY KEY (period, scope, alias, category, model, provider)
) WITH (fillfactor = 70);
CREATE TABLE log_cursors (
    reader   TEXT COLLATE "C" PRIMARY KEY,
    position BIGINT NOT NULL
);
-- The programs that use this database, and until when each counts as alive: by the server's clock alone.
CREATE TABLE gateways (
    gateway_id TEXT COLLATE "C" PRIMARY KEY,
    since      TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL,
    host       TEXT NOT NULL,
    pid        BIGINT NOT NULL
) WITH (fillfactor = 50);
"#;

/// Makes sums that tell less apart from those that there are: what they are over, and from which. In the
/// columns of their time, whatever later layouts add.
macro_rules! coarser {
    ($over:literal from $rows:literal) => {
        concat!(
            "INSERT INTO cost_sums (period, scope, alias, category, model, provider,
                 calls, calls_without_cost, fallback_calls, failed_calls, drift_calls,
                 estimated_calls, corrected_calls, cost_usd, cost_pico, recorded_usd, recorded_pico,
                 prompt_tokens, completion_tokens, total_tokens, cached_tokens,
                 cache_creation_tokens, reasoning_tokens)
             SELECT ",
            $over,
            ",
                 sum(calls), sum(calls_without_cost), sum(fallback_calls), sum(failed_calls), sum(drift_calls),
                 sum(estimated_calls), sum(corrected_calls), sum(cost_usd), sum(cost_pico), sum(recorded_usd),
                 sum(recorded_pico),
                 sum(prompt_tokens), sum(completion_tokens), sum(total_tokens), sum(cached_tokens),
                 sum(cache_creation_tokens), sum(reasoning_tokens)
             FROM cost_sums WHERE ",
            $rows
        )
    };
}

/// A sum a day over all words, from those that there were.
const DAY_TOTAL: &str =
    coarser!("'day_total', scope, '', '', '', ''" from "period = 'day' GROUP BY scope");

/// For how long each program wants to count as alive after it was last heard of, in seconds; and what recovery
/// looks at: its question has the same condition, see `lease.rs`.
const RECOVERY: &str = r#"
ALTER TABLE gateways ADD COLUMN lease DOUBLE PRECISION NOT NULL DEFAULT 15;
CREATE INDEX idx_tasks_unfinished ON tasks (created_at, task_id)
    WHERE status IN ('CREATED', 'RUNNING') AND requester NOT LIKE '{"channel":"v1-session"%';
"#;

/// Sums of months, days and hours by alias alone, from those by every word.
const BY_ALIAS: &str = coarser!(
    "period || '_alias', scope, alias, '', '', ''"
    from "period IN ('month', 'day', 'hour') GROUP BY period, scope, alias"
);

/// The sums by alias also tell categories apart; and likewise there are some by model and provider.
const BY_PAIRS: &str = concat!(
    "DELETE FROM cost_sums WHERE period IN ('month_alias', 'day_alias', 'hour_alias');",
    coarser!(
        "period || '_alias', scope, alias, category, '', ''"
        from "period IN ('month', 'day', 'hour') GROUP BY period, scope, alias, category;"
    ),
    coarser!(
        "period || '_model', scope, '', '', model, provider"
        from "period IN ('month', 'day', 'hour') GROUP BY period, scope, model, provider"
    )
);

/// The steps from one layout to the next.
const STEPS: [&str; 5] = [FIRST, DAY_TOTAL, RECOVERY, BY_ALIAS, BY_PAIRS];

/// Names the lock under which a layout is made. `octo` in ASCII, and a number.
const MIGRATION_LOCK: i64 = 0x6f63_746f_0000_0001;

/// The layout of a database that has the table for it.
pub(crate) const FOUND: &str = "SELECT coalesce(max(version), 0) FROM octo_layout";

/// The layout that a database has; 0 if it is empty.
pub(crate) async fn layout(client: &Client) -> Result<i64, Failure> {
    // Not `to_regclass`: inside a transaction that waited for another's tables it remembers that there were
    // none.
    let sql = "SELECT EXISTS (SELECT 1 FROM pg_class
                   WHERE relname = 'octo_layout' AND pg_table_is_visible(oid))";
    let found = client.query_one(sql, &[]).await?;
    if !found.try_get::<_, bool>(0)? {
        return Ok(0);
    }
    let found = client.query_one(FOUND, &[]).await?;
    let found: i64 = found.try_get(0)?;
    refuse_newer(found)?;
    Ok(found)
}

/// Refuses a layout that this version does not know.
pub(crate) const fn refuse_newer(found: i64) -> Result<(), StoreError> {
    if found > LAYOUT {
        return Err(StoreError::TooNew {
            found,
            known: LAYOUT,
        });
    }
    Ok(())
}

/// Brings a database to today's layout. Of several programs that start at once, one does it and the
/// others wait.
pub(crate) async fn migrate(client: &Client, server: &str) -> Result<(), Failure> {
    fit(client, server).await?;
    if layout(client).await? == LAYOUT {
        return Ok(());
    }
    client.batch_execute("BEGIN").await?;
    let done = steps(client).await;
    // After an error the transaction can only be rolled back, and so it is.
    let end = if done.is_ok() { "COMMIT" } else { "ROLLBACK" };
    let ended = client.batch_execute(end).await;
    done?;
    Ok(ended?)
}

async fn steps(client: &Client) -> Result<(), Failure> {
    let lock = format!("SELECT pg_advisory_xact_lock({MIGRATION_LOCK})");
    client.batch_execute(&lock).await?;
    // Another program may have done it while this one waited.
    let found = layout(client).await?;
    if found == LAYOUT {
        return Ok(());
    }
    // No commit may come between what a step reads and what it writes; those that come after it are of
    // programs that know the layout, or are refused.
    client.batch_execute(LOCK).await?;
    if found == 0 {
        let sql = "CREATE TABLE octo_layout (version BIGINT NOT NULL)";
        client.batch_execute(sql).await?;
    }
    for step in STEPS.iter().skip(usize::try_from(found).unwrap_or(0)) {
        client.batch_execute(step).await?;
    }
    let sql = format!("DELETE FROM octo_layout; INSERT INTO octo_layout VALUES ({LAYOUT})");
    client.batch_execute(&sql).await?;
    tracing::info!(layout = LAYOUT, "database brought to today's layout");
    Ok(())
}

/// Refuses a database that would change what is recorded, and warns of one that may lose it.
async fn fit(client: &Client, server: &str) -> Result<(), Failure> {
    let sql = "SELECT current_setting('server_encoding'), current_setting('fsync')";
    let settings = client.query_one(sql, &[]).await?;
    let (encoding, fsync): (String, String) = (settings.try_get(0)?, settings.try_get(1)?);
    if encoding != "UTF8" {
        let server = server.to_owned();
        let problem = format!(
            "its encoding is {encoding}, make one with `CREATE DATABASE … ENCODING 'UTF8'`"
        );
        return Err(StoreError::Unusable { server, problem }.into());
    }
    if fsync == "off" {
        tracing::warn!(
            server,
            "the database server has fsync off: a power loss loses what was recorded"
        );
    }
    Ok(())
}
