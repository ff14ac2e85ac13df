//! `model_calls`: how events become rows of it.

use event_payloads::{
    Cost, CostCorrected, CostSource, Event, EventId, EventType, Payload, TaskId, TokenUsage,
};
use rusqlite::{Connection, OptionalExtension, named_params, params};
use serde_json::Value;

use super::failure::Failure;
use super::row::to_sql;
use crate::{CallStatus, Tokens};

/// More tokens than any call has: an absurd answer must not make sums overflow.
const MAX_TOKENS: u64 = 1 << 40;

/// What the end of a call says about it.
#[derive(Debug, Default)]
pub(crate) struct Ending {
    failed: bool,
    alias: String,
    category: String,
    runtime_group: String,
    model: String,
    provider: String,
    is_fallback: bool,
    cost_pico: i64,
    cost_unavailable: bool,
    reason: String,
    source: CostSource,
    drift: bool,
    estimated: bool,
    tokens: Option<Tokens>,
    duration_ms: u64,
    error_type: String,
}

impl Ending {
    /// The ending that an event is, if it is one. `payload` is `None` where it has another shape: the
    /// call has ended all the same, at a cost that nobody can tell.
    pub(crate) fn of(event: &Event, payload: Option<&Payload>) -> Option<Self> {
        let failed = match event.event_type {
            EventType::ModelCallCompleted => false,
            EventType::ModelCallFailed => true,
            _ => return None,
        };
        Some(match payload {
            Some(Payload::ModelCallCompleted(call)) => Self {
                alias: call.model_alias.clone(),
                category: call.category.clone(),
                runtime_group: call.runtime_group.clone(),
                model: call.model_name.clone(),
                provider: call.provider.clone(),
                is_fallback: call.is_fallback,
                estimated: call.usage_is_estimated,
                tokens: call.token_usage.as_ref().map(tokens),
                duration_ms: call.duration_ms,
                ..Self::default()
            }
            .at_cost(&stated_cost(event, call.cost())),
            Some(Payload::ModelCallFailed(call)) => Self {
                failed,
                alias: call.model_alias.clone(),
                category: call.category.clone(),
                runtime_group: call.runtime_group.clone(),
                model: call.model_name.clone(),
                provider: call.provider.clone(),
                is_fallback: call.is_fallback,
                estimated: call.usage_is_estimated,
                tokens: call.token_usage.as_ref().map(tokens),
                duration_ms: call.duration_ms,
                error_type: call.error_type.clone(),
                ..Self::default()
            }
            .at_cost(&call.cost()),
            _ => Self {
                failed,
                alias: text(&event.payload, "model_alias"),
                ..Self::default()
            }
            .at_cost(&Cost::Unavailable("its event can not be read".to_owned())),
        })
    }

    fn at_cost(mut self, cost: &Cost) -> Self {
        self.source = cost.source();
        match cost {
            Cost::Known { usd, drift, .. } => {
                self.cost_pico = usd.to_picodollars().get();
                self.drift = drift.is_some();
            }
            Cost::Unavailable(reason) => {
                self.cost_unavailable = true;
                self.reason.clone_from(reason);
            }
        }
        self
    }

    const fn status(&self) -> CallStatus {
        if self.failed {
            CallStatus::Failed
        } else {
            CallStatus::Completed
        }
    }
}

/// An answer whose event says nothing about a cost was recorded before costs were: not known, and
/// not the zero that the missing fields default to.
fn stated_cost(event: &Event, cost: Cost) -> Cost {
    let stated = |field| event.payload.get(field).is_some();
    if stated("cost_usd") || stated("cost_unavailable") {
        return cost;
    }
    Cost::Unavailable("recorded before costs were".to_owned())
}

fn tokens(usage: &TokenUsage) -> Tokens {
    let cache_creation = usage
        .cache_creation_5m_tokens
        .saturating_add(usage.cache_creation_1h_tokens);
    Tokens {
        prompt: usage.prompt_tokens.min(MAX_TOKENS),
        completion: usage.completion_tokens.min(MAX_TOKENS),
        total: usage.total_tokens.min(MAX_TOKENS),
        cached: usage.cached_tokens.min(MAX_TOKENS),
        cache_creation: cache_creation.min(MAX_TOKENS),
        reasoning: usage.reasoning_tokens.min(MAX_TOKENS),
    }
}

