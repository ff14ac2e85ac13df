//! Decimal arithmetic that is exact or says that it cannot be.
//!
//! `Decimal`'s own operators round in silence once 28 places are used up, and its parser reads no
//! exponents exactly. Prices come from text such as `2.9999900000000002e-06`, so neither will do.

use rust_decimal::Decimal;

/// The longest text that can be a price or a count; longer is hostile or broken.
const MAX_TEXT_BYTES: usize = 64;
/// The most decimal places that a `Decimal` has.
const MAX_SCALE: u32 = 28;

/// Reads `12`, `0.25`, `5e-08`, `1.2E+3` without losing a digit; `None` if that is not possible.
pub(crate) fn parse(text: &str) -> Option<Decimal> {
    if text.is_empty() || text.len() > MAX_TEXT_BYTES || text.contains('_') {
        return None;
    }
    let (digits, exponent) = match text.split_once(['e', 'E']) {
        Some((digits, exponent)) => (digits, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let value = Decimal::from_str_exact(digits).ok()?.normalize();
    if value.is_zero() {
        return Some(Decimal::ZERO);
    }
    let scale = i32::try_from(value.scale()).ok()?.checked_sub(exponent)?;
    if let Ok(scale) = u32::try_from(scale) {
        return with_scale(value.mantissa(), scale);
    }
    let power = 10_i128.checked_pow(scale.unsigned_abs())?;
    with_scale(value.mantissa().checked_mul(power)?, 0)
}

/// `left × right`, or `None` if the product has more digits than a `Decimal` holds.
pub(crate) fn product(left: Decimal, right: Decimal) -> Option<Decimal> {
    with_scale(
        left.mantissa().checked_mul(right.mantissa())?,
        left.scale() + right.scale(),
    )
}

/// Half of it, or `None` if that has too many places.
pub(crate) fn half(value: Decimal) -> Option<Decimal> {
    with_scale(value.mantissa().checked_mul(5)?, value.scale() + 1)
}

/// `left + right`, or `None` if the sum has more digits than a `Decimal` holds.
pub(crate) fn plus(left: Decimal, right: Decimal) -> Option<Decimal> {
    let scale = left.scale().max(right.scale());
    let aligned = |value: Decimal| {
        let power = 10_i128.checked_pow(scale - value.scale())?;
        value.mantissa().checked_mul(power)
    };
    with_scale(aligned(left)?.checked_add(aligned(right)?)?, scale)
}

/// A price per thousand units as the price of one, or `None` if it has too many places.
pub(crate) fn per_one_of_thousand(per_thousand: Decimal) -> Option<Decimal> {
    let value = per_thousand.normalize();
    with_scale(value.mantissa(), value.scale() + 3)
}

/// A price per million units as the price of one, or `None` if it has too many places.
pub(crate) fn per_one(per_million: Decimal) -> Option<Decimal> {
    let value = per_million.normalize();
    with_scale(value.mantissa(), value.scale() + 6)
}

fn with_scale(mut mantissa: i128, mut scale: u32) -> Option<Decimal> {
    loop {
        if scale <= MAX_SCALE
            && let Ok(value) = Decimal::try_from_i128_with_scale(mantissa, scale)
        {
            return Some(value);
        }
        if scale == 0 || mantissa % 10 != 0 {
            return None;
        }
        mantissa /= 10;
        scale -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_notation_of_a_price_is_read_to_its_last_digit() {
        for (text, plain) in [
            ("5e-08", "0.00000005"),
            ("2.9999900000000002e-06", "0.0000029999900000000002"),
            ("0.0", "0"),
            ("0e999", "0"),
            ("12.50", "12.5"),
            ("1.2E+3", "1200"),
            ("-4e-1", "-0.4"),
            ("1e28", "10000000000000000000000000000"),
        ] {
            assert_eq!(parse(text).unwrap().to_string(), plain, "{text}");
        }
    }

    #[test]
    fn a_number_that_does_not_fit_is_refused_and_never_rounded() {
        for text in [
            "",
            "e",
            "1e",
            "x",
            "1_0",
            "NaN",
            "inf",
            "1e-29",
            "1e29",
            "1e-99999999999",
            "1e2147483648",
            "1.00000000000000000000000000001",
            "1.2.3",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(parse(&"1".repeat(65)), None);
        assert_eq!(product(Decimal::MAX, Decimal::TWO), None);
        assert_eq!(plus(Decimal::MAX, Decimal::ONE), None);
        assert_eq!(plus(Decimal::MAX, parse("1e-28").unwrap()), None);
        assert_eq!(per_one(parse("1e-28").unwrap()), None);
    }

    #[test]
    fn a_price_per_million_is_divided_exactly() {
        assert_eq!(per_one(parse("0.25").unwrap()), parse("2.5e-07"));
        assert_eq!(per_one(parse("1200000").unwrap()), parse("1.2"));
        assert_eq!(per_one_of_thousand(parse("35").unwrap()), parse("0.035"));
        assert_eq!(half(parse("2.5e-7").unwrap()), parse("1.25e-7"));
        assert_eq!(half(parse("1e-28").unwrap()), None);
        assert_eq!(
            product(parse("2.5e-7").unwrap(), parse("1.1").unwrap()),
            parse("2.75e-7")
        );
    }

    proptest! {
        #[test]
        fn a_product_equals_repeated_addition(mantissa in 0_i64..1_000_000_000, scale in 0_u32..20, count in 0_u64..50) {
            let price = Decimal::new(mantissa, scale);
            let mut sum = Decimal::ZERO;
            for _ in 0..count {
                sum = plus(sum, price).unwrap();
            }
            prop_assert_eq!(product(price, count.into()).unwrap(), sum);
        }

        #[test]
        fn what_parses_prints_and_parses_to_the_same(text in "[0-9]{1,12}(\\.[0-9]{1,8})?(e-?[0-9]{1,2})?") {
            if let Some(value) = parse(&text) {
                prop_assert_eq!(parse(&value.to_string()), Some(value));
            }
        }

        #[test]
        fn no_text_makes_parsing_panic(text in ".{0,80}") {
            let _ = parse(&text);
        }
    }
}
