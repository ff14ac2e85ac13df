//! What a call cost, said again.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{CostBreakdown, CostSource, EventId, Usd};

/// The cost of an earlier call, computed anew: prices were wrong or missing when it was recorded.
///
/// The event of the call stays as it is; sums follow the latest correction, and show both figures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CostCorrected {
    /// The `MODEL_CALL_STARTED` event of the call.
    pub call_id: EventId,
    /// What it cost, in USD.
    pub cost_usd: Usd,
    /// Who says so.
    pub cost_source: CostSource,
    /// What counted before this correction, in USD; 0 if `previous_cost_unavailable`.
    pub previous_cost_usd: Usd,
    /// True if no cost was known before.
    #[serde(default)]
    pub previous_cost_unavailable: bool,
    /// Who said what counted before.
    #[serde(default)]
    pub previous_cost_source: CostSource,
    /// Why, for people: which prices count now.
    #[serde(default)]
    pub reason: String,
    /// How the cost is made up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_breakdown: Option<CostBreakdown>,
}
