//! From the map inside the `litellm` package to the compact form beside the source.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::exact;
use crate::shown::shown;

/// Entries of the package's map that describe its format or its rules and are no models.
const NOT_MODELS: [&str; 2] = ["sample_spec", "fallback_generalizations"];

/// Where a price map was taken from. Stands in the map itself, so that a price can be traced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceMapSource {
    /// The package, with its version: `litellm 1.102.4`.
    pub package: String,
    /// The file inside the package.
    pub file: String,
    /// SHA-256 of that file, in hexadecimal.
    pub sha256: String,
    /// The day on which it was taken, `YYYY-MM-DD`.
    pub taken: String,
}

/// Why a price map cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GenerateError {
    /// Not the JSON object that the package holds.
    #[error("the price map is not a JSON object of models")]
    Json(#[source] serde_json::Error),
    /// A model that is not an object.
    #[error("the price map's entry `{model}` is not an object")]
    Entry {
        /// Its key.
        model: String,
    },
    /// A price that is negative, or has more digits than a decimal holds.
    #[error(
        "the price map's entry `{model}` has {value} as `{field}`, expected a decimal number, 0 or more"
    )]
    Price {
        /// The model's key.
        model: String,
        /// Which price.
        field: String,
        /// What stands there (shortened).
        value: String,
    },
}

/// Turns the text of `model_prices_and_context_window_backup.json` into the text of `data/prices.json`.
///
/// Kept: every model, one a line in the order of the package (so that a diff shows what changed), with
/// its provider, its mode and every field that a price can depend on, also those that this version
/// does not use yet. Numbers keep the digits that they have in the package.
///
/// # Errors
/// The text is no such map, or holds a price that is no price.
pub fn generate(raw_json: &str, source: &PriceMapSource) -> Result<String, GenerateError> {
    let raw: Map<String, Value> = serde_json::from_str(raw_json).map_err(GenerateError::Json)?;
    let mut lines = Vec::with_capacity(raw.len());
    for (model, entry) in raw {
        if NOT_MODELS.contains(&model.as_str()) {
            continue;
        }
        let Value::Object(entry) = entry else {
            return Err(GenerateError::Entry { model });
        };
        let kept: Map<String, Value> = entry
            .into_iter()
            .filter(|(field, value)| is_kept(field) && !value.is_null())
            .collect();
        for (field, value) in &kept {
            check_prices(&model, field, value)?;
        }
        lines.push(format!("{}:{}", Value::String(model), Value::Object(kept)));
    }
    let source = serde_json::to_string(source).map_err(GenerateError::Json)?;
    Ok(format!(
        "{{\"source\":{source},\n\"models\":{{\n{}\n}}}}\n",
        lines.join(",\n")
    ))
}

fn is_kept(field: &str) -> bool {
    matches!(field, "litellm_provider" | "mode") || is_price(field)
}

fn is_price(field: &str) -> bool {
    matches!(
        field,
        "tiered_pricing"
            | "off_peak_pricing"
            | "web_search_billing_unit"
            | "provider_specific_entry"
    ) || field.contains("cost_per")
        || field.contains("_token_cost")
        || field.contains("uplift_multiplier")
}

/// The fields of an entry that state a price.
pub(crate) fn kept_prices(entry: &Map<String, Value>) -> Map<String, Value> {
    let stated = entry
        .iter()
        .filter(|(field, value)| is_price(field) && !value.is_null());
    stated
        .map(|(field, value)| (field.clone(), value.clone()))
        .collect()
}

fn check_prices(model: &str, field: &str, value: &Value) -> Result<(), GenerateError> {
    match value {
        Value::Number(number) => {
            let price = exact::parse(number.as_str());
            if price.is_some_and(|price| price.is_zero() || price.is_sign_positive()) {
                return Ok(());
            }
            Err(GenerateError::Price {
                model: model.to_owned(),
                field: field.to_owned(),
                value: shown(number.as_str()),
            })
        }
        Value::Array(values) => values
            .iter()
            .try_for_each(|value| check_prices(model, field, value)),
        Value::Object(values) => values
            .iter()
            .try_for_each(|(inner, value)| check_prices(model, &format!("{field}.{inner}"), value)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source() -> PriceMapSource {
        PriceMapSource {
            package: "litellm 9.9.9".into(),
            file: "map.json".into(),
            sha256: "00".into(),
            taken: "2026-01-02".into(),
        }
    }

    #[test]
    fn only_what_a_price_needs_is_kept_digit_by_digit_one_model_a_line() {
        let raw = r#"{
            "sample_spec": {"mode": "one of"},
            "b": {"max_tokens": 8, "mode": "chat", "input_cost_per_token": 2.9999900000000002e-06,
                  "output_cost_per_token": null, "litellm_provider": "x", "source": "https://"},
            "a\"": {"tiered_pricing": [{"range": [0, 32000.0], "input_cost_per_token": 5e-08}],
                  "cache_read_input_token_cost_above_200k_tokens": 0}
        }"#;
        let expected = concat!(
            r#"{"source":{"package":"litellm 9.9.9","file":"map.json","sha256":"00","taken":"2026-01-02"},"#,
            "\n\"models\":{\n",
            r#""b":{"mode":"chat","input_cost_per_token":2.9999900000000002e-06,"litellm_provider":"x"},"#,
            "\n",
            r#""a\"":{"tiered_pricing":[{"range":[0,32000.0],"input_cost_per_token":5e-08}],"cache_read_input_token_cost_above_200k_tokens":0}"#,
            "\n}}\n",
        );
        assert_eq!(generate(raw, &source()).unwrap(), expected);
    }

    #[test]
    fn a_map_with_an_impossible_price_is_refused_with_its_place() {
        let message = |raw: &str| generate(raw, &source()).unwrap_err().to_string();
        assert_eq!(
            message(r#"{"m": {"input_cost_per_token": -1e-6}}"#),
            "the price map's entry `m` has -1e-6 as `input_cost_per_token`, expected a decimal number, 0 or more"
        );
        assert!(
            message(r#"{"m": {"tiered_pricing": [{"input_cost_per_token": 1e-40}]}}"#)
                .contains("tiered_pricing.input_cost_per_token")
        );
        assert_eq!(
            message(r#"{"m": 1}"#),
            "the price map's entry `m` is not an object"
        );
        assert_eq!(
            message("[]"),
            "the price map is not a JSON object of models"
        );
    }
}
