//! The price of each dimension for one call, as LiteLLM's calculators choose it.
//!
//! Taken from reading `litellm_core_utils/llm_cost_calc/utils.py` and the calculators under `llms/*` of
//! litellm 1.102.4, and held to them by `tests/litellm_oracle`.

use rust_decimal::Decimal;

use super::entry::{Entry, Prices, Range};
use super::kind::Kind;
use super::price::Basis;
use super::rule::Rule;
use crate::billable::ServiceTier;
use crate::exact;

/// The price of one unit of one dimension, and why it is that.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    /// `None`: nothing is stated, and nothing else stands in.
    pub(super) price: Option<Decimal>,
    pub(super) basis: Basis,
}

impl Rate {
    /// The dimension's own price, or none.
    pub(super) fn own(price: Option<Decimal>) -> Self {
        let basis = if price.is_some() {
            Basis::Stated
        } else {
            Basis::NotStated
        };
        Self { price, basis }
    }

    /// A price that LiteLLM's calculator holds for models that state none.
    pub(super) fn customary(price: Decimal) -> Self {
        Self {
            price: Some(price),
            basis: Basis::Customary,
        }
    }

    fn or(price: Option<Decimal>, other: impl FnOnce() -> Self, basis: Basis) -> Self {
        if price.is_some() {
            return Self::own(price);
        }
        let other = other();
        match other.price {
            Some(_) => Self {
                price: other.price,
                basis,
            },
            None => Self::own(None),
        }
    }
}

/// Where the rates of one call stand.
#[derive(Clone, Copy)]
pub(super) struct Rates<'a> {
    flat: &'a Prices,
    rule: Rule,
    service: ServiceTier,
    /// The bound of the tier that counts; 0 for none.
    above: u64,
    range: Option<&'a Prices>,
}

impl<'a> Rates<'a> {
    /// The rates for a call with so many input tokens.
    pub(super) fn of(
        entry: &'a Entry,
        rule: Rule,
        service: ServiceTier,
        prompt_tokens: u64,
    ) -> Self {
        let range = rule
            .has_ranges()
            .then(|| range(entry, prompt_tokens))
            .flatten()
            // In the generic rule a range without an input price is none.
            .filter(|range| rule == Rule::Dashscope || range.prices.flat(Kind::Input).is_some());
        Self {
            flat: &entry.prices,
            rule,
            service: if rule.has_service_tiers() {
                service
            } else {
                ServiceTier::Standard
            },
            above: if rule.has_tiers() {
                entry
                    .prices
                    .threshold(prompt_tokens, rule.tier_begins_at_its_bound())
            } else {
                0
            },
            range: range.map(|range| &range.prices),
        }
    }

    /// The rate of one kind of token.
    pub(super) fn rate(&self, kind: Kind) -> Rate {
        if self.rule == Rule::Batch {
            return self.batch(kind);
        }
        match (self.rule, self.range) {
            (Rule::Dashscope, Some(range)) => self.dashscope_ranged(range, kind),
            (Rule::Generic | Rule::Xai, Some(range)) => self.generic_ranged(range, kind),
            (Rule::Generic | Rule::Xai, None) => self.generic(kind),
            // One price for both lives of a cache.
            (Rule::Dashscope, None) if kind == Kind::CacheWrite1h => self.rate(Kind::CacheWrite5m),
            _ => self.fall_back_to_text(kind),
        }
    }

    /// The price for this tier and class of service, else of the class, else the standard one.
    fn tiered(&self, kind: Kind) -> Option<Decimal> {
        let in_tier = match self.above {
            0 => None,
            above => self.flat.of(kind, self.service, above),
        };
        in_tier.or_else(|| self.flat.of(kind, self.service, 0))
    }

    /// A user's price, and calculators that know text alone: what is not stated costs as text.
    fn fall_back_to_text(&self, kind: Kind) -> Rate {
        let own = self.tiered(kind);
        match kind {
            Kind::CacheRead
            | Kind::CacheWrite5m
            | Kind::AudioInput
            | Kind::ImageInput
            | Kind::VideoInput => Rate::or(own, || self.rate(Kind::Input), Basis::AsInput),
            Kind::CacheWrite1h => match own {
                None => self.rate(Kind::CacheWrite5m),
                stated => Rate::own(stated),
            },
            Kind::AudioOutput | Kind::ImageOutput | Kind::VideoOutput | Kind::Reasoning => {
                Rate::or(own, || self.rate(Kind::Output), Basis::AsOutput)
            }
            _ => Rate::own(own),
        }
    }

    /// Tiers change the text and cache prices of the whole call; media and reasoning prices have none.
    fn generic(&self, kind: Kind) -> Rate {
        match kind {
            Kind::Output => self.generic_output(),
            Kind::Reasoning => self.generic_reasoning(),
            Kind::AudioInput => Rate::own(self.flat.of(kind, self.service, 0)),
            Kind::ImageInput
            | Kind::VideoInput
            | Kind::AudioOutput
            | Kind::ImageOutput
            | Kind::VideoOutput => self.media(kind),
            _ => Rate::own(self.tiered(kind)),
        }
    }

