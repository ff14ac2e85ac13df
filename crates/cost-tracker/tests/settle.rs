//! Two sources, one cost.
#![expect(clippy::unwrap_used, reason = "helper functions of a test")]

use cost_tracker::{CostTracker, DriftThreshold, PriceBook, ProxyCost, UsageError};
use event_payloads::{Cost, CostDrift, CostSource, TokenUsage, Usd};
use proptest::prelude::*;
use rust_decimal::Decimal;

fn usd(text: &str) -> Usd {
    text.parse().unwrap()
}

fn tracker() -> CostTracker {
    let prices = "[models.mine]\ninput_per_million = 1\noutput_per_million = 1\n[models.free]\ninput_per_million = 0\noutput_per_million = 0";
    CostTracker::new(PriceBook::builtin().with_overrides(prices).unwrap().into())
}

/// The cost of 1000 tokens in and 0 out: 0.001 USD for `mine`.
fn settle(model: &str, proxy: &ProxyCost) -> Cost {
    tracker().settle(None, model, Ok(&TokenUsage::new(1000, 0)), proxy)
}

fn reported(text: &str) -> ProxyCost {
    ProxyCost::Reported(usd(text))
}

fn reason(cost: &Cost) -> &str {
    match cost {
        Cost::Unavailable(reason) => reason,
        Cost::Known { .. } => "known",
    }
}

#[test]
fn the_proxys_figure_wins() {
    assert_eq!(
        settle("mine", &reported("0.001")),
        Cost::known(usd("0.001"), CostSource::Proxy)
    );
    assert_eq!(
        settle("unknown", &reported("0.5")),
        Cost::known(usd("0.5"), CostSource::Proxy)
    );
    let without_usage = tracker().settle(None, "mine", Err(&UsageError::Missing), &reported("0.5"));
    assert_eq!(without_usage, Cost::known(usd("0.5"), CostSource::Proxy));
}

