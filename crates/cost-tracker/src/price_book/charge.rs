//! From a call and an entry to the lines of its price.

use event_payloads::Usd;
use rust_decimal::Decimal;

use super::book::Match;
use super::entry::Mode;
use super::kind::Kind;
use super::price::{Basis, Dimension, Line, Priced, Unpriced};
use super::rates::{Rate, Rates};
use super::split::Split;
use crate::billable::{Billable, CallType, Residency};
use crate::exact;

/// Most calls have input, cached input and output, some reasoning too.
const USUAL_LINES: usize = 4;

pub(super) fn price(found: &Match<'_>, call: &Billable) -> Result<Priced, Unpriced> {
    let entry = found.entry();
    if !entry.mode.is_priced() {
        return Err(Unpriced::Mode {
            key: found.key().to_owned(),
            mode: found.mode().to_owned(),
        });
    }
    check(call)?;
    let mut bill = Bill {
        found,
        call,
        factor: factor(found, call).ok_or_else(|| overflow(found, call))?,
        lines: Vec::with_capacity(USUAL_LINES),
    };
    bill.fill()?;
    bill.close()
}

/// The price while it is made up.
pub(super) struct Bill<'a> {
    pub(super) found: &'a Match<'a>,
    pub(super) call: &'a Billable,
    factor: Decimal,
    lines: Vec<Line>,
}

impl Bill<'_> {
    fn fill(&mut self) -> Result<(), Unpriced> {
        let mode = &self.found.entry().mode;
        let call_type = match (self.call.call_type, mode) {
            (CallType::AsTheModel, Mode::Rerank) => CallType::Rerank,
            (CallType::AsTheModel, Mode::Transcription) => CallType::Transcription,
            (stated, _) => stated,
        };
        let has_tokens = self.call.tokens.total_tokens > 0;
        match call_type {
            CallType::Rerank => return self.rerank(),
            CallType::Transcription if !has_tokens => return self.transcription_by_time(),
            _ => {}
        }
        if self.is_by_time() {
            return self.call_time();
        }
        self.tokens()?;
        self.beside_tokens()
    }

    fn tokens(&mut self) -> Result<(), Unpriced> {
        let entry = self.found.entry();
        let rule = self.found.rule(self.call);
        let split = Split::of(self.call, rule, rule.one_input_price(&entry.prices));
        let rates = Rates::of(
            entry,
            rule,
            self.call.service_tier,
            self.call.tokens.prompt_tokens,
        );
        for (kind, tokens) in split.parts() {
            if tokens == 0 {
                continue;
            }
            let rate = rates.rate(kind);
            if rate.price.is_none() && matches!(kind, Kind::Input | Kind::Output) {
                return Err(self.no_price(kind));
            }
            self.charge(kind, tokens.into(), rate)?;
        }
        Ok(())
    }

    /// Adds a line for what the place of the call makes dearer.
    pub(super) fn charge(
        &mut self,
        kind: Kind,
        quantity: Decimal,
        rate: Rate,
    ) -> Result<(), Unpriced> {
        let factor = self.factor;
        self.line(kind, quantity, rate, factor)
    }

    /// Adds a line that costs the same everywhere.
    pub(super) fn charge_flat(
        &mut self,
        kind: Kind,
        quantity: Decimal,
        rate: Rate,
    ) -> Result<(), Unpriced> {
        self.line(kind, quantity, rate, Decimal::ONE)
    }

    fn line(
        &mut self,
        kind: Kind,
        quantity: Decimal,
        rate: Rate,
        factor: Decimal,
    ) -> Result<(), Unpriced> {
        let Some(dimension) = kind.dimension() else {
            return Ok(());
        };
        let line = line(dimension, quantity, rate, factor)
            .ok_or_else(|| overflow(self.found, self.call))?;
        self.lines.push(line);
        Ok(())
    }

    /// Adds a line of a dimension that no stated price is for.
    pub(super) fn charge_as(
        &mut self,
        dimension: Dimension,
        quantity: Decimal,
        rate: Rate,
    ) -> Result<(), Unpriced> {
        let line = line(dimension, quantity, rate, Decimal::ONE)
            .ok_or_else(|| overflow(self.found, self.call))?;
        self.lines.push(line);
        Ok(())
    }

    pub(super) fn no_price(&self, kind: Kind) -> Unpriced {
        Unpriced::NoPriceForTokens {
            key: self.found.key().to_owned(),
            dimension: kind.dimension().unwrap_or(Dimension::Input),
        }
    }

    fn close(self) -> Result<Priced, Unpriced> {
        let total = total(&self.lines).ok_or_else(|| overflow(self.found, self.call))?;
        // Nothing but dimensions that have no price: a zero that nobody has stated.
        if let Some(first) = self.lines.first()
            && self.lines.iter().all(|line| line.basis == Basis::NotStated)
        {
            return Err(Unpriced::NoPriceForTokens {
                key: self.found.key().to_owned(),
                dimension: first.dimension,
            });
        }
        // A model that makes songs or images may state its tokens as free; its calls are not.
        let only_tokens = self.lines.iter().all(|line| line.dimension.is_tokens());
        if total.is_zero() && only_tokens && self.found.entry().has_uncounted_charges {
            return Err(Unpriced::ChargedBesideTokens {
                key: self.found.key().to_owned(),
            });
        }
        Ok(Priced {
            total,
            key: self.found.key().to_owned(),
            origin: self.found.origin(),
            service_tier: self.call.service_tier,
            factor: self.factor,
            lines: self.lines,
        })
    }
}

