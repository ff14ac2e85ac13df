//! A user's own prices: the text of `config/prices.toml`.

use std::collections::HashMap;
use std::ops::Range;

use rust_decimal::Decimal;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::entry::{Entry, Kind, Prices};
use crate::exact;
use crate::shown::shown;

/// What is wrong with a file of prices. Lines count from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OverrideError {
    /// The text is not TOML.
    #[error("line {line} of the prices: {message}")]
    Syntax {
        /// Where.
        line: usize,
        /// What the parser says.
        message: String,
    },
    /// A key that has no meaning here: a slip would leave a price out.
    #[error("line {line} of the prices: unknown key `{key}`, expected {expected}")]
    UnknownKey {
        /// Where.
        line: usize,
        /// The key.
        key: String,
        /// What may stand there.
        expected: String,
    },
    /// Something else than a table.
    #[error(
        "line {line} of the prices: `{key}` must be a table, as in [models.\"openai/my-model\"]"
    )]
    NotATable {
        /// Where.
        line: usize,
        /// The key.
        key: String,
    },
    /// Not a decimal number of USD, 0 or more.
    #[error(
        "line {line} of the prices: `{key}` of `{model}` is {found}, expected USD per 1 million tokens, a number from 0 to 1000000"
    )]
    NotAPrice {
        /// Where.
        line: usize,
        /// The model.
        model: String,
        /// The key.
        key: String,
        /// What stands there (shortened).
        found: String,
    },
    /// A model that would be priced by nothing.
    #[error(
        "line {line} of the prices: `{model}` has neither `input_per_million` nor `output_per_million`"
    )]
    NoPrice {
        /// Where.
        line: usize,
        /// The model.
        model: String,
    },
}

/// The keys of a model, and which price each sets.
const KEYS: [(&str, Kind); 10] = [
    ("input_per_million", Kind::Input),
    ("cached_input_per_million", Kind::CacheRead),
    ("cache_write_5m_per_million", Kind::CacheWrite5m),
    ("cache_write_1h_per_million", Kind::CacheWrite1h),
    ("audio_input_per_million", Kind::AudioInput),
    ("image_input_per_million", Kind::ImageInput),
    ("output_per_million", Kind::Output),
    ("audio_output_per_million", Kind::AudioOutput),
    ("image_output_per_million", Kind::ImageOutput),
    ("reasoning_per_million", Kind::Reasoning),
];

pub(super) fn parse_overrides(text: &str) -> Result<HashMap<String, Entry>, OverrideError> {
    let file = File { text };
    let document = DeTable::parse(text).map_err(|error| OverrideError::Syntax {
        line: file.line(error.span().unwrap_or_default()),
        message: error.message().to_owned(),
    })?;
    let mut entries = HashMap::new();
    for (key, value) in document.get_ref() {
        if key.get_ref() != "models" {
            return Err(OverrideError::UnknownKey {
                line: file.line(key.span()),
                key: shown(key.get_ref()),
                expected: "`models`".to_owned(),
            });
        }
        for (model, value) in file.table("models", value)? {
            let model_name = model.get_ref().as_ref();
            let prices = file.prices(model_name, value)?;
            if prices.input.is_none() && prices.output.is_none() {
                return Err(OverrideError::NoPrice {
                    line: file.line(model.span()),
                    model: shown(model_name),
                });
            }
            entries.insert(model_name.to_owned(), Entry::stated(prices));
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

    fn prices(&self, model: &str, value: &Spanned<DeValue<'_>>) -> Result<Prices, OverrideError> {
        let mut prices = Prices::default();
        for (key, value) in self.table(model, value)? {
            let Some((_, kind)) = KEYS.iter().find(|(name, _)| name == key.get_ref()) else {
                return Err(OverrideError::UnknownKey {
                    line: self.line(key.span()),
                    key: shown(key.get_ref()),
                    expected: format!("one of {}", KEYS.map(|(name, _)| name).join(", ")),
                });
            };
            *prices.slot(*kind) = Some(self.price(model, key.get_ref(), value)?);
        }
        Ok(prices)
    }

    /// A price per token, from the digits in the file: `0.1` is a tenth, not the float next to it.
    fn price(
        &self,
        model: &str,
        key: &str,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<Decimal, OverrideError> {
        let text = match value.get_ref() {
            DeValue::Integer(number) if number.radix() == 10 => number.as_str(),
            DeValue::Float(number) => number.as_str(),
            _ => "",
        };
        exact::parse(text)
            .filter(|price| !price.is_sign_negative() || price.is_zero())
            .filter(|price| *price <= Decimal::from(1_000_000))
            .and_then(exact::per_one)
            .ok_or_else(|| OverrideError::NotAPrice {
                line: self.line(value.span()),
                model: shown(model),
                key: key.to_owned(),
                found: shown(self.text.get(value.span()).unwrap_or_default()),
            })
    }
}
