//! Writes what was planned or recounted.

use event_payloads::{EventId, TaskCreated, TaskId, TaskStatus, Timestamp};
use rusqlite::{CachedStatement, Connection, named_params, params};

use super::failure::Failure;
use crate::books::call::CallRow;
use crate::books::chain::StoredEvent;
use crate::books::plan::Writes;
use crate::books::pointers::latest_alone;
use crate::books::stamp::Stamp;
use crate::books::sums::{Changes, dollars};
use crate::books::task::TaskRow;
use crate::prepared::PreparedArtifact;
use crate::rows::to_sql;
use crate::sql::{self, SUM_KEY, SUMS};
use crate::{Requester, StoreError, Tokens};

/// Tasks first: events refer to them.
pub(crate) fn write<T: AsRef<str>>(
    conn: &Connection,
    writes: &Writes,
    rows: impl IntoIterator<Item = StoredEvent<T>>,
) -> Result<(), Failure> {
    let mut tasks = Tasks::prepare(conn)?;
    for (task_id, task) in &writes.tasks {
        tasks.write(task_id, task)?;
    }
    events(conn, rows)?;
    for call in writes.calls.values() {
        self::call(conn, call)?;
    }
    sums(conn, &writes.sums)
}

pub(crate) fn events<T: AsRef<str>>(
    conn: &Connection,
    events: impl IntoIterator<Item = StoredEvent<T>>,
) -> Result<(), Failure> {
    let mut insert = conn.prepare_cached(
        "INSERT INTO events
             (event_id, task_id, task_seq, ts, type, schema_version, actor, payload, trace_id,
              span_id, parent_event_id, idempotency_key, position, hash)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
    )?;
    for event in events {
        insert.execute(params![
            event.event_id.as_ref(),
            event.task_id.as_ref(),
            event.task_seq,
            event.ts.as_ref(),
            event.event_type.as_ref(),
            event.schema_version,
            event.actor.as_ref(),
            event.payload.as_ref(),
            event.trace_id.as_ref(),
            event.span_id.as_ref(),
            event.parent_event_id.as_ref().map(T::as_ref),
            event.idempotency_key.as_ref().map(T::as_ref),
            event.position,
            event.hash.as_ref().map(|hash| &hash.0[..]),
        ])?;
    }
    Ok(())
}

/// Writes rows of tasks, with statements that are prepared once for many.
pub(crate) struct Tasks<'c> {
    conn: &'c Connection,
    whole: CachedStatement<'c>,
    status: CachedStatement<'c>,
    latest: CachedStatement<'c>,
    latest_alone: CachedStatement<'c>,
}

impl<'c> Tasks<'c> {
    pub(crate) fn prepare(conn: &'c Connection) -> Result<Self, Failure> {
        let whole = conn.prepare_cached(
            "INSERT INTO tasks (task_id, created_at, updated_at, status, title, thread_id, scope_id,
                                requester, risk_level, pointers, last_seq, chain)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?13, ?11, ?12)
             ON CONFLICT (task_id) DO UPDATE SET
                 created_at = excluded.created_at, updated_at = excluded.updated_at,
                 status = excluded.status, title = excluded.title,
                 thread_id = excluded.thread_id, scope_id = excluded.scope_id,
                 requester = excluded.requester, risk_level = excluded.risk_level,
                 pointers = json_set(CASE WHEN json_valid(pointers) THEN pointers ELSE '{}' END,
                                     '$.latest_event_id', ?10),
                 last_seq = excluded.last_seq, chain = excluded.chain",
        )?;
        let status = conn
            .prepare_cached("UPDATE tasks SET status = ?2 WHERE task_id = ?1 AND status <> ?2")?;
        let latest = conn.prepare_cached(
            "UPDATE tasks SET
                 updated_at = ?2, last_seq = ?4, chain = ?5,
                 pointers = json_set(CASE WHEN json_valid(pointers) THEN pointers ELSE '{}' END,
                                     '$.latest_event_id', ?3)
             WHERE task_id = ?1",
        )?;
        let latest_alone = conn.prepare_cached(
            "UPDATE tasks SET updated_at = ?2, last_seq = ?4, chain = ?5, pointers = ?3
             WHERE task_id = ?1",
        )?;
        Ok(Self {
            conn,
            whole,
            status,
            latest,
            latest_alone,
        })
    }

    /// What a task's events say of it. Columns that they do not speak of stay as they are.
    pub(crate) fn write(&mut self, task_id: &TaskId, task: &TaskRow) -> Result<(), Failure> {
        if let (Some(created), Some(status), Some(latest)) =
            (task.created.as_deref(), task.status, &task.latest)
        {
            return self.whole(task_id, task, created, status, latest);
        }
        if task.kept_status.is_none() {
            ensure(self.conn, task_id, task)?;
        }
        // Naming an indexed column alone makes SQLite write its index anew: only where it changes.
        if let Some(status) = task.status.filter(|_| task.status != task.kept_status) {
            self.status.execute([task_id.as_str(), status.as_str()])?;
        }
        let Some((updated_at, latest)) = &task.latest else {
            return chain(self.conn, task_id, task);
        };
        // Nearly always without a look at the pointers that there are: the bare row takes none.
        let (statement, latest) = if task.has_no_other_pointer {
            (&mut self.latest_alone, latest_alone(latest))
        } else {
            (&mut self.latest, latest.to_string())
        };
        statement.execute(params![
            task_id.as_str(),
            updated_at.to_string(),
            latest,
            to_sql(task.last_seq),
            &task.chain.0[..],
        ])?;
        Ok(())
    }

    /// A task exists from now on; in a rebuild, its row comes to say what its events say.
    fn whole(
        &mut self,
        task_id: &TaskId,
        task: &TaskRow,
        (created_at, created): &(Timestamp, TaskCreated),
        status: TaskStatus,
        (updated_at, latest): &(Timestamp, EventId),
    ) -> Result<(), Failure> {
        let requester = Requester {
            channel: created.channel.clone(),
            sender_id: created.sender_id.clone(),
        };
        self.whole.execute(params![
            task_id.as_str(),
            created_at.to_string(),
            updated_at.to_string(),
            status.as_str(),
            created.title,
            created.thread_id,
            created.scope_id,
            to_json(&requester)?,
            created.risk_level,
            latest.as_str(),
            to_sql(task.last_seq),
            &task.chain.0[..],
            latest_alone(latest),
        ])?;
        Ok(())
    }
}

