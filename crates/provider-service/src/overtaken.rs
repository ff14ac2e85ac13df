//! A call that somebody else closed while it was thought to be abandoned: what it cost is told all the same.

use event_payloads::{
    Actor, Cost, CostBreakdown, CostCorrected, CostSource, EventId, Payload, TaskId, Usd,
};
use event_store::{Commit, EventStore, NewEvent, StoreError};

use crate::settle::append_surely;

/// What the end of a call would have said, kept for the case that it comes too late.
#[derive(Clone, Debug)]
pub(crate) struct LateCost {
    cost: Cost,
    breakdown: Option<CostBreakdown>,
}

impl LateCost {
    /// Of the end among some events.
    pub(crate) fn of(events: &[NewEvent]) -> Option<Self> {
        events.iter().find_map(|event| match &event.payload {
            Payload::ModelCallCompleted(call) => Some(Self {
                cost: call.cost(),
                breakdown: call.cost_breakdown.clone(),
            }),
            Payload::ModelCallFailed(call) => Some(Self {
                cost: call.cost(),
                breakdown: None,
            }),
            _ => None,
        })
    }

    /// Adds what is known to the books, where the end that was recorded knows nothing.
    pub(crate) async fn tell(
        self,
        store: &dyn EventStore,
        task_id: &TaskId,
        call_id: &EventId,
    ) -> Result<(), StoreError> {
        let Cost::Known { usd, source, .. } = self.cost else {
            return Ok(());
        };
        let calls = store.calls(task_id).await?;
        let recorded = calls.iter().find(|call| call.call_id == *call_id);
        if recorded.is_none_or(|call| call.cost.is_some()) {
            return Ok(());
        }
        let correction = Payload::CostCorrected(Box::new(CostCorrected {
            call_id: call_id.clone(),
            cost_usd: usd,
            cost_source: source,
            previous_cost_usd: Usd::ZERO,
            previous_cost_unavailable: true,
            previous_cost_source: CostSource::None,
            reason: "the call was closed as abandoned and ended after that".to_owned(),
            cost_breakdown: self.breakdown,
        }));
        let commit = Commit::new(task_id.clone()).event(NewEvent::new(Actor::System, correction));
        append_surely(store, commit).await
    }
}
