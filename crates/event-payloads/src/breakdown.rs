//! How a computed cost is made up.

use std::str::FromStr as _;

use rust_decimal::Decimal;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{CostSource, Usd};

/// What our price book computes for a call, part by part. It stands beside the cost of the event also
/// where the proxy's figure is that cost.
///
/// The amounts of the lines add up to `total_usd` exactly; the event's `cost_usd` is that total (or the
/// proxy's figure) in whole picodollars.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CostBreakdown {
    /// The sum of the lines, in USD.
    pub total_usd: Usd,
    /// The key of the price book whose prices these are.
    pub matched: String,
    /// Who stated them: `price_book` or `override`.
    #[serde(default)]
    pub source: CostSource,
    /// The class of service that was priced, if it is not the usual one: `flex`, `priority`, `batch`, …
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub service_tier: String,
    /// The kind of call that was priced, if it does not follow from the model.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub call_type: String,
    /// What every price was multiplied by for where or how the call was served; absent if by nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub factor: Option<Quantity>,
    /// The parts; a dimension that was not used has none.
    pub lines: Vec<CostLine>,
}

/// One dimension of a cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CostLine {
    /// What was charged: `input`, `cached_input`, `output`, `reasoning`, `web_search`, …
    pub dimension: String,
    /// How many tokens or other units.
    pub quantity: Quantity,
    /// USD for one of them.
    pub unit_price_usd: Usd,
    /// USD for all of them: exactly `quantity × unit_price_usd`.
    pub amount_usd: Usd,
    /// Where the unit price comes from: `stated`, or what stands in where none is stated.
    pub basis: String,
}

/// How many of something, exact: a whole number, or seconds with a fraction. Never negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quantity(Decimal);

impl Quantity {
    /// A quantity from a decimal number; `None` below 0.
    #[must_use]
    pub fn new(value: Decimal) -> Option<Self> {
        (value.is_zero() || value.is_sign_positive()).then(|| Self(value.normalize()))
    }

    /// The number.
    #[must_use]
    pub const fn as_decimal(self) -> Decimal {
        self.0
    }
}

impl Serialize for Quantity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serde_json::Number::from_str(&self.0.to_string())
            .map_err(serde::ser::Error::custom)?
            .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = serde_json::Number::deserialize(deserializer)?.to_string();
        let parsed = Decimal::from_str_exact(&text).or_else(|_| Decimal::from_scientific(&text));
        let value = parsed.map_err(|_| de::Error::custom(format!("`{text}` is no quantity")))?;
        Self::new(value).ok_or_else(|| de::Error::custom(format!("`{text}` is negative")))
    }
}

impl JsonSchema for Quantity {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Quantity".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number", "minimum": 0, "description": "How many tokens or other units." })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_breakdown_survives_json_digit_by_digit() {
        let json = r#"{"total_usd":0.0000000000000000002,"matched":"m","source":"override","factor":1.1,"lines":[{"dimension":"audio_second","quantity":0.25,"unit_price_usd":0.0000000000000000008,"amount_usd":0.0000000000000000002,"basis":"stated"}]}"#;
        let read: CostBreakdown = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), json);
        let through_a_value: CostBreakdown =
            serde_json::from_value(serde_json::to_value(&read).unwrap()).unwrap();
        assert_eq!(through_a_value, read);
    }

    #[test]
    fn what_is_no_quantity_is_refused() {
        for json in ["-1", "\"1\"", "null", "1e99"] {
            assert!(serde_json::from_str::<Quantity>(json).is_err(), "{json}");
        }
        assert_eq!(
            serde_json::from_str::<Quantity>("1e3")
                .unwrap()
                .as_decimal(),
            Decimal::from(1000)
        );
    }
}
