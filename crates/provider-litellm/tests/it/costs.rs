//! What a call cost, whatever the answer says about it.

use event_payloads::{Cost, CostDrift, CostSource, TokenUsage};

use crate::setup::{MINI, USAGE, chat, good, http, known, result_of};

const COST: &str = "x-litellm-response-cost";
const HI: &str = r#"{"content":"Hi"}"#;

fn with_usage(headers: &[&str], usage: &str) -> provider_core::ModelCallResult {
    result_of(http("200 OK", headers, &chat(HI, usage)))
}

fn unavailable(cost: &Cost) -> &str {
    match cost {
        Cost::Unavailable(reason) => reason,
        Cost::Known { .. } => panic!("a false cost: {cost:?}"),
    }
}

#[test]
fn the_proxys_figure_wins() {
    let result = result_of(good(&[&format!("{COST}: 2.7e-04")]));
    assert_eq!(result.cost, known("0.00027", CostSource::Proxy));
    assert_eq!(result.token_usage, Some(TokenUsage::new(1000, 200)));
    assert_eq!(result.provider, "openai");
}

#[test]
fn a_figure_that_is_far_from_ours_is_drift() {
    let result = result_of(good(&[&format!("{COST}: 0.5")]));
    let expected = Cost::Known {
        usd: "0.5".parse().unwrap(),
        source: CostSource::Proxy,
        drift: Some(CostDrift {
            proxy_usd: "0.5".parse().unwrap(),
            price_book_usd: "0.00027".parse().unwrap(),
        }),
    };
    assert_eq!(result.cost, expected);
}

#[test]
fn a_reported_zero_for_a_priced_model_is_our_figure_and_drift() {
    for zero in ["0", "0.0", "0e-9"] {
        let expected = Cost::Known {
            usd: "0.00027".parse().unwrap(),
            source: CostSource::PriceBook,
            drift: Some(CostDrift {
                proxy_usd: "0".parse().unwrap(),
                price_book_usd: "0.00027".parse().unwrap(),
            }),
        };
        assert_eq!(
            result_of(good(&[&format!("{COST}: {zero}")])).cost,
            expected
        );
    }
}

#[test]
fn without_a_figure_the_price_book_fills_in() {
    let ours = known("0.00027", CostSource::PriceBook);
    assert_eq!(result_of(good(&[])).cost, ours);
    for nonsense in [
        "", "NaN", "-1", "-0.1", "inf", "free", "0x10", "1e99", "1,5", "None", "\u{e4}",
    ] {
        assert_eq!(
            result_of(good(&[&format!("{COST}: {nonsense}")])).cost,
            ours,
            "{nonsense}"
        );
    }
}

#[test]
fn an_unknown_model_without_a_figure_has_no_cost() {
    let own = "x-litellm-model-name: openai/my-own-model";
    let silent = with_usage(&[own], USAGE).cost;
    assert!(
        unavailable(&silent).contains("reports no cost"),
        "{silent:?}"
    );
    for nonsense in ["NaN", "-1", "free", "\u{e4}"] {
        let cost = with_usage(&[own, &format!("{COST}: {nonsense}")], USAGE).cost;
        assert!(unavailable(&cost).contains("no amount"), "{cost:?}");
    }
    let zero = with_usage(&[own, &format!("{COST}: 0")], USAGE).cost;
    assert!(unavailable(&zero).contains("nothing confirms"), "{zero:?}");
    let stated = with_usage(&[own, &format!("{COST}: 0.01")], USAGE);
    assert_eq!(stated.cost, known("0.01", CostSource::Proxy));
    assert_eq!(
        (stated.provider.as_str(), stated.model_name.as_str()),
        ("openai", "my-own-model")
    );
}

#[test]
fn the_other_cost_headers_are_traps() {
    let traps = [
        "x-litellm-response-cost-original: 0.0",
        "x-litellm-response-cost-input: 0.0",
        "x-litellm-response-cost-output: 0.7",
        "x-litellm-response-cost-discount-amount: 0.7",
        "x-litellm-key-spend: 0.7",
    ];
    assert_eq!(
        result_of(good(&traps)).cost,
        known("0.00027", CostSource::PriceBook)
    );
    let own = "x-litellm-model-name: openai/my-own-model";
    let cost = with_usage(&[&[own], traps.as_slice()].concat(), USAGE).cost;
    assert!(unavailable(&cost).contains("reports no cost"), "{cost:?}");
}