/// What every price is multiplied by for where and how the call was served.
fn factor(found: &Match<'_>, call: &Billable) -> Option<Decimal> {
    let place = &call.place;
    if place.known_factor.is_some() {
        return place.known_factor;
    }
    let residency = place.residency.map(|region| match region {
        Residency::EuropeanUnion => Kind::FactorEu,
        Residency::UnitedStates => Kind::FactorUs,
    });
    let kinds = [
        residency,
        place.regional_endpoint.then_some(Kind::FactorRegion),
        place.served_in_us.then_some(Kind::FactorServedUs),
        place.fast_mode.then_some(Kind::FactorFast),
    ];
    kinds
        .into_iter()
        .flatten()
        .filter_map(|kind| found.entry().prices.flat(kind))
        .try_fold(Decimal::ONE, exact::product)
}

fn line(dimension: Dimension, quantity: Decimal, rate: Rate, factor: Decimal) -> Option<Line> {
    let stated = rate.price.unwrap_or(Decimal::ZERO);
    let unit_price = if factor == Decimal::ONE {
        stated
    } else {
        exact::product(stated, factor)?
    };
    Some(Line {
        dimension,
        quantity,
        unit_price: Usd::new(unit_price).ok()?,
        amount: Usd::new(exact::product(unit_price, quantity)?).ok()?,
        basis: rate.basis,
    })
}

fn total(lines: &[Line]) -> Option<Usd> {
    let sum = lines.iter().try_fold(Decimal::ZERO, |sum, line| {
        exact::plus(sum, line.amount.as_decimal())
    })?;
    Usd::new(sum).ok()
}

fn overflow(found: &Match<'_>, call: &Billable) -> Unpriced {
    Unpriced::Overflow {
        key: found.key().to_owned(),
        tokens: call.tokens.total_tokens,
    }
}

fn check(call: &Billable) -> Result<(), Unpriced> {
    let (tokens, units) = (&call.tokens, &call.units);
    let sum = |parts: &[u64]| {
        parts
            .iter()
            .try_fold(0_u64, |sum, part| sum.checked_add(*part))
    };
    let kinds_in = sum(&[
        tokens.audio_prompt_tokens,
        tokens.image_prompt_tokens,
        units.video_prompt_tokens,
    ]);
    let kinds_out = sum(&[
        tokens.reasoning_tokens,
        tokens.audio_completion_tokens,
        tokens.image_completion_tokens,
        units.video_completion_tokens,
    ]);
    if !tokens.adds_up()
        || kinds_in.is_none_or(|sum| sum > tokens.prompt_tokens)
        || kinds_out.is_none_or(|sum| sum > tokens.completion_tokens)
    {
        return Err(Unpriced::DoesNotAddUp {
            prompt: tokens.prompt_tokens,
            completion: tokens.completion_tokens,
            total: tokens.total_tokens,
        });
    }
    if tokens.total_tokens == 0 && units.is_empty() {
        return Err(Unpriced::NoTokens);
    }
    Ok(())
}
