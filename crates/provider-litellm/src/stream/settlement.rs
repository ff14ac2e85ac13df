//! What a stream that is over comes to.

use std::sync::Arc;
use std::time::Duration;

use cost_tracker::{ProxyCost, UsageError};
use provider_core::{ModelCall, ModelCallResult};

use super::pieces::Pieces;
use crate::answer::{Answer, Counted, Settling};
use crate::client::Parts;
use crate::estimate::estimate;
use crate::head::Head;
use crate::model_name::ModelName;

/// All that the result of a stream needs beside its pieces.
pub(super) struct Settlement {
    pub(super) parts: Arc<Parts>,
    pub(super) call: ModelCall,
    pub(super) head: Head,
}

impl Settlement {
    pub(super) async fn settle(self, pieces: Pieces, duration: Duration) -> ModelCallResult {
        let (answer, counted) = self.counted(pieces).await;
        let name = self.name(&answer).await;
        let proxy = ProxyCost::from_usage(&answer.usage);
        let settled = self.parts.settle(&name, &counted, &proxy).await;
        answer.result(Settling {
            call: &self.call,
            head: &self.head,
            name: &name,
            provider: self.parts.provider_of(&name),
            settled,
            counted,
            duration,
        })
    }

    /// What the answer says, and its tokens: stated, or counted where nobody stated them.
    async fn counted(&self, pieces: Pieces) -> (Answer, Counted) {
        let (answer, written) = pieces.into_answer();
        let counted = answer.counted(self.call.request.endpoint());
        if !matches!(counted.usage, Err(UsageError::Missing)) {
            return (answer, counted);
        }
        let request = self.call.request.clone();
        let counting = tokio::task::spawn_blocking(move || estimate(&request, &written));
        // Counting is given up only when the runtime ends.
        let estimated = counting.await.unwrap_or(counted);
        let counted = answer.on_its_terms(estimated, self.call.request.endpoint());
        (answer, counted)
    }

    async fn name(&self, answer: &Answer) -> ModelName {
        let limit = self.parts.transport.config().call_timeout;
        // The proxy went over to another group after it had written the head.
        if let Some(group) = &answer.taken_over_by {
            return self.parts.name_of_group(group, limit).await;
        }
        if let Some(name) = self.head.model_name() {
            return name;
        }
        let stated = answer.model.as_deref();
        self.parts
            .unstated_name(stated, &self.call, &self.head, limit)
            .await
    }
}
