//! Reading model calls and adding them up.

use event_payloads::{CostSource, Picodollars, TaskId};
use rusqlite::{Connection, Row, params_from_iter};

use super::failure::Failure;
use super::row::{self, from_sql};
use crate::{Call, CallStatus, CostQuery, CostRow, Dimension, OpenCall, StoreError, Tokens};

const CALL_COLUMNS: &str = "call_id, task_id, started_at, ended_at, status, alias, category, \
     runtime_group, model, provider, is_fallback, cost_pico, cost_unavailable, \
     cost_unavailable_reason, cost_source, drift, estimated, prompt_tokens, completion_tokens, total_tokens, \
     cached_tokens, cache_creation_tokens, reasoning_tokens, duration_ms, error_type, corrections, \
     recorded_pico, recorded_unavailable";

pub(crate) fn calls(conn: &Connection, task_id: &TaskId) -> Result<Vec<Call>, Failure> {
    let sql =
        format!("SELECT {CALL_COLUMNS} FROM model_calls WHERE task_id = ?1 ORDER BY task_seq");
    row::all(conn, &sql, [task_id.as_str()], call)
}

fn call(row: &Row<'_>) -> Result<Call, StoreError> {
    row::named(row, "model call", "call_id", |row| {
        let status = match row.get::<_, String>("status")?.as_str() {
            "completed" => CallStatus::Completed,
            "failed" => CallStatus::Failed,
            _ => CallStatus::Started,
        };
        let ended_at: Option<String> = row.get("ended_at")?;
        let known = status != CallStatus::Started && !row.get::<_, bool>("cost_unavailable")?;
        let pico = Picodollars::new(row.get("cost_pico")?);
        let duration: Option<i64> = row.get("duration_ms")?;
        Ok(Call {
            call_id: row::parsed(row, "call_id")?,
            task_id: row::parsed(row, "task_id")?,
            started_at: row::moment(row, "started_at")?,
            ended_at: ended_at.map(|_| row::moment(row, "ended_at")).transpose()?,
            status,
            alias: row.get("alias")?,
            category: row.get("category")?,
            runtime_group: row.get("runtime_group")?,
            model: row.get("model")?,
            provider: row.get("provider")?,
            is_fallback: row.get("is_fallback")?,
            cost: known.then_some(pico),
            cost_unavailable_reason: row.get("cost_unavailable_reason")?,
            cost_source: source(&row.get::<_, String>("cost_source")?),
            drift: row.get("drift")?,
            recorded: recorded(row)?,
            estimated: row.get("estimated")?,
            tokens: tokens(row)?,
            duration_ms: duration.map(from_sql),
            error_type: row.get("error_type")?,
        })
    })
}

fn recorded(row: &Row<'_>) -> rusqlite::Result<Option<Option<Picodollars>>> {
    if row.get::<_, i64>("corrections")? == 0 {
        return Ok(None);
    }
    let pico = Picodollars::new(row.get("recorded_pico")?);
    let known = !row.get::<_, bool>("recorded_unavailable")?;
    Ok(Some(known.then_some(pico)))
}

fn source(word: &str) -> CostSource {
    [
        CostSource::Proxy,
        CostSource::PriceBook,
        CostSource::Override,
    ]
    .into_iter()
    .find(|source| source.as_str() == word)
    .unwrap_or(CostSource::None)
}

fn tokens(row: &Row<'_>) -> rusqlite::Result<Option<Tokens>> {
    let count = |column: &str| row.get::<_, Option<i64>>(column);
    let Some(prompt) = count("prompt_tokens")? else {
        return Ok(None);
    };
    let count = |column: &str| count(column).map(|count| count.map_or(0, from_sql));
    Ok(Some(Tokens {
        prompt: from_sql(prompt),
        completion: count("completion_tokens")?,
        total: count("total_tokens")?,
        cached: count("cached_tokens")?,
        cache_creation: count("cache_creation_tokens")?,
        reasoning: count("reasoning_tokens")?,
    }))
}

const OPEN_COLUMNS: &str = "call_id, task_id, started_at, alias, category, runtime_group";

pub(crate) fn open_calls(conn: &Connection) -> Result<Vec<OpenCall>, Failure> {
    let sql = format!(
        "SELECT {OPEN_COLUMNS} FROM model_calls WHERE status = 'started'
         ORDER BY started_at, call_id"
    );
    row::all(conn, &sql, [], open_call)
}

