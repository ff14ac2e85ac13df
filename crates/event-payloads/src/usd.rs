//! Money: decimal in memory, picodollars in SQL, a plain number in JSON.

use std::fmt;
use std::iter::Sum;
use std::str::FromStr;

use rust_decimal::{Decimal, RoundingStrategy};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Decimal places of a picodollar: 1e-12 USD.
const PICO_SCALE: u32 = 12;
/// The longest text that can be an amount; anything longer is hostile or broken.
const MAX_TEXT_BYTES: usize = 128;
/// Exponents beyond this are zero or absurd in either direction.
const MAX_EXPONENT: i32 = 60;

/// An amount of US dollars: exact, decimal, never negative, at most [`Usd::MAX`].
///
/// The upper bound is what fits the SQL column ([`Picodollars`], 64 bits): about 9.2 million USD,
/// far above any call, so that the conversion cannot fail.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Usd(Decimal);

/// Why a number is not an amount of money.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UsdError {
    /// Not a finite decimal number.
    #[error("`{0}` is not a decimal number")]
    NotANumber(String),
    /// Below zero.
    #[error("`{0}` is negative, a cost is at least 0 USD")]
    Negative(String),
    /// Above [`Usd::MAX`].
    #[error("`{0}` is more than the largest amount, {max} USD", max = Usd::MAX)]
    TooLarge(String),
}

impl Usd {
    /// Nothing.
    pub const ZERO: Self = Self(Decimal::ZERO);
    /// The largest amount: 9 223 372 USD, the whole dollars that fit 64 bits of picodollars.
    pub const MAX: Self = Self(Decimal::from_parts(9_223_372, 0, 0, false, 0));

    /// An amount from a decimal number of USD.
    ///
    /// # Errors
    /// Negative, or more than [`Usd::MAX`].
    pub fn new(amount: Decimal) -> Result<Self, UsdError> {
        if amount.is_zero() {
            return Ok(Self::ZERO);
        }
        if amount.is_sign_negative() {
            return Err(UsdError::Negative(amount.to_string()));
        }
        if amount > Self::MAX.0 {
            return Err(UsdError::TooLarge(amount.to_string()));
        }
        Ok(Self(amount.normalize()))
    }

    /// The amount in USD.
    #[must_use]
    pub const fn as_decimal(self) -> Decimal {
        self.0
    }

    /// True for exactly 0 USD.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0.is_zero()
    }

    /// The amount as the integer that SQL stores, rounded half to even below 1e-12 USD.
    #[must_use]
    pub fn to_picodollars(self) -> Picodollars {
        let mut pico = self
            .0
            .round_dp_with_strategy(PICO_SCALE, RoundingStrategy::MidpointNearestEven);
        pico.rescale(PICO_SCALE);
        // Within range by construction: `MAX` is what 64 bits of picodollars hold.
        Picodollars(i64::try_from(pico.mantissa()).unwrap_or(i64::MAX))
    }

    /// The amount in whole picodollars, rounded half to even.
    ///
    /// What a call costs is settled to this, so that its event, its header and the sums in SQL show
    /// the same figure, and the noise of a float that somebody else computed with
    /// (`3.6999999999999997e-6`) is gone.
    #[must_use]
    pub fn rounded(self) -> Self {
        let rounded = self
            .0
            .round_dp_with_strategy(PICO_SCALE, RoundingStrategy::MidpointNearestEven);
        Self(rounded.normalize())
    }

    /// The sum, or `None` above [`Usd::MAX`].
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        Self::new(self.0.checked_add(other.0)?).ok()
    }

    /// The absolute difference.
    #[must_use]
    pub fn abs_diff(self, other: Self) -> Self {
        Self((self.0 - other.0).abs().normalize())
    }
}

impl FromStr for Usd {
    type Err = UsdError;

    /// Reads `0.0000188`, `1.88e-05`, `3.6999999999999997e-6`: what Python and JSON write.
    fn from_str(text: &str) -> Result<Self, UsdError> {
        let shown = || text.chars().take(40).collect::<String>();
        let amount = parse_decimal(text).ok_or_else(|| UsdError::NotANumber(shown()))?;
        Self::new(amount)
    }
}

/// A decimal from plain or scientific notation. Digits beyond 28 places are rounded.
fn parse_decimal(text: &str) -> Option<Decimal> {
    let text = text.trim();
    if text.is_empty() || text.len() > MAX_TEXT_BYTES {
        return None;
    }
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    // `Decimal` reads `1_000`; money on the wire does not look like that.
    if mantissa.contains('_') || exponent.abs() > MAX_EXPONENT {
        return None;
    }
    shift(Decimal::from_str(mantissa).ok()?, exponent)
}

/// `value × 10^exponent`.
fn shift(value: Decimal, exponent: i32) -> Option<Decimal> {
    // `Decimal` has no powers of ten below 1e-28 or above 1e28, so a large step is two small ones.
    const STEP: u32 = 14;
    let mut left = exponent.unsigned_abs();
    let mut value = value;
    while left > 0 {
        let step = left.min(STEP);
        let power = Decimal::from_i128_with_scale(10_i128.pow(step), 0);
        value = if exponent < 0 {
            value.checked_div(power)?
        } else {
            value.checked_mul(power)?
        };
        left -= step;
    }
    Some(value)
}

impl fmt::Display for Usd {
    /// Plain decimal, never scientific: `0.0000188`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} USD", self.0)
    }
}