#[test]
fn figures_that_contradict_each_other_are_none() {
    let (one, other) = (format!("{COST}: 0.1"), format!("{COST}: 0.2"));
    assert_eq!(
        result_of(good(&[&one, &other])).cost,
        known("0.00027", CostSource::PriceBook)
    );
    let own = "x-litellm-model-name: openai/my-own-model";
    let cost = with_usage(&[own, &one, &other], USAGE).cost;
    assert!(unavailable(&cost).contains("0.1, 0.2"), "{cost:?}");
    // The same figure twice says one thing.
    assert_eq!(
        with_usage(&[own, &one, &one], USAGE).cost,
        known("0.1", CostSource::Proxy)
    );
}

#[test]
fn the_figure_may_stand_in_the_usage() {
    let usage = USAGE.replace("}", r#","cost":2.7000000000000003e-4}"#);
    assert_eq!(
        with_usage(&[MINI], &usage).cost,
        known("0.00027", CostSource::Proxy)
    );
}

#[test]
fn without_a_usage_that_can_be_right_there_is_none_and_only_the_proxy_knows_the_cost() {
    for usage in [
        "",
        r#""usage":null"#,
        r#""usage":{}"#,
        r#""usage":[]"#,
        r#""usage":"many""#,
        r#""usage":{"prompt_tokens":-1,"completion_tokens":2,"total_tokens":1}"#,
        r#""usage":{"prompt_tokens":1.5,"completion_tokens":2,"total_tokens":3.5}"#,
        r#""usage":{"prompt_tokens":"1","completion_tokens":2,"total_tokens":3}"#,
        r#""usage":{"prompt_tokens":null,"completion_tokens":2,"total_tokens":3}"#,
        r#""usage":{"prompt_tokens":1e400,"completion_tokens":2,"total_tokens":3}"#,
        r#""usage":{"prompt_tokens":99999999999999999999999,"completion_tokens":2,"total_tokens":3}"#,
        r#""usage":{"prompt_tokens":18446744073709551615,"completion_tokens":18446744073709551615,"total_tokens":1}"#,
    ] {
        let silent = with_usage(&[MINI], usage);
        assert_eq!(silent.token_usage, None, "{usage}");
        unavailable(&silent.cost);
        let zero = with_usage(&[MINI, &format!("{COST}: 0")], usage);
        unavailable(&zero.cost);
        let stated = with_usage(&[MINI, &format!("{COST}: 0.1")], usage);
        assert_eq!(stated.cost, known("0.1", CostSource::Proxy), "{usage}");
    }
}

#[test]
fn the_class_of_service_that_the_answer_names_has_its_own_price_and_its_own_breakdown() {
    // gpt-5-mini: 0.25 and 2 USD a million tokens, half of it in flex.
    let model = "x-litellm-model-name: openai/gpt-5-mini";
    for (tier, usd, named) in [
        ("", "0.00065", ""),
        (r#","service_tier":"default""#, "0.00065", ""),
        (r#","service_tier":"flex""#, "0.000325", "flex"),
    ] {
        let result = with_usage(&[model], &format!("{USAGE}{tier}"));
        assert_eq!(result.cost, known(usd, CostSource::PriceBook), "{tier}");
        let breakdown = result.cost_breakdown.unwrap();
        assert_eq!(breakdown.service_tier, named);
        assert_eq!(breakdown.total_usd, usd.parse().unwrap());
        let parts: Vec<&str> = breakdown
            .lines
            .iter()
            .map(|line| line.dimension.as_str())
            .collect();
        assert_eq!(parts, ["input", "output"]);
    }
}

#[test]
fn the_class_of_service_of_the_answer_and_its_searches_are_priced_and_shown() {
    let usage = r#""usage": {"prompt_tokens": 1000, "completion_tokens": 200, "total_tokens": 1200,
        "server_tool_use": {"web_search_requests": 2}}"#;
    let body = chat(HI, usage).replacen('{', r#"{"service_tier": "priority","#, 1);
    let model = "x-litellm-model-name: openai/gpt-5.5";
    let result = result_of(http("200 OK", &[model], &body));
    let breakdown = result.cost_breakdown.unwrap();
    assert_eq!(
        (breakdown.matched.as_str(), breakdown.service_tier.as_str()),
        ("gpt-5.5", "priority")
    );
    let lines: Vec<String> = breakdown
        .lines
        .iter()
        .map(|line| format!("{} {}", line.dimension, line.amount_usd))
        .collect();
    assert_eq!(lines, ["input 0.0125", "output 0.015", "web_search 0.02"]);
    assert_eq!(result.cost, known("0.0475", CostSource::PriceBook));
}

#[test]
fn the_breakdown_stands_beside_the_proxys_figure_too() {
    let result = result_of(good(&[&format!("{COST}: 2.7e-04")]));
    assert_eq!(result.cost.source(), CostSource::Proxy);
    let total = result.cost_breakdown.map(|breakdown| breakdown.total_usd);
    assert_eq!(total, Some("0.00027".parse().unwrap()));
}
