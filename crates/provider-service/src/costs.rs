//! What was spent, by whom and on what: the store's sums in the shape that people and programs read.

use std::collections::BTreeMap;

use event_payloads::{CostSource, EventId, Picodollars, TaskId, Timestamp, Usd};
use event_store::{Call, CallStatus, CostQuery, CostRow, Dimension, EventStore, StoreError};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

/// Sums over a number of calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
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
    /// Of those: no answer stated their tokens, so the text was counted: their cost is close, not exact.
    pub estimated_calls: u64,
    /// Of those: their cost was corrected after it was recorded.
    #[serde(skip_serializing_if = "is_zero")]
    pub corrected_calls: u64,
    /// What `cost_usd` would be without the corrections; there only if there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recorded_cost_usd: Option<Usd>,
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
    /// What was recorded first, in USD, if the cost was corrected since; 0 where it was not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recorded_cost_usd: Option<Usd>,
    /// True if two sources differ by more than the threshold.
    pub cost_drift: bool,
    /// True if no answer stated the tokens, so the text was counted: the cost is close, not exact.
    pub usage_is_estimated: bool,
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
            ("estimated_calls", sum.estimated_calls),
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
    // One read: a call that ends in between must not make the total another than the sum of its rows.
    let groups = groups(store, query.clone()).await?;
    let total = add_up(&groups)?;
    let rows = if query.group_by.is_empty() {
        Vec::new()
    } else {
        groups
    };
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
    let group_by = vec![
        Dimension::Alias,
        Dimension::Category,
        Dimension::Model,
        Dimension::Provider,
    ];
    let query = CostQuery {
        task: Some(task_id.clone()),
        group_by,
        ..CostQuery::default()
    };
    let groups = groups(store, query).await?;
    let calls = store
        .calls(task_id)
        .await?
        .into_iter()
        .map(call_cost)
        .collect::<Result<_, _>>()?;
    Ok(Some(TaskCost {
        task_id: task_id.clone(),
        total: add_up(&groups)?,
        by_alias: along(&groups, Dimension::Alias)?,
        by_category: along(&groups, Dimension::Category)?,
        by_model: along(&groups, Dimension::Model)?,
        by_provider: along(&groups, Dimension::Provider)?,
        calls,
    }))
}

async fn groups(store: &dyn EventStore, query: CostQuery) -> Result<Vec<CostGroup>, StoreError> {
    let rows = store.cost_rollup(query).await?;
    rows.into_iter()
        .map(|row| {
            Ok(CostGroup {
                sum: CostSum::of(&row)?,
                key: row.key,
            })
        })
        .collect()
}

/// The sums of groups, added up along one of their dimensions.
fn along(groups: &[CostGroup], dimension: Dimension) -> Result<Vec<CostGroup>, StoreError> {
    let mut sums: BTreeMap<&str, CostSum> = BTreeMap::new();
    for group in groups {
        let value = group.key.iter().find(|(each, _)| *each == dimension);
        let sum = sums
            .entry(value.map_or("", |(_, value)| value.as_str()))
            .or_default();
        *sum = sum.plus(&group.sum)?;
    }
    let group = |(value, sum): (&str, CostSum)| CostGroup {
        key: vec![(dimension, value.to_owned())],
        sum,
    };
    Ok(sums.into_iter().map(group).collect())
}

fn add_up(groups: &[CostGroup]) -> Result<CostSum, StoreError> {
    groups
        .iter()
        .try_fold(CostSum::default(), |sum, group| sum.plus(&group.sum))
}

impl CostSum {
    fn of(row: &CostRow) -> Result<Self, StoreError> {
        Ok(Self {
            cost_usd: usd(row.cost)?,
            calls: row.calls,
            open_calls: row.open_calls,
            calls_without_cost: row.calls_without_cost,
            failed_calls: row.failed_calls,
            fallback_calls: row.fallback_calls,
            drift_calls: row.drift_calls,
            estimated_calls: row.estimated_calls,
            corrected_calls: row.corrected_calls,
            recorded_cost_usd: (row.corrected_calls > 0)
                .then(|| usd(row.recorded_cost))
                .transpose()?,
            prompt_tokens: row.tokens.prompt,
            completion_tokens: row.tokens.completion,
            total_tokens: row.tokens.total,
        })
    }

    /// A sum without corrections is what was recorded.
    fn recorded_with(&self, other: &Self) -> Result<Option<Usd>, StoreError> {
        if self.recorded_cost_usd.is_none() && other.recorded_cost_usd.is_none() {
            return Ok(None);
        }
        let recorded = |sum: &Self| sum.recorded_cost_usd.unwrap_or(sum.cost_usd);
        recorded(self)
            .checked_add(recorded(other))
            .map(Some)
            .ok_or(StoreError::Overflow)
    }

    fn plus(&self, other: &Self) -> Result<Self, StoreError> {
        let count = |a: u64, b: u64| a.checked_add(b).ok_or(StoreError::Overflow);
        Ok(Self {
            cost_usd: self
                .cost_usd
                .checked_add(other.cost_usd)
                .ok_or(StoreError::Overflow)?,
            calls: count(self.calls, other.calls)?,
            open_calls: count(self.open_calls, other.open_calls)?,
            calls_without_cost: count(self.calls_without_cost, other.calls_without_cost)?,
            failed_calls: count(self.failed_calls, other.failed_calls)?,
            fallback_calls: count(self.fallback_calls, other.fallback_calls)?,
            drift_calls: count(self.drift_calls, other.drift_calls)?,
            estimated_calls: count(self.estimated_calls, other.estimated_calls)?,
            corrected_calls: count(self.corrected_calls, other.corrected_calls)?,
            recorded_cost_usd: self.recorded_with(other)?,
            prompt_tokens: count(self.prompt_tokens, other.prompt_tokens)?,
            completion_tokens: count(self.completion_tokens, other.completion_tokens)?,
            total_tokens: count(self.total_tokens, other.total_tokens)?,
        })
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde calls"
)]
const fn is_zero(count: &u64) -> bool {
    *count == 0
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
        recorded_cost_usd: call
            .recorded
            .map(|recorded| usd(recorded.unwrap_or_default()))
            .transpose()?,
        usage_is_estimated: call.estimated,
        prompt_tokens: call.tokens.map(|tokens| tokens.prompt),
        completion_tokens: call.tokens.map(|tokens| tokens.completion),
        duration_ms: call.duration_ms,
        error_type: call.error_type,
    })
}

fn usd(pico: Picodollars) -> Result<Usd, StoreError> {
    pico.to_usd().map_err(|_| StoreError::Overflow)
}