/// The row of a task none of whose events can be read: the next one stands behind them all the same.
fn chain(conn: &Connection, task_id: &TaskId, task: &TaskRow) -> Result<(), Failure> {
    conn.prepare_cached("UPDATE tasks SET last_seq = ?2, chain = ?3 WHERE task_id = ?1")?
        .execute(params![
            task_id.as_str(),
            to_sql(task.last_seq),
            &task.chain.0[..]
        ])?;
    Ok(())
}

/// The row of a task whose first event is missing or can not be read: what is there stays.
fn ensure(conn: &Connection, task_id: &TaskId, task: &TaskRow) -> Result<(), Failure> {
    let Some(since) = task.since else {
        return Ok(());
    };
    conn.prepare_cached(
        "INSERT INTO tasks (task_id, created_at, updated_at) VALUES (?1, ?2, ?2)
         ON CONFLICT (task_id) DO NOTHING",
    )?
    .execute([task_id.as_str(), &since.to_string()])?;
    Ok(())
}

pub(crate) fn call(conn: &Connection, row: &CallRow) -> Result<(), Failure> {
    let call = &row.call;
    let count = |read: fn(&Tokens) -> u64| call.tokens.as_ref().map(read).map(to_sql);
    conn.prepare_cached(
        "INSERT INTO model_calls
             (call_id, task_id, task_seq, started_at, day, ended_at, status, alias, category,
              runtime_group, model, provider, is_fallback, cost_pico, cost_unavailable,
              cost_unavailable_reason, cost_source, drift, estimated, prompt_tokens,
              completion_tokens, total_tokens, cached_tokens, cache_creation_tokens,
              reasoning_tokens, duration_ms, error_type, corrections, recorded_pico,
              recorded_unavailable)
         VALUES (:call_id, :task_id, :task_seq, :started_at, :day, :ended_at, :status, :alias,
              :category, :runtime_group, :model, :provider, :is_fallback, :cost_pico,
              :cost_unavailable, :reason, :source, :drift, :estimated, :prompt, :completion, :total,
              :cached, :cache_creation, :reasoning, :duration_ms, :error_type, :corrections,
              :recorded_pico, :recorded_unavailable)
         ON CONFLICT (call_id) DO UPDATE SET
             ended_at = excluded.ended_at, status = excluded.status, alias = excluded.alias,
             category = excluded.category, runtime_group = excluded.runtime_group,
             model = excluded.model, provider = excluded.provider,
             is_fallback = excluded.is_fallback, cost_pico = excluded.cost_pico,
             cost_unavailable = excluded.cost_unavailable,
             cost_unavailable_reason = excluded.cost_unavailable_reason,
             cost_source = excluded.cost_source, drift = excluded.drift,
             estimated = excluded.estimated, prompt_tokens = excluded.prompt_tokens,
             completion_tokens = excluded.completion_tokens, total_tokens = excluded.total_tokens,
             cached_tokens = excluded.cached_tokens,
             cache_creation_tokens = excluded.cache_creation_tokens,
             reasoning_tokens = excluded.reasoning_tokens, duration_ms = excluded.duration_ms,
             error_type = excluded.error_type, corrections = excluded.corrections,
             recorded_pico = excluded.recorded_pico,
             recorded_unavailable = excluded.recorded_unavailable",
    )?
    .execute(named_params! {
        ":call_id": call.call_id.as_str(),
        ":task_id": call.task_id.as_str(),
        ":task_seq": to_sql(row.task_seq),
        ":started_at": call.started_at.to_string(),
        ":day": call.started_at.day(),
        ":ended_at": call.ended_at.map(|at| at.to_string()),
        ":status": call.status.as_str(),
        ":alias": call.alias,
        ":category": call.category,
        ":runtime_group": call.runtime_group,
        ":model": call.model,
        ":provider": call.provider,
        ":is_fallback": call.is_fallback,
        ":cost_pico": call.cost.map_or(0, event_payloads::Picodollars::get),
        ":cost_unavailable": row.has_no_cost(),
        ":reason": call.cost_unavailable_reason,
        ":source": call.cost_source.as_str(),
        ":drift": call.drift,
        ":estimated": call.estimated,
        ":prompt": count(|tokens| tokens.prompt),
        ":completion": count(|tokens| tokens.completion),
        ":total": count(|tokens| tokens.total),
        ":cached": count(|tokens| tokens.cached),
        ":cache_creation": count(|tokens| tokens.cache_creation),
        ":reasoning": count(|tokens| tokens.reasoning),
        ":duration_ms": call.duration_ms.map(to_sql),
        ":error_type": call.error_type,
        ":corrections": to_sql(row.corrections),
        ":recorded_pico": row.recorded_pico(),
        ":recorded_unavailable": row.recorded_has_no_cost(),
    })?;
    Ok(())
}

