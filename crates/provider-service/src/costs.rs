//! What was spent, by whom and on what: the store's sums in the shape that people and programs read.

use event_payloads::{CostSource, EventId, Picodollars, TaskId, Timestamp, Usd};
use event_store::{Call, CallStatus, CostQuery, CostRow, Dimension, EventStore, StoreError};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

/// Sums over a number of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct CostSum {
    /// What the calls with a known cost add up to, in USD. A lower bound while any of
    /// `calls_without_cost` and `open_calls` is not 0.
    pub cost_usd: Usd,
    /// Calls, ended or not.
    pub calls: u64,
    /// Of those: not ended yet.
    pub open_calls: u64,
    /// Of those: ended, and nobody knows what they cost.
    pub calls_without_cost: u64,
    /// Of those: ended without an answer.
    pub failed_calls: u64,
    /// Of those: answered by the fallback.
    pub fallback_calls: u64,
    /// Of those: the proxy's figure and the price book's differ by more than the threshold.
    pub drift_calls: u64,
    /// Input tokens.
    pub prompt_tokens: u64,
    /// Output tokens.
    pub completion_tokens: u64,
    /// All tokens.
    pub total_tokens: u64,
}

/// The sums of one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CostGroup {
    /// What the calls have in common: each dimension with its value.
    pub key: Vec<(Dimension, String)>,
    /// Their sums.
    pub sum: CostSum,
}

/// Sums over all tasks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CostReport {
    /// From when (inclusive), if limited.
    pub from: Option<Timestamp>,
    /// Until when (exclusive), if limited.
    pub to: Option<Timestamp>,
    /// What the rows are grouped by.
    pub group_by: Vec<Dimension>,
    /// All of it.
    pub total: CostSum,
    /// Each group.
    pub rows: Vec<CostGroup>,
}

/// What one task cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TaskCost {
    /// The task.
    pub task_id: TaskId,
    /// All of it.
    pub total: CostSum,
    /// By the alias that was asked for.
    pub by_alias: Vec<CostGroup>,
    /// By what it is attributed to.
    pub by_category: Vec<CostGroup>,
    /// By the model that answered.
    pub by_model: Vec<CostGroup>,
    /// By its provider.
    pub by_provider: Vec<CostGroup>,
    /// Every call, oldest first.
    pub calls: Vec<CallCost>,
}

/// What one call cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CallCost {
    /// The event that started it.
    pub call_id: EventId,
    /// When it started.
    pub started_at: Timestamp,
    /// Where it stands.
    pub status: CallStatus,
    /// The alias that was asked for.
    pub model_alias: String,
    /// What it is attributed to.
    pub category: String,
    /// The model that answered.
    pub model_name: String,
    /// Its provider.
    pub provider: String,
    /// True if the fallback answered.
    pub is_fallback: bool,
    /// What it cost, in USD; 0 if `cost_unavailable`.
    pub cost_usd: Usd,
    /// True if it ended and nobody knows what it cost.
    pub cost_unavailable: bool,
    /// Why; empty if it has a cost.
    pub cost_unavailable_reason: String,
    /// Who said what it cost.
    pub cost_source: CostSource,
    /// True if two sources differ by more than the threshold.
    pub cost_drift: bool,
    /// Input tokens, if stated.
    pub prompt_tokens: Option<u64>,
    /// Output tokens, if stated.
    pub completion_tokens: Option<u64>,
    /// From sending the request to its end, in ms.
    pub duration_ms: Option<u64>,
    /// The kind of failure; empty if there was none.
    pub error_type: String,
}

impl Serialize for CostGroup {
    /// One flat object: `{"alias": "planner", "cost_usd": …}`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (dimension, value) in &self.key {
            map.serialize_entry(dimension, value)?;
        }
        let sum = &self.sum;
        map.serialize_entry("cost_usd", &sum.cost_usd)?;
        for (name, count) in [
            ("calls", sum.calls),
            ("open_calls", sum.open_calls),
            ("calls_without_cost", sum.calls_without_cost),
            ("failed_calls", sum.failed_calls),
            ("fallback_calls", sum.fallback_calls),
            ("drift_calls", sum.drift_calls),
            ("prompt_tokens", sum.prompt_tokens),
            ("completion_tokens", sum.completion_tokens),
            ("total_tokens", sum.total_tokens),
        ] {
            map.serialize_entry(name, &count)?;
        }
        map.end()
    }
}

