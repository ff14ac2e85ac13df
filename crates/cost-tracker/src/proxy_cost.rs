//! What the proxy says that a call cost.

use event_payloads::Usd;
use serde_json::Value;

use crate::shown::shown;

/// The proxy's figure for one call, if it gave one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ProxyCost {
    /// An amount. Zero is an amount too; [`CostTracker::settle`](crate::CostTracker::settle) decides
    /// whether it can be true.
    Reported(Usd),
    /// The proxy said nothing.
    #[default]
    Silent,
    /// The proxy said something that is no amount; this is what (shortened).
    Invalid(String),
}

impl ProxyCost {
    /// From the value of the header `x-litellm-response-cost`, the only cost header that is one: the
    /// others with `cost` or `spend` in their name are written before the cost is known.
    ///
    /// Only for an answer with a success status: errors carry `0` there, which is not a price.
    #[must_use]
    pub fn from_header(value: Option<&str>) -> Self {
        let text = value.unwrap_or_default().trim();
        // The proxy is Python: a cost that it could not compute is written as `None`.
        if text.is_empty() || text.eq_ignore_ascii_case("none") || text.eq_ignore_ascii_case("null")
        {
            return Self::Silent;
        }
        Self::from_text(text)
    }

    /// From the JSON number `cost` inside the `usage` object of an answer or of a stream's last chunk.
    #[must_use]
    pub fn from_usage(usage: &Value) -> Self {
        match usage.get("cost") {
            None | Some(Value::Null) => Self::Silent,
            Some(Value::Number(number)) => Self::from_text(number.as_str()),
            Some(other) => Self::Invalid(shown(&other.to_string())),
        }
    }

    /// The better of two: an amount before something invalid, something invalid before silence, the
    /// first before the second.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        match (&self, &other) {
            (Self::Reported(_), _) | (_, Self::Silent) | (Self::Invalid(_), Self::Invalid(_)) => {
                self
            }
            _ => other,
        }
    }

    fn from_text(text: &str) -> Self {
        text.parse()
            .map_or_else(|_| Self::Invalid(shown(text)), Self::Reported)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reported(text: &str) -> ProxyCost {
        ProxyCost::Reported(text.parse().unwrap())
    }

    #[test]
    fn a_header_is_an_amount_silence_or_invalid() {
        assert_eq!(
            ProxyCost::from_header(Some("1.88e-05")),
            reported("0.0000188")
        );
        assert_eq!(ProxyCost::from_header(Some(" 0.0 ")), reported("0"));
        for silent in [None, Some(""), Some("  "), Some("None"), Some("null")] {
            assert_eq!(ProxyCost::from_header(silent), ProxyCost::Silent);
        }
        for text in ["NaN", "inf", "-1e-9", "free", "1e12"] {
            assert_eq!(
                ProxyCost::from_header(Some(text)),
                ProxyCost::Invalid(text.into())
            );
        }
    }

    #[test]
    fn only_a_number_in_the_usage_is_an_amount() {
        let of = |json: &str| ProxyCost::from_usage(&serde_json::from_str(json).unwrap());
        assert_eq!(
            of(r#"{"cost": 3.6999999999999997e-6}"#),
            reported("3.6999999999999997e-6")
        );
        assert_eq!(of(r#"{"cost": null}"#), ProxyCost::Silent);
        assert_eq!(of("{}"), ProxyCost::Silent);
        assert_eq!(of("[]"), ProxyCost::Silent);
        assert_eq!(
            of(r#"{"cost": "0.1"}"#),
            ProxyCost::Invalid(r#""0.1""#.into())
        );
        assert_eq!(of(r#"{"cost": -2}"#), ProxyCost::Invalid("-2".into()));
        assert_eq!(
            of(r#"{"cost": 1e999}"#),
            ProxyCost::Invalid("1e+999".into())
        );
        assert_eq!(of(r#"{"cost": true}"#), ProxyCost::Invalid("true".into()));
    }

    #[test]
    fn an_amount_is_better_than_nonsense_and_nonsense_than_silence() {
        let invalid = ProxyCost::Invalid("NaN".into());
        assert_eq!(invalid.clone().or(reported("1")), reported("1"));
        assert_eq!(ProxyCost::Silent.or(invalid.clone()), invalid);
        assert_eq!(invalid.clone().or(ProxyCost::Silent), invalid);
        assert_eq!(reported("1").or(reported("2")), reported("1"));
        assert_eq!(
            ProxyCost::Silent.or(ProxyCost::Silent),
            ProxyCost::default()
        );
    }

    proptest! {
        #[test]
        fn no_header_makes_reading_panic(text in "\\PC{0,200}") {
            let _ = ProxyCost::from_header(Some(&text));
        }
    }
}