fn text(payload: &Value, field: &str) -> String {
    payload
        .get(field)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

/// A call begins.
pub(crate) fn start(conn: &Connection, event: &Event) -> Result<(), Failure> {
    conn.prepare_cached(
        "INSERT INTO model_calls
             (call_id, task_id, task_seq, started_at, day, status, alias, category, runtime_group)
         VALUES (?1, ?2, ?3, ?4, ?5, 'started', ?6, ?7, ?8)",
    )?
    .execute(params![
        event.event_id.as_str(),
        event.task_id.as_str(),
        to_sql(event.task_seq),
        event.ts.to_string(),
        event.ts.day(),
        text(&event.payload, "model_alias"),
        text(&event.payload, "category"),
        text(&event.payload, "runtime_group"),
    ])?;
    Ok(())
}

/// Where a call of a task stands: `None` if it has no such call.
pub(crate) fn is_open(
    conn: &Connection,
    task_id: &TaskId,
    call_id: &EventId,
) -> Result<Option<bool>, Failure> {
    let open = conn
        .prepare_cached(
            "SELECT status = 'started' FROM model_calls WHERE call_id = ?1 AND task_id = ?2",
        )?
        .query_row([call_id.as_str(), task_id.as_str()], |row| row.get(0))
        .optional()?;
    Ok(open)
}

/// The open call of a task that began first: the one that an end without a parent belongs to.
pub(crate) fn oldest_open(conn: &Connection, task_id: &TaskId) -> Result<Option<String>, Failure> {
    let call_id = conn
        .prepare_cached(
            "SELECT call_id FROM model_calls WHERE task_id = ?1 AND status = 'started'
             ORDER BY task_seq LIMIT 1",
        )?
        .query_row([task_id.as_str()], |row| row.get(0))
        .optional()?;
    Ok(call_id)
}

/// A call that the log has only the end of gets its row from that.
pub(crate) fn start_at_end(conn: &Connection, event: &Event) -> Result<(), Failure> {
    conn.prepare_cached(
        "INSERT INTO model_calls (call_id, task_id, task_seq, started_at, day, status)
         VALUES (?1, ?2, ?3, ?4, ?5, 'started')",
    )?
    .execute(params![
        event.event_id.as_str(),
        event.task_id.as_str(),
        to_sql(event.task_seq),
        event.ts.to_string(),
        event.ts.day(),
    ])?;
    Ok(())
}

/// A call ends.
pub(crate) fn end(
    conn: &Connection,
    call_id: &str,
    event: &Event,
    ending: &Ending,
) -> Result<(), Failure> {
    let count = |read: fn(&Tokens) -> u64| ending.tokens.as_ref().map(read).map(to_sql);
    conn.prepare_cached(
        "UPDATE model_calls SET
             ended_at = :ended_at, status = :status, model = :model, provider = :provider,
             alias = CASE alias WHEN '' THEN :alias ELSE alias END,
             category = CASE :category WHEN '' THEN category ELSE :category END,
             runtime_group = CASE :runtime_group WHEN '' THEN runtime_group ELSE :runtime_group END,
             is_fallback = :is_fallback, cost_pico = :cost_pico,
             cost_unavailable = :cost_unavailable, cost_unavailable_reason = :reason,
             cost_source = :source, drift = :drift, estimated = :estimated, prompt_tokens = :prompt,
             completion_tokens = :completion, total_tokens = :total, cached_tokens = :cached,
             cache_creation_tokens = :cache_creation, reasoning_tokens = :reasoning,
             duration_ms = :duration_ms, error_type = :error_type
         WHERE call_id = :call_id",
    )?
    .execute(named_params! {
        ":call_id": call_id,
        ":ended_at": event.ts.to_string(),
        ":status": ending.status().as_str(),
        ":model": ending.model,
        ":provider": ending.provider,
        ":alias": ending.alias,
        ":category": ending.category,
        ":runtime_group": ending.runtime_group,
        ":is_fallback": ending.is_fallback,
        ":cost_pico": ending.cost_pico,
        ":cost_unavailable": ending.cost_unavailable,
        ":reason": ending.reason,
        ":source": ending.source.as_str(),
        ":drift": ending.drift,
        ":estimated": ending.estimated,
        ":prompt": count(|tokens| tokens.prompt),
        ":completion": count(|tokens| tokens.completion),
        ":total": count(|tokens| tokens.total),
        ":cached": count(|tokens| tokens.cached),
        ":cache_creation": count(|tokens| tokens.cache_creation),
        ":reasoning": count(|tokens| tokens.reasoning),
        ":duration_ms": to_sql(ending.duration_ms),
        ":error_type": ending.error_type,
    })?;
    Ok(())
}

/// The cost of a call that has ended is said again; what was recorded first stays beside it.
pub(crate) fn correct(
    conn: &Connection,
    task_id: &TaskId,
    correction: &CostCorrected,
) -> Result<(), Failure> {
    conn.prepare_cached(
        "UPDATE model_calls SET
             recorded_pico = CASE corrections WHEN 0 THEN cost_pico ELSE recorded_pico END,
             recorded_unavailable =
                 CASE corrections WHEN 0 THEN cost_unavailable ELSE recorded_unavailable END,
             corrections = corrections + 1, cost_pico = ?3, cost_source = ?4,
             cost_unavailable = 0, cost_unavailable_reason = ''
         WHERE call_id = ?1 AND task_id = ?2 AND status <> 'started'",
    )?
    .execute(params![
        correction.call_id.as_str(),
        task_id.as_str(),
        correction.cost_usd.to_picodollars().get(),
        correction.cost_source.as_str(),
    ])?;
    Ok(())
}