/// Adds changes to the rows of sums.
pub(crate) fn sums(conn: &Connection, changes: &Changes) -> Result<(), Failure> {
    if changes.0.is_empty() {
        return Ok(());
    }
    let mut statement = conn.prepare_cached(&add_sums())?;
    for (key, sums) in &changes.0 {
        let (cost_usd, cost_pico) = dollars(sums.cost);
        let (recorded_usd, recorded_pico) = dollars(sums.recorded_cost);
        let [prompt, completion, total, cached, cache_creation, reasoning] = sums.tokens;
        statement.execute(params![
            key.kind.as_str(),
            key.scope,
            key.alias,
            key.category,
            key.model,
            key.provider,
            sums.calls,
            sums.calls_without_cost,
            sums.fallback_calls,
            sums.failed_calls,
            sums.drift_calls,
            sums.estimated_calls,
            sums.corrected_calls,
            cost_usd,
            cost_pico,
            recorded_usd,
            recorded_pico,
            prompt,
            completion,
            total,
            cached,
            cache_creation,
            reasoning,
        ])?;
    }
    Ok(())
}

fn add_sums() -> String {
    let places: Vec<String> = (1..=SUMS.len() + 6)
        .map(|index| format!("?{index}"))
        .collect();
    format!(
        "INSERT INTO cost_sums ({SUM_KEY}, {}) VALUES ({})
         ON CONFLICT ({SUM_KEY}) DO UPDATE SET {}",
        SUMS.join(", "),
        places.join(", "),
        sql::added_sums()
    )
}

/// An artifact of a task that came with an event.
pub(crate) fn artifact(
    conn: &Connection,
    task_id: &TaskId,
    event: &Stamp,
    artifact: &PreparedArtifact,
) -> Result<(), Failure> {
    conn.prepare_cached(
        "INSERT INTO artifacts
             (artifact_id, task_id, ts, name, description, parts, storage_ref, size, hash)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?
    .execute(params![
        artifact.artifact_id.as_str(),
        task_id.as_str(),
        event.ts_text,
        artifact.name,
        artifact.description,
        to_json(&[&artifact.part])?,
        artifact.storage_ref,
        to_sql(artifact.size),
        artifact.hash,
    ])?;
    Ok(())
}

/// Our own structures as JSON: each has a JSON form.
fn to_json<T: serde::Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Database {
        source: std::sync::Arc::new(error),
    })
}
