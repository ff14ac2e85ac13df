//! Two sources for one cost, reconciled.

use std::sync::Arc;

use event_payloads::{Cost, CostBreakdown, CostDrift, CostSource, TokenUsage, Usd};
use rust_decimal::Decimal;

use crate::billable::{Billable, CallType};
use crate::price_book::{PriceBook, Priced};
use crate::proxy_cost::ProxyCost;
use crate::usage::UsageError;

/// Says what a call cost, from what the proxy reports and from what its usage costs by the price book.
///
/// Cloning shares the price book.
#[derive(Clone, Debug)]
pub struct CostTracker {
    book: Arc<PriceBook>,
    threshold: DriftThreshold,
}

impl CostTracker {
    /// A tracker over a price book, with the default [`DriftThreshold`].
    #[must_use]
    pub fn new(book: Arc<PriceBook>) -> Self {
        Self {
            book,
            threshold: DriftThreshold::default(),
        }
    }

    /// The same with another threshold.
    #[must_use]
    pub fn with_threshold(self, threshold: DriftThreshold) -> Self {
        Self { threshold, ..self }
    }

    /// The same over another price book.
    #[must_use]
    pub fn with_book(&self, book: Arc<PriceBook>) -> Self {
        Self {
            book,
            threshold: self.threshold,
        }
    }

    /// The price book.
    #[must_use]
    pub fn book(&self) -> &PriceBook {
        &self.book
    }

    /// What a completed call cost by its tokens alone: [`settle_call`](Self::settle_call) without the
    /// class of service, units beside tokens, and the breakdown.
    #[must_use]
    pub fn settle(
        &self,
        provider: Option<&str>,
        model: &str,
        usage: Result<&TokenUsage, &UsageError>,
        proxy: &ProxyCost,
    ) -> Cost {
        let call = usage.map(|usage| Billable::from(*usage));
        self.settle_call(
            provider,
            model,
            call.as_ref().map_err(|error| *error),
            proxy,
        )
        .cost
    }

    /// What a completed call cost, and how our own figure is made up.
    ///
    /// `provider` and `model` name the real model (`x-litellm-model-name`), never an alias or a group;
    /// `model` may begin with the provider. `call` is what [`parse_billable`](crate::parse_billable)
    /// said.
    ///
    /// The amount is in whole picodollars ([`Usd::rounded`]): the event and the sums agree on it.
    ///
    /// | the proxy reports | the price book says | the cost is |
    /// | --- | --- | --- |
    /// | more than 0 | an amount | the proxy's; with drift if the two differ too much |
    /// | more than 0 | nothing | the proxy's |
    /// | 0 | more than 0 | **the book's, with drift**: the silent zero |
    /// | 0 | 0, stated as a price | 0 |
    /// | 0 | nothing | unavailable: nobody vouches for that zero |
    /// | nothing, or no amount | an amount | the book's |
    /// | nothing, or no amount | nothing | unavailable |
    #[must_use]
    pub fn settle_call(
        &self,
        provider: Option<&str>,
        model: &str,
        call: Result<&Billable, &UsageError>,
        proxy: &ProxyCost,
    ) -> Settled {
        let ours = match call {
            Ok(call) => self
                .book
                .price_call(provider, model, call)
                .map_err(|unpriced| unpriced.to_string()),
            Err(error) => Err(error.to_string()),
        };
        let call_type = call.map_or(CallType::AsTheModel, |call| call.call_type);
        let breakdown = ours.as_ref().ok().map(|ours| ours.breakdown(call_type));
        Settled {
            cost: self.choose(proxy, ours),
            breakdown,
        }
    }

    fn choose(&self, proxy: &ProxyCost, ours: Result<Priced, String>) -> Cost {
        match (proxy, ours) {
            (ProxyCost::Reported(theirs), Ok(ours)) => self.reconcile(*theirs, &ours),
            (ProxyCost::Reported(theirs), Err(reason)) if theirs.is_zero() => Cost::Unavailable(
                format!("the proxy reports 0 USD, which nothing confirms: {reason}"),
            ),
            (ProxyCost::Reported(theirs), Err(_)) => {
                Cost::known(theirs.rounded(), CostSource::Proxy)
            }
            (ProxyCost::Silent | ProxyCost::Invalid(_), Ok(ours)) => {
                Cost::known(ours.total.rounded(), ours.origin.cost_source())
            }
            (ProxyCost::Silent, Err(reason)) => {
                Cost::Unavailable(format!("the proxy reports no cost, and {reason}"))
            }
            (ProxyCost::Invalid(text), Err(reason)) => Cost::Unavailable(format!(
                "the proxy reports `{text}` as the cost, which is no amount, and {reason}"
            )),
        }
    }

    fn reconcile(&self, theirs: Usd, ours: &Priced) -> Cost {
        let silent_zero = theirs.is_zero() && !ours.total.is_zero();
        let drifts = silent_zero || self.threshold.is_exceeded(theirs, ours.total);
        Cost::Known {
            usd: if silent_zero { ours.total } else { theirs }.rounded(),
            source: if silent_zero {
                ours.origin.cost_source()
            } else {
                CostSource::Proxy
            },
            drift: drifts.then_some(CostDrift {
                proxy_usd: theirs,
                price_book_usd: ours.total,
            }),
        }
    }
}

/// What a call cost, with our own figure beside the one that counts.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settled {
    /// The cost that counts.
    pub cost: Cost,
    /// How the price book's figure is made up; `None` where it has none.
    pub breakdown: Option<CostBreakdown>,
}

/// How far two figures for one call may be apart before that is *drift*: both bounds must be exceeded.
///
/// By default 1 % of the larger figure and 1e-9 USD: the proxy computes in binary floats and may round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DriftThreshold {
    relative: Decimal,
    absolute: Usd,
}

/// A relative threshold outside of 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a relative drift threshold of {0} is outside of 0 to 1 (0.01 is 1 %)")]
pub struct DriftThresholdError(Decimal);

impl DriftThreshold {
    /// A threshold of a share (0.01 is 1 %) and an amount.
    ///
    /// # Errors
    /// A share outside of 0 to 1.
    pub fn new(relative: Decimal, absolute: Usd) -> Result<Self, DriftThresholdError> {
        if relative < Decimal::ZERO || relative > Decimal::ONE {
            return Err(DriftThresholdError(relative));
        }
        Ok(Self { relative, absolute })
    }

    fn is_exceeded(self, one: Usd, other: Usd) -> bool {
        let difference = one.abs_diff(other);
        // At most 1 times the largest amount, so this cannot overflow.
        let share = self.relative * one.max(other).as_decimal();
        difference > self.absolute && difference.as_decimal() > share
    }
}

impl Default for DriftThreshold {
    fn default() -> Self {
        Self {
            relative: Decimal::new(1, 2),
            absolute: Usd::new(Decimal::new(1, 9)).unwrap_or(Usd::ZERO),
        }
    }
}