#[test]
fn a_difference_over_the_threshold_is_drift() {
    let drift = |proxy: &str| match settle("mine", &reported(proxy)) {
        Cost::Known {
            usd: amount,
            source: CostSource::Proxy,
            drift,
        } => {
            assert_eq!(amount, usd(proxy));
            drift
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(drift("0.00101"), None);
    assert_eq!(drift("0.00099"), None);
    let expected = CostDrift {
        proxy_usd: usd("0.002"),
        price_book_usd: usd("0.001"),
    };
    assert_eq!(drift("0.002"), Some(expected));
    assert!(drift("0.000989").is_some());
}

#[test]
fn a_tiny_difference_is_no_drift_however_large_its_share() {
    let one_token = TokenUsage::new(1, 0);
    let cost = tracker().settle(None, "mine", Ok(&one_token), &reported("0.0000010009"));
    assert!(matches!(cost, Cost::Known { drift: None, .. }));
    let loose = DriftThreshold::new(Decimal::new(5, 1), usd("1")).unwrap();
    let cost =
        tracker()
            .with_threshold(loose)
            .settle(None, "mine", Ok(&one_token), &reported("0.9"));
    assert!(matches!(cost, Cost::Known { drift: None, .. }));
}

#[test]
fn a_silent_zero_is_replaced_and_shown() {
    let expected = Cost::Known {
        usd: usd("0.001"),
        source: CostSource::Override,
        drift: Some(CostDrift {
            proxy_usd: Usd::ZERO,
            price_book_usd: usd("0.001"),
        }),
    };
    assert_eq!(settle("mine", &reported("0.0")), expected);
    let builtin = settle("gpt-4o-mini", &reported("0"));
    assert_eq!(
        (builtin.usd(), builtin.source()),
        (Some(usd("0.00015")), CostSource::PriceBook)
    );
}

#[test]
fn a_zero_is_believed_only_if_a_price_of_zero_is_stated() {
    assert_eq!(
        settle("free", &reported("0")),
        Cost::known(Usd::ZERO, CostSource::Proxy)
    );
    assert_eq!(
        reason(&settle("unknown", &reported("0"))),
        "the proxy reports 0 USD, which nothing confirms: no price is known for `unknown`; add one as \
         [models.\"unknown\"] in config/prices.toml"
    );
    let without_usage = tracker().settle(None, "free", Err(&UsageError::Missing), &reported("0"));
    assert_eq!(
        reason(&without_usage),
        "the proxy reports 0 USD, which nothing confirms: the answer has no `usage`"
    );
    let no_tokens = tracker().settle(None, "mine", Ok(&TokenUsage::new(0, 0)), &reported("0"));
    assert!(reason(&no_tokens).ends_with("the usage counts no tokens at all"));
}

#[test]
fn the_price_book_fills_in_where_the_proxy_says_nothing_usable() {
    for proxy in [ProxyCost::Silent, ProxyCost::Invalid("NaN".into())] {
        assert_eq!(
            settle("mine", &proxy),
            Cost::known(usd("0.001"), CostSource::Override)
        );
        assert_eq!(
            settle("gpt-4o-mini", &proxy),
            Cost::known(usd("0.00015"), CostSource::PriceBook)
        );
        assert_eq!(
            settle("free", &proxy),
            Cost::known(Usd::ZERO, CostSource::Override)
        );
    }
}

#[test]
fn without_either_the_cost_is_unavailable_with_both_reasons() {
    let silent = settle("unknown", &ProxyCost::Silent);
    assert!(
        reason(&silent)
            .starts_with("the proxy reports no cost, and no price is known for `unknown`")
    );
    let invalid = tracker().settle(
        None,
        "mine",
        Err(&UsageError::Missing),
        &ProxyCost::Invalid("NaN".into()),
    );
    assert_eq!(
        reason(&invalid),
        "the proxy reports `NaN` as the cost, which is no amount, and the answer has no `usage`"
    );
    let overflow = tracker().settle(
        None,
        "mine",
        Ok(&TokenUsage::new(1 << 53, 0)),
        &ProxyCost::Silent,
    );
    assert!(reason(&overflow).contains("beyond what can be computed exactly"));
}

#[test]
fn a_threshold_is_a_share() {
    for relative in [Decimal::new(-1, 2), Decimal::new(101, 2)] {
        assert!(DriftThreshold::new(relative, Usd::ZERO).is_err());
    }
    let error = DriftThreshold::new(Decimal::TWO, Usd::ZERO).unwrap_err();
    assert_eq!(
        error.to_string(),
        "a relative drift threshold of 2 is outside of 0 to 1 (0.01 is 1 %)"
    );
    assert!(tracker().book().lookup(None, "mine").is_some());
}

proptest! {
    #[test]
    fn a_known_cost_is_vouched_for(
        figure in prop::option::of(prop_oneof![Just(0_i64), 0_i64..10_000_000_000]),
        model in prop::sample::select(vec!["mine", "free", "unknown", "gpt-4o-mini", "claude-sonnet-4-5"]),
        prompt in 0_u64..1_000_000, completion in 0_u64..100_000,
    ) {
        let proxy = figure.map_or(ProxyCost::Silent, |pico| {
            ProxyCost::Reported(Usd::new(Decimal::new(pico, 12)).unwrap())
        });
        let usage = TokenUsage::new(prompt, completion);
        let tracker = tracker();
        let ours = tracker.book().price(None, model, &usage);
        match tracker.settle(None, model, Ok(&usage), &proxy) {
            Cost::Known { usd: amount, source, drift } => {
                match source {
                    CostSource::Proxy => prop_assert_eq!(proxy, ProxyCost::Reported(amount)),
                    CostSource::PriceBook | CostSource::Override => prop_assert_eq!(ours.as_ref().unwrap().total, amount),
                    _ => prop_assert!(false, "a cost that nobody said"),
                }
                // A zero is a stated price, and drift names the figure that was not taken too.
                prop_assert!(!amount.is_zero() || ours.is_ok());
                prop_assert!(drift.is_none_or(|drift| drift.proxy_usd != drift.price_book_usd));
            }
            Cost::Unavailable(reason) => {
                prop_assert!(!reason.is_empty() && ours.is_err());
                prop_assert!(figure.is_none_or(|pico| pico == 0));
            }
        }
    }
}