/// The open calls that started at or before a position of the log.
pub(crate) fn orphans(conn: &Connection, until: u64) -> Result<Vec<OpenCall>, Failure> {
    let sql = format!(
        "SELECT {OPEN_COLUMNS} FROM model_calls WHERE status = 'started'
           AND coalesce((SELECT position FROM events WHERE event_id = call_id), 0) <= ?1
         ORDER BY started_at, call_id"
    );
    row::all(conn, &sql, [row::to_sql(until)], open_call)
}

fn open_call(row: &Row<'_>) -> Result<OpenCall, StoreError> {
    row::named(row, "model call", "call_id", |row| {
        Ok(OpenCall {
            call_id: row::parsed(row, "call_id")?,
            task_id: row::parsed(row, "task_id")?,
            started_at: row::moment(row, "started_at")?,
            alias: row.get("alias")?,
            category: row.get("category")?,
            runtime_group: row.get("runtime_group")?,
        })
    })
}

/// The sums, in the order in which [`sums`] reads them.
const SUMS: &str = "count(*), coalesce(sum(status = 'started'), 0), \
     coalesce(sum(cost_unavailable), 0), coalesce(sum(is_fallback), 0), \
     coalesce(sum(status = 'failed'), 0), coalesce(sum(drift), 0), coalesce(sum(cost_pico), 0), \
     coalesce(sum(prompt_tokens), 0), coalesce(sum(completion_tokens), 0), \
     coalesce(sum(total_tokens), 0), coalesce(sum(cached_tokens), 0), \
     coalesce(sum(cache_creation_tokens), 0), coalesce(sum(reasoning_tokens), 0), \
     coalesce(sum(estimated), 0), coalesce(sum(corrections > 0), 0), \
     coalesce(sum(CASE corrections WHEN 0 THEN cost_pico ELSE recorded_pico END), 0)";

/// `SUM` over integers is exact in SQLite, and fails instead of wrapping when it overflows.
pub(crate) fn rollup(conn: &Connection, query: &CostQuery) -> Result<Vec<CostRow>, Failure> {
    let mut conditions: Vec<&str> = Vec::new();
    let mut values: Vec<String> = Vec::new();
    let mut only = |condition, value: Option<String>| {
        if let Some(value) = value {
            conditions.push(condition);
            values.push(value);
        }
    };
    only("started_at >= ?", query.from.map(|from| from.to_string()));
    only("started_at < ?", query.to.map(|to| to.to_string()));
    only("task_id = ?", query.task.as_ref().map(ToString::to_string));
    let mut sql = format!("SELECT {SUMS}");
    let columns: Vec<&str> = query.group_by.iter().map(|each| column(*each)).collect();
    for column in &columns {
        sql = format!("{sql}, {column}");
    }
    sql.push_str(" FROM model_calls");
    if !conditions.is_empty() {
        sql = format!("{sql} WHERE {}", conditions.join(" AND "));
    }
    if !columns.is_empty() {
        let columns = columns.join(", ");
        sql = format!("{sql} GROUP BY {columns} ORDER BY {columns}");
    }
    let read = |row: &Row<'_>| sums(row, &query.group_by).map_err(Failure::from);
    row::all(conn, &sql, params_from_iter(values), |row| {
        read(row).map_err(StoreError::from)
    })
}

const fn column(dimension: Dimension) -> &'static str {
    match dimension {
        Dimension::Day => "day",
        Dimension::Alias => "alias",
        Dimension::Category => "category",
        Dimension::Model => "model",
        Dimension::Provider => "provider",
    }
}

fn sums(row: &Row<'_>, group_by: &[Dimension]) -> rusqlite::Result<CostRow> {
    const KEY: usize = 16;
    let count = |index: usize| row.get(index).map(from_sql);
    Ok(CostRow {
        calls: count(0)?,
        open_calls: count(1)?,
        calls_without_cost: count(2)?,
        fallback_calls: count(3)?,
        failed_calls: count(4)?,
        drift_calls: count(5)?,
        cost: Picodollars::new(row.get(6)?),
        tokens: Tokens {
            prompt: count(7)?,
            completion: count(8)?,
            total: count(9)?,
            cached: count(10)?,
            cache_creation: count(11)?,
            reasoning: count(12)?,
        },
        estimated_calls: count(13)?,
        corrected_calls: count(14)?,
        recorded_cost: Picodollars::new(row.get(15)?),
        key: group_by
            .iter()
            .enumerate()
            .map(|(index, dimension)| Ok((*dimension, row.get(KEY + index)?)))
            .collect::<rusqlite::Result<_>>()?,
    })
}
