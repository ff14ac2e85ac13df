//! Past costs, computed anew by the prices of today.

use std::collections::HashMap;

use cost_tracker::{Billable, CostTracker};
use event_payloads::{
    Actor, CostBreakdown, CostCorrected, CostSource, EventId, Payload, TaskId, Timestamp,
    TokenUsage, Usd,
};
use event_store::{Call, CallStatus, Commit, EventStore, NewEvent, Parent, StoreError, TaskQuery};
use serde::Serialize;

/// Events that are read at once.
const PAGE: usize = 1000;

/// Which calls are looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RepriceQuery {
    /// Calls that started at this moment or later.
    pub from: Option<Timestamp>,
    /// Calls that started before this moment.
    pub to: Option<Timestamp>,
    /// Calls that this model answered.
    pub model: Option<String>,
    /// True to record nothing.
    pub dry_run: bool,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Repriced {
    /// True if nothing was recorded.
    pub dry_run: bool,
    /// Calls with a cost of ours or none, which are those that prices of ours can be wrong about.
    pub looked_at: u64,
    /// Of those: the same cost as before.
    pub unchanged: u64,
    /// Of those: no price today either, or no tokens to price.
    pub not_priced: u64,
    /// Calls whose cost the proxy stated or that were free by nature; they stay.
    pub left_alone: u64,
    /// What the corrected calls cost by what counted before, in USD.
    pub before_usd: Usd,
    /// What they cost now, in USD.
    pub after_usd: Usd,
    /// Each correction.
    pub corrections: Vec<Correction>,
}

/// One call whose cost is another today.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Correction {
    /// The task of the call.
    pub task_id: TaskId,
    /// The event that started the call.
    pub call_id: EventId,
    /// The model that answered.
    pub model_name: String,
    /// What counted before, in USD; 0 if nothing was known.
    pub before_usd: Usd,
    /// True if no cost was known before.
    pub before_unavailable: bool,
    /// What counts now, in USD.
    pub after_usd: Usd,
}

/// Computes the costs of recorded calls anew, and appends a `COST_CORRECTED` event where one is another.
///
/// A cost that the proxy stated stays: it is not ours to correct. Neither is the cost of a call that has not
/// ended, or that was free by nature. Doing it twice corrects nothing the second time.
///
/// # Errors
/// The store failed; what was recorded until then stays.
pub async fn reprice(
    store: &dyn EventStore,
    tracker: &CostTracker,
    query: &RepriceQuery,
) -> Result<Repriced, StoreError> {
    let everything = TaskQuery {
        status: None,
        limit: usize::MAX,
    };
    let mut outcome = Repriced {
        dry_run: query.dry_run,
        ..Repriced::default()
    };
    for task in store.tasks(everything).await? {
        let calls = store.calls(&task.task_id).await?;
        let chosen: Vec<Call> = calls
            .into_iter()
            .filter(|call| query.concerns(call))
            .collect();
        let (ours, others): (Vec<Call>, Vec<Call>) = chosen.into_iter().partition(is_ours);
        outcome.left_alone += u64::try_from(others.len()).unwrap_or(u64::MAX);
        if !ours.is_empty() {
            of_task(store, tracker, &task.task_id, &ours, &mut outcome).await?;
        }
    }
    Ok(outcome)
}

impl RepriceQuery {
    fn concerns(&self, call: &Call) -> bool {
        call.status != CallStatus::Started
            && self.from.is_none_or(|from| call.started_at >= from)
            && self.to.is_none_or(|to| call.started_at < to)
            && self.model.as_ref().is_none_or(|model| call.model == *model)
    }
}

/// Our own figure, or none at all. (Free by nature is a known cost of nobody's.)
fn is_ours(call: &Call) -> bool {
    match call.cost_source {
        CostSource::PriceBook | CostSource::Override => true,
        CostSource::Proxy => false,
        _ => call.cost.is_none(),
    }
}

