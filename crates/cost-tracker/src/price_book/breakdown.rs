//! A price as events keep it.

use event_payloads::{CostBreakdown, CostLine, Quantity};
use rust_decimal::Decimal;

use super::book::PriceOrigin;
use super::price::Priced;
use crate::billable::{CallType, ServiceTier};

impl Priced {
    /// The price as events and `octo price` show it.
    #[must_use]
    pub fn breakdown(&self, call_type: CallType) -> CostBreakdown {
        let lines = self.lines.iter().map(|line| CostLine {
            dimension: line.dimension.as_str().to_owned(),
            quantity: Quantity::new(line.quantity).unwrap_or_default(),
            unit_price_usd: line.unit_price,
            amount_usd: line.amount,
            basis: line.basis.as_str().to_owned(),
        });
        CostBreakdown {
            total_usd: self.total,
            matched: match self.origin {
                PriceOrigin::Proxy => format!("{} (set at the proxy)", self.key),
                _ => self.key.clone(),
            },
            source: self.origin.cost_source(),
            service_tier: match self.service_tier {
                ServiceTier::Standard => String::new(),
                other => other.as_str().to_owned(),
            },
            call_type: call_type.as_str().to_owned(),
            factor: (self.factor != Decimal::ONE)
                .then(|| Quantity::new(self.factor))
                .flatten(),
            lines: lines.collect(),
        }
    }
}
