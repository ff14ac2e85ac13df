//! A user's own prices: the text of `config/prices.toml`.

mod error;
mod keys;

use std::collections::HashMap;
use std::ops::Range;

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::entry::{Entry, Mode, Prices, Stated};
use super::kind::Kind;
use crate::billable::ServiceTier;
use crate::exact;
use crate::shown::shown;
pub use error::OverrideError;
use keys::{KEYS, SERVICES, Unit, names};

/// The key of the list of tiers, and of the bound inside one.
const TIERS: &str = "tiers";
const ABOVE: &str = "above_tokens";

pub(super) fn parse_overrides(text: &str) -> Result<HashMap<String, Entry>, OverrideError> {
    let file = File { text };
    let document = DeTable::parse(text).map_err(|error| OverrideError::Syntax {
        line: file.line(error.span().unwrap_or_default()),
        message: error.message().to_owned(),
    })?;
    let mut entries = HashMap::new();
    for (key, value) in document.get_ref() {
        if key.get_ref() != "models" {
            return Err(file.unknown_key(key.span(), key.get_ref(), "`models`".to_owned()));
        }
        for (model, value) in file.table("models", value)? {
            let entry = Reader::new(&file, model.get_ref()).entry(model.span(), value)?;
            entries.insert(model.get_ref().as_ref().to_owned(), entry);
        }
    }
    Ok(entries)
}

struct File<'a> {
    text: &'a str,
}

impl File<'_> {
    fn line(&self, span: Range<usize>) -> usize {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        before.matches('\n').count() + 1
    }

    fn unknown_key(&self, span: Range<usize>, key: &str, expected: String) -> OverrideError {
        OverrideError::UnknownKey {
            line: self.line(span),
            key: shown(key),
            expected,
        }
    }

    fn table<'v, 'i>(
        &self,
        key: &str,
        value: &'v Spanned<DeValue<'i>>,
    ) -> Result<&'v DeTable<'i>, OverrideError> {
        value
            .get_ref()
            .as_table()
            .ok_or_else(|| OverrideError::NotATable {
                line: self.line(value.span()),
                key: shown(key),
            })
    }
}

/// Reads one model.
struct Reader<'a> {
    file: &'a File<'a>,
    model: &'a str,
    prices: Vec<Stated>,
}

type Value<'i> = Spanned<DeValue<'i>>;

impl<'a> Reader<'a> {
    const fn new(file: &'a File<'a>, model: &'a str) -> Self {
        Self {
            file,
            model,
            prices: Vec::new(),
        }
    }

    fn entry(mut self, span: Range<usize>, value: &Value<'_>) -> Result<Entry, OverrideError> {
        for (key, value) in self.file.table(self.model, value)? {
            if key.get_ref() == TIERS {
                self.tiers(value)?;
            } else {
                self.price_or_service(0, key, value, TIERS)?;
            }
        }
        let states_a_price = self.prices.iter().any(|stated| {
            stated.above == 0
                && stated.service == ServiceTier::Standard
                && keys::stands_alone(stated.kind)
        });
        if !states_a_price {
            return Err(OverrideError::NoPrice {
                line: self.file.line(span),
                model: shown(self.model),
            });
        }
        Ok(Entry {
            mode: Mode::Any,
            each_search_counts: true,
            prices: Prices::new(self.prices),
            ..Entry::default()
        })
    }

    fn tiers(&mut self, value: &Value<'_>) -> Result<(), OverrideError> {
        let not_a_list = || OverrideError::NotAListOfTiers {
            line: self.file.line(value.span()),
            model: shown(self.model),
        };
        let tiers = value.get_ref().as_array().ok_or_else(not_a_list)?;
        for tier in tiers {
            self.tier(tier)?;
        }
        Ok(())
    }