    fn generic_output(&self) -> Rate {
        if self.above > 0
            && let Some(price) = self.flat.of(Kind::Output, self.service, self.above)
        {
            return Rate::own(Some(price));
        }
        // A model that makes images may state no text price, or 0; its image price counts for text too.
        let own = self.flat.of(Kind::Output, self.service, 0);
        match (own, self.flat.flat(Kind::ImageOutput)) {
            (None, Some(image)) => Rate {
                price: Some(image),
                basis: Basis::AsImageOutput,
            },
            (Some(price), Some(image)) if price.is_zero() => Rate {
                price: Some(image),
                basis: Basis::AsImageOutput,
            },
            _ => Rate::own(own),
        }
    }

    fn generic_reasoning(&self) -> Rate {
        let as_output = || Rate::or(None, || self.generic_output(), Basis::AsOutput);
        if self.service != ServiceTier::Standard {
            let of_service = self.flat.at(Kind::Reasoning, self.service, 0);
            if of_service.is_some() {
                return Rate::own(of_service);
            }
            // A class of service with an output price of its own has reasoning at that price.
            if self.flat.at(Kind::Output, self.service, 0).is_some() {
                return as_output();
            }
        }
        match self.flat.flat(Kind::Reasoning) {
            None => as_output(),
            stated => Rate::own(stated),
        }
    }

    /// Media have one price for every tier and class; without one, input costs as the standard text.
    fn media(&self, kind: Kind) -> Rate {
        let own = self.flat.flat(kind);
        match kind {
            Kind::ImageInput | Kind::VideoInput => Rate::or(
                own,
                || Rate::own(self.flat.flat(Kind::Input)),
                Basis::AsInput,
            ),
            _ => Rate::or(own, || self.rate(Kind::Output), Basis::AsOutput),
        }
    }

    fn generic_ranged(&self, range: &Prices, kind: Kind) -> Rate {
        let input = || Rate::own(range.flat(Kind::Input));
        match kind {
            Kind::Input => input(),
            Kind::CacheRead | Kind::CacheWrite5m => {
                Rate::or(range.flat(kind), input, Basis::AsInput)
            }
            Kind::CacheWrite1h => match range.flat(kind).filter(|price| !price.is_zero()) {
                None => self.generic_ranged(range, Kind::CacheWrite5m),
                stated => Rate::own(stated),
            },
            Kind::Output => Rate::own(range.flat(kind).or_else(|| self.flat.flat(kind))),
            Kind::Reasoning => {
                let of_range = range.flat(kind);
                let own = if of_range.is_some() || range.flat(Kind::Output).is_some() {
                    of_range
                } else {
                    self.flat.flat(kind)
                };
                Rate::or(
                    own,
                    || self.generic_ranged(range, Kind::Output),
                    Basis::AsOutput,
                )
            }
            Kind::AudioInput => Rate::own(self.flat.flat(kind)),
            _ => self.media(kind),
        }
    }

    fn dashscope_ranged(&self, range: &Prices, kind: Kind) -> Rate {
        match kind {
            Kind::Output => Rate::own(range.flat(kind).or_else(|| self.flat.flat(kind))),
            Kind::Reasoning => {
                let own = match range.flat(Kind::Output) {
                    None => range.flat(kind).or_else(|| self.flat.flat(kind)),
                    Some(_) => range.flat(kind),
                };
                Rate::or(own, || self.rate(Kind::Output), Basis::AsOutput)
            }
            Kind::Input => Rate::own(range.flat(kind)),
            // One price for both lives of a cache.
            Kind::CacheWrite1h => self.dashscope_ranged(range, Kind::CacheWrite5m),
            _ => Rate::or(
                range.flat(kind),
                || Rate::own(range.flat(Kind::Input)),
                Basis::AsInput,
            ),
        }
    }

    /// A batch has prices of its own for input and output; where none is stated, LiteLLM halves the
    /// standard ones.
    fn batch(&self, kind: Kind) -> Rate {
        if let own @ Some(_) = self.flat.at(kind, ServiceTier::Batch, 0) {
            return Rate::own(own);
        }
        let standard = match kind {
            // What is written to a cache costs at least as input.
            Kind::CacheWrite5m | Kind::CacheWrite1h => self
                .flat
                .flat(Kind::CacheWrite5m)
                .filter(|price| !price.is_zero())
                .or_else(|| self.flat.flat(Kind::Input)),
            other => self.flat.flat(other),
        };
        Rate {
            price: standard.and_then(exact::half),
            basis: match standard {
                Some(_) => Basis::HalfInBatch,
                None => Basis::NotStated,
            },
        }
    }
}

/// The range that holds so many input tokens, or the last one if there are more.
fn range(entry: &Entry, prompt_tokens: u64) -> Option<&Range> {
    if prompt_tokens == 0 {
        return None;
    }
    entry
        .ranges
        .iter()
        .find(|range| range.from < prompt_tokens && prompt_tokens <= range.to)
        .or_else(|| entry.ranges.last())
}