impl Serialize for Usd {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let number =
            serde_json::Number::from_str(&self.0.to_string()).map_err(serde::ser::Error::custom)?;
        number.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Usd {
    /// Reads a JSON number, or a string that holds one.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::Number(number) => number.to_string(),
            serde_json::Value::String(text) => text,
            other => {
                return Err(de::Error::custom(format!(
                    "expected an amount of USD, found {other}"
                )));
            }
        };
        text.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Usd {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Usd".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number", "minimum": 0, "description": "US dollars." })
    }
}

/// A whole number of 1e-12 USD, as SQL stores money so that `SUM` is exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Picodollars(i64);

impl Picodollars {
    /// From the integer of a SQL column.
    #[must_use]
    pub const fn new(pico: i64) -> Self {
        Self(pico)
    }

    /// The integer for a SQL column.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }

    /// The same amount as decimal USD.
    ///
    /// # Errors
    /// A negative number, which no column of costs holds.
    pub fn to_usd(self) -> Result<Usd, UsdError> {
        Usd::new(Decimal::from_i128_with_scale(
            i128::from(self.0),
            PICO_SCALE,
        ))
    }
}

impl Sum for Picodollars {
    /// Exact; stops at the largest 64-bit number instead of wrapping.
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        Self(iter.fold(0, |sum, pico| sum.saturating_add(pico.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn usd(text: &str) -> Usd {
        text.parse().unwrap()
    }

    #[test]
    fn the_notations_that_the_proxy_writes_are_read_exactly() {
        assert_eq!(usd("1.88e-05").to_string(), "0.0000188");
        assert_eq!(
            usd("3.6999999999999997e-6").to_string(),
            "0.0000036999999999999997"
        );
        assert_eq!(usd("0.0"), Usd::ZERO);
        assert_eq!(usd("-0.0"), Usd::ZERO);
        assert_eq!(usd("1E2").to_string(), "100");
        assert_eq!(usd("1e-40"), Usd::ZERO);
    }

    #[test]
    fn what_is_not_money_is_refused_with_its_text() {
        for text in [
            "", "NaN", "inf", "-inf", "1e", "0x1", "1_000", "--1", "1e99999", "1 2",
        ] {
            assert!(
                matches!(text.parse::<Usd>(), Err(UsdError::NotANumber(_))),
                "{text}"
            );
        }
        assert_eq!(
            "-1e-9".parse::<Usd>(),
            Err(UsdError::Negative("-0.000000001".into()))
        );
        assert!(matches!("1e12".parse::<Usd>(), Err(UsdError::TooLarge(_))));
        assert!(matches!(
            "9".repeat(200).parse::<Usd>(),
            Err(UsdError::NotANumber(_))
        ));
    }

    #[test]
    fn amounts_compare_add_and_show() {
        let (one, two) = (usd("1.5"), usd("2"));
        assert_eq!(one.abs_diff(two), two.abs_diff(one));
        assert_eq!(one.abs_diff(two), usd("0.5"));
        assert_eq!(one.checked_add(two), Some(usd("3.5")));
        assert_eq!(Usd::MAX.checked_add(one), None);
        assert_eq!(format!("{one:?}"), "1.5 USD");
        assert_eq!(
            serde_json::from_str::<Usd>("\"0.25\"").unwrap(),
            usd("0.25")
        );
        assert!(serde_json::from_str::<Usd>("true").is_err());
    }

    #[test]
    fn half_a_picodollar_rounds_to_even() {
        assert_eq!(usd("0.0000000000005").to_picodollars().get(), 0);
        assert_eq!(usd("0.0000000000015").to_picodollars().get(), 2);
        assert_eq!(Usd::MAX.to_picodollars().get(), 9_223_372_000_000_000_000);
    }

    #[test]
    fn a_settled_amount_has_no_float_noise_and_equals_its_picodollars() {
        let noisy = usd("3.6999999999999997e-6");
        assert_eq!(noisy.rounded().to_string(), "0.0000037");
        assert_eq!(noisy.to_picodollars().to_usd().unwrap(), noisy.rounded());
    }

    #[test]
    fn json_keeps_every_digit_in_both_directions() {
        let amount = usd("1234567.123456789012");
        let json = serde_json::to_string(&amount).unwrap();
        assert_eq!(json, "1234567.123456789012");
        assert_eq!(serde_json::from_str::<Usd>(&json).unwrap(), amount);
        let through_value: Usd =
            serde_json::from_value(serde_json::to_value(amount).unwrap()).unwrap();
        assert_eq!(through_value, amount);
    }

    proptest! {
        #[test]
        fn picodollars_round_trip(pico in 0_i64..=9_223_372_000_000_000_000) {
            prop_assert_eq!(Picodollars::new(pico).to_usd().unwrap().to_picodollars().get(), pico);
        }

        #[test]
        fn print_and_parse_round_trip(mantissa in 0_i64..=9_223_372_036_854, scale in 0_u32..=20) {
            let Ok(amount) = Usd::new(Decimal::new(mantissa, scale)) else { return Ok(()); };
            prop_assert_eq!(usd(&amount.to_string()), amount);
            let json = serde_json::to_string(&amount).unwrap();
            prop_assert_eq!(serde_json::from_str::<Usd>(&json).unwrap(), amount);
        }

        #[test]
        fn a_sum_of_picodollars_equals_its_parts(parts in proptest::collection::vec(0_i64..1_000_000_000, 0..100)) {
            let exact: i64 = parts.iter().sum();
            let sum: Picodollars = parts.into_iter().map(Picodollars::new).sum();
            prop_assert_eq!(sum.get(), exact);
        }

        #[test]
        fn no_text_makes_parsing_panic(text in ".{0,80}") {
            let _ = text.parse::<Usd>();
        }
    }
}