/// Sums over the calls that the query names, in all and by group.
///
/// # Errors
/// The store can not be read, or a sum is too large to be money.
pub async fn report(store: &dyn EventStore, query: CostQuery) -> Result<CostReport, StoreError> {
    let rows = if query.group_by.is_empty() {
        Vec::new()
    } else {
        groups(store, query.clone()).await?
    };
    let total = total(store, query.clone()).await?;
    Ok(CostReport {
        from: query.from,
        to: query.to,
        group_by: query.group_by,
        total,
        rows,
    })
}

/// What a task cost, or `None` if there is no such task.
///
/// # Errors
/// The store can not be read, or a sum is too large to be money.
pub async fn task_cost(
    store: &dyn EventStore,
    task_id: &TaskId,
) -> Result<Option<TaskCost>, StoreError> {
    if store.task(task_id).await?.is_none() {
        return Ok(None);
    }
    let by = |dimension| {
        let query = CostQuery {
            task: Some(task_id.clone()),
            group_by: vec![dimension],
            ..CostQuery::default()
        };
        groups(store, query)
    };
    let calls = store
        .calls(task_id)
        .await?
        .into_iter()
        .map(call_cost)
        .collect::<Result<_, _>>()?;
    Ok(Some(TaskCost {
        task_id: task_id.clone(),
        total: total(
            store,
            CostQuery {
                task: Some(task_id.clone()),
                ..CostQuery::default()
            },
        )
        .await?,
        by_alias: by(Dimension::Alias).await?,
        by_category: by(Dimension::Category).await?,
        by_model: by(Dimension::Model).await?,
        by_provider: by(Dimension::Provider).await?,
        calls,
    }))
}

async fn total(store: &dyn EventStore, query: CostQuery) -> Result<CostSum, StoreError> {
    let rows = store
        .cost_rollup(CostQuery {
            group_by: Vec::new(),
            ..query
        })
        .await?;
    sum(&rows.into_iter().next().unwrap_or_default())
}

async fn groups(store: &dyn EventStore, query: CostQuery) -> Result<Vec<CostGroup>, StoreError> {
    let rows = store.cost_rollup(query).await?;
    rows.into_iter()
        .map(|row| {
            Ok(CostGroup {
                sum: sum(&row)?,
                key: row.key,
            })
        })
        .collect()
}

fn sum(row: &CostRow) -> Result<CostSum, StoreError> {
    Ok(CostSum {
        cost_usd: usd(row.cost)?,
        calls: row.calls,
        open_calls: row.open_calls,
        calls_without_cost: row.calls_without_cost,
        failed_calls: row.failed_calls,
        fallback_calls: row.fallback_calls,
        drift_calls: row.drift_calls,
        prompt_tokens: row.tokens.prompt,
        completion_tokens: row.tokens.completion,
        total_tokens: row.tokens.total,
    })
}

fn call_cost(call: Call) -> Result<CallCost, StoreError> {
    let ended = call.status != CallStatus::Started;
    Ok(CallCost {
        cost_usd: usd(call.cost.unwrap_or_default())?,
        cost_unavailable: ended && call.cost.is_none(),
        call_id: call.call_id,
        started_at: call.started_at,
        status: call.status,
        model_alias: call.alias,
        category: call.category,
        model_name: call.model,
        provider: call.provider,
        is_fallback: call.is_fallback,
        cost_unavailable_reason: call.cost_unavailable_reason,
        cost_source: call.cost_source,
        cost_drift: call.drift,
        prompt_tokens: call.tokens.map(|tokens| tokens.prompt),
        completion_tokens: call.tokens.map(|tokens| tokens.completion),
        duration_ms: call.duration_ms,
        error_type: call.error_type,
    })
}

fn usd(pico: Picodollars) -> Result<Usd, StoreError> {
    pico.to_usd().map_err(|_| StoreError::Overflow)
}