async fn of_task(
    store: &dyn EventStore,
    tracker: &CostTracker,
    task_id: &TaskId,
    calls: &[Call],
    outcome: &mut Repriced,
) -> Result<(), StoreError> {
    let used = used(store, task_id).await?;
    let mut commit = Commit::new(task_id.clone());
    for call in calls {
        outcome.looked_at += 1;
        let Some(anew) = used
            .get(&call.call_id)
            .and_then(|used| price(tracker, call, used))
        else {
            outcome.not_priced += 1;
            continue;
        };
        let before = call
            .cost
            .map(|cost| cost.to_usd().map_err(|_| StoreError::Overflow))
            .transpose()?;
        let after = anew.total_usd.rounded();
        if before == Some(after) {
            outcome.unchanged += 1;
            continue;
        }
        outcome.add(task_id, call, before, after)?;
        let correction = correction(tracker, call, before, after, anew);
        let payload = Payload::CostCorrected(Box::new(correction));
        let event = NewEvent::new(Actor::System, payload);
        commit = commit.event(event.parent(Parent::Event(call.call_id.clone())));
    }
    if !outcome.dry_run && !commit.events.is_empty() {
        store.append(commit).await?;
    }
    Ok(())
}

/// What the end of a call says that it used.
struct Used {
    tokens: TokenUsage,
    breakdown: Option<CostBreakdown>,
}

/// By the event that started the call.
async fn used(
    store: &dyn EventStore,
    task_id: &TaskId,
) -> Result<HashMap<EventId, Used>, StoreError> {
    let mut used = HashMap::new();
    let mut after = 0;
    loop {
        let events = store.events(task_id, after, PAGE).await?;
        let Some(last) = events.last() else {
            return Ok(used);
        };
        after = last.task_seq;
        for event in &events {
            let (tokens, breakdown) = match event.decode() {
                Ok(Payload::ModelCallCompleted(call)) => (call.token_usage, call.cost_breakdown),
                Ok(Payload::ModelCallFailed(call)) => (call.token_usage, None),
                _ => continue,
            };
            let Some(tokens) = tokens else { continue };
            // Old logs name no start: the call has the name of its end then.
            let parent = event.causality.parent_event_id.as_ref();
            let call_id = parent.unwrap_or(&event.event_id).clone();
            used.insert(call_id, Used { tokens, breakdown });
        }
    }
}

fn price(tracker: &CostTracker, call: &Call, used: &Used) -> Option<CostBreakdown> {
    let provider = Some(call.provider.as_str()).filter(|provider| !provider.is_empty());
    let billable = Billable::recorded(used.tokens, used.breakdown.as_ref());
    let priced = tracker
        .book()
        .price_call(provider, &call.model, &billable)
        .ok()?;
    Some(priced.breakdown(billable.call_type))
}

fn correction(
    tracker: &CostTracker,
    call: &Call,
    before: Option<Usd>,
    after: Usd,
    anew: CostBreakdown,
) -> CostCorrected {
    let source = match anew.source {
        CostSource::Override => "the user's own prices".to_owned(),
        _ => tracker.book().source().package.clone(),
    };
    CostCorrected {
        call_id: call.call_id.clone(),
        cost_usd: after,
        cost_source: anew.source,
        previous_cost_usd: before.unwrap_or_default(),
        previous_cost_unavailable: before.is_none(),
        previous_cost_source: call.cost_source,
        reason: format!("computed anew by `{}` of {source}", anew.matched),
        cost_breakdown: Some(anew),
    }
}

impl Repriced {
    fn add(
        &mut self,
        task_id: &TaskId,
        call: &Call,
        before: Option<Usd>,
        after: Usd,
    ) -> Result<(), StoreError> {
        let known = before.unwrap_or_default();
        let plus = |sum: Usd, more| sum.checked_add(more).ok_or(StoreError::Overflow);
        self.before_usd = plus(self.before_usd, known)?;
        self.after_usd = plus(self.after_usd, after)?;
        self.corrections.push(Correction {
            task_id: task_id.clone(),
            call_id: call.call_id.clone(),
            model_name: call.model.clone(),
            before_usd: known,
            before_unavailable: before.is_none(),
            after_usd: after,
        });
        Ok(())
    }
}