    fn tier(&mut self, value: &Value<'_>) -> Result<(), OverrideError> {
        let table = self.file.table(TIERS, value)?;
        let above = self.bound(table, value.span())?;
        let mut input_is_stated = false;
        for (key, value) in table {
            if key.get_ref() == ABOVE {
                continue;
            }
            input_is_stated |= key.get_ref() == "input_per_million";
            self.price_or_service(above, key, value, ABOVE)?;
        }
        if input_is_stated {
            return Ok(());
        }
        Err(OverrideError::TierWithoutInput {
            line: self.file.line(value.span()),
            model: shown(self.model),
            above,
        })
    }

    /// The number of input tokens above which a tier counts.
    fn bound(&self, table: &DeTable<'_>, span: Range<usize>) -> Result<u64, OverrideError> {
        let stated = table.iter().find(|(key, _)| key.get_ref() == ABOVE);
        let bound = stated
            .and_then(|(_, value)| number(value))
            .filter(|bound| bound.fract().is_zero())
            .and_then(|bound| bound.to_u64())
            .filter(|bound| *bound > 0);
        let taken = |bound: &u64| self.prices.iter().any(|stated| stated.above == *bound);
        bound
            .filter(|bound| !taken(bound))
            .ok_or_else(|| OverrideError::NotABound {
                line: self
                    .file
                    .line(stated.map_or(span, |(_, value)| value.span())),
                model: shown(self.model),
            })
    }

    /// `input_per_million = 1`, or `flex = { … }` with the same keys inside.
    fn price_or_service(
        &mut self,
        above: u64,
        key: &Spanned<std::borrow::Cow<'_, str>>,
        value: &Value<'_>,
        also: &str,
    ) -> Result<(), OverrideError> {
        let service = SERVICES.iter().find(|(name, _)| name == key.get_ref());
        let Some((name, service)) = service else {
            return self.price(above, ServiceTier::Standard, key, value, also);
        };
        for (key, value) in self.file.table(name, value)? {
            self.price(above, *service, key, value, "")?;
        }
        Ok(())
    }

    fn price(
        &mut self,
        above: u64,
        service: ServiceTier,
        key: &Spanned<std::borrow::Cow<'_, str>>,
        value: &Value<'_>,
        also: &str,
    ) -> Result<(), OverrideError> {
        let name: &str = key.get_ref();
        let Some((_, kind, unit)) = KEYS.iter().find(|(known, ..)| *known == name) else {
            return Err(self.file.unknown_key(key.span(), name, names(also)));
        };
        // What is counted beside tokens has one price; a tier of it would never be asked for.
        if (above > 0 || service != ServiceTier::Standard) && !keys::has_tiers(*kind) {
            return Err(OverrideError::NoTierFor {
                line: self.file.line(key.span()),
                model: shown(self.model),
                key: name.to_owned(),
            });
        }
        let price = self.amount(name, value, *unit)?;
        let also_small = (*kind == Kind::WebSearch).then_some(Kind::WebSearchSmall);
        for kind in [Some(*kind), also_small].into_iter().flatten() {
            self.prices.push(Stated {
                kind,
                service,
                above,
                price,
            });
        }
        Ok(())
    }

    /// A price for one unit, from the digits in the file: `0.1` is a tenth, not the float next to it.
    fn amount(&self, key: &str, value: &Value<'_>, unit: Unit) -> Result<Decimal, OverrideError> {
        number(value)
            .filter(|price| !price.is_sign_negative() || price.is_zero())
            .filter(|price| *price <= Decimal::from(1_000_000))
            .and_then(|price| unit.per_one(price))
            .ok_or_else(|| OverrideError::NotAPrice {
                line: self.file.line(value.span()),
                model: shown(self.model),
                key: key.to_owned(),
                unit: unit.as_str(),
                found: shown(self.file.text.get(value.span()).unwrap_or_default()),
            })
    }
}

fn number(value: &Value<'_>) -> Option<Decimal> {
    exact::parse(match value.get_ref() {
        DeValue::Integer(number) if number.radix() == 10 => number.as_str(),
        DeValue::Float(number) => number.as_str(),
        _ => "",
    })
}
