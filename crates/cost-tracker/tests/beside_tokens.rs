//! What is priced beside the tokens of a usage, and what a call's terms change.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helper functions of a test"
)]

use cost_tracker::{
    Basis, Billable, CallType, CostTracker, PriceBook, ProxyCost, Residency, ServiceTier, Unpriced,
    parse_billable,
};
use event_payloads::{CostSource, TokenUsage};
use rust_decimal::Decimal;
use serde_json::{Value, json};

fn call(usage: &Value) -> Billable {
    parse_billable(usage, CallType::AsTheModel).unwrap()
}

/// What a call costs, and its lines as `dimension quantity unit_price basis`.
fn priced(provider: &str, model: &str, call: &Billable) -> (String, Vec<String>) {
    let priced = PriceBook::builtin()
        .price_call(Some(provider), model, call)
        .unwrap();
    let lines = priced.lines.iter().map(|line| {
        format!(
            "{} {} {} {}",
            line.dimension.as_str(),
            line.quantity,
            line.unit_price,
            line.basis.as_str()
        )
    });
    (priced.total.to_string(), lines.collect())
}

fn searched(details: &Value) -> Billable {
    let mut usage = json!({"prompt_tokens": 0, "completion_tokens": 1, "total_tokens": 1});
    for (name, value) in details.as_object().unwrap() {
        usage[name] = value.clone();
    }
    call(&usage)
}

#[test]
fn each_provider_charges_searches_in_its_way() {
    let by_tool =
        |count: u64| searched(&json!({"server_tool_use": {"web_search_requests": count}}));
    let grounded =
        |count: u64| searched(&json!({"prompt_tokens_details": {"web_search_requests": count}}));
    let last = |provider, model, call: &Billable| priced(provider, model, call).1.pop().unwrap();
    assert_eq!(
        last("anthropic", "claude-sonnet-4-5", &by_tool(3)),
        "web_search 3 0.01 stated"
    );
    // Gemini 2: a prompt with any search; Gemini 3: each query.
    assert_eq!(
        last("gemini", "gemini-2.5-pro", &grounded(3)),
        "web_search 1 0.035 stated"
    );
    assert_eq!(
        last("gemini", "gemini-3-flash-preview", &grounded(3)),
        "web_search 3 0.014 stated"
    );
    assert_eq!(
        last("perplexity", "sonar-pro", &grounded(2)),
        "web_search 2 0.006 stated"
    );
    assert!(last("xai", "grok-4", &grounded(2)).starts_with("web_search 2 0.005 "));
    let pages = searched(
        &json!({"server_tool_use": {"web_search_requests": 1, "browser_open_requests": 5}}),
    );
    assert_eq!(
        last("groq", "openai/gpt-oss-120b", &pages),
        "page_opened 5 0.001 customary"
    );
    let maps = searched(&json!({"prompt_tokens_details": {"google_maps_grounding_requests": 2}}));
    assert!(last("gemini", "gemini-2.5-flash", &maps).starts_with("map_search 1 0.025 "));
    // Nothing is stated for searches: they are shown, and not charged.
    assert_eq!(
        last("openai", "gpt-3.5-turbo", &by_tool(2)),
        "web_search 2 0 not_stated"
    );
}

#[test]
fn a_class_of_service_has_its_prices_and_the_rest_stays() {
    let tokens = Billable::from(TokenUsage {
        cached_tokens: 400,
        ..TokenUsage::new(1000, 100)
    });
    let of = |service| {
        priced(
            "openai",
            "gpt-5.4",
            &tokens.clone().with_service_tier(service),
        )
    };
    let (standard, _) = of(ServiceTier::Standard);
    let (priority, lines) = of(ServiceTier::Priority);
    assert_eq!(
        lines,
        [
            "input 600 0.000005 stated",
            "cached_input 400 0.0000005 stated",
            "output 100 0.00003 stated"
        ]
    );
    assert_eq!((standard.as_str(), priority.as_str()), ("0.0031", "0.0062"));
    // A class without prices of its own is the standard one.
    assert_eq!(of(ServiceTier::Ultrafast).0, standard);
    // A batch without prices of its own is half, and says so.
    let (_, lines) = priced(
        "deepseek",
        "deepseek-chat",
        &tokens.with_service_tier(ServiceTier::Batch),
    );
    assert!(
        lines.iter().all(|line| line.ends_with(" half_in_batch")),
        "{lines:?}"
    );
}

#[test]
fn the_place_of_a_call_multiplies_every_token_price_and_no_search() {
    let mut call = searched(&json!({"server_tool_use": {"web_search_requests": 1}}));
    call.place.residency = Some(Residency::EuropeanUnion);
    let (_, lines) = priced("openai", "gpt-5.5", &call);
    assert_eq!(
        lines,
        ["output 1 0.000033 stated", "web_search 1 0.01 stated"]
    );
    let fast = searched(&json!({"speed": "fast", "inference_geo": "us"}));
    let plain = searched(&json!({}));
    let (dear, usual) = (
        priced("anthropic", "claude-opus-5", &fast).0,
        priced("anthropic", "claude-opus-5", &plain).0,
    );
    let times = Decimal::from_str_exact(&dear).unwrap() / Decimal::from_str_exact(&usual).unwrap();
    assert_eq!(times.normalize().to_string(), "2.2");
}

#[test]
fn units_of_media_are_priced_and_images_take_the_place_of_text() {
    let of = |details: Value| {
        call(
            &json!({"prompt_tokens": 12, "completion_tokens": 0, "total_tokens": 12,
                     "prompt_tokens_details": details}),
        )
    };
    let titan = "amazon.titan-embed-image-v1";
    let (_, image) = priced("bedrock", titan, &of(json!({"image_count": 2})));
    assert_eq!(image, ["image 2 0.00006 stated"]);
    let (_, both) = priced(
        "bedrock",
        titan,
        &of(json!({"image_count": 2, "text_tokens": 12})),
    );
    assert_eq!(
        both,
        ["input 12 0.0000008 stated", "image 2 0.00006 stated"]
    );
    let video = call(
        &json!({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0,
                             "prompt_tokens_details": {"video_length_seconds": 7.5}}),
    );
    let (_, seconds) = priced("bedrock", "twelvelabs.marengo-embed-2-7-v1:0", &video);
    assert_eq!(seconds, ["video_second 7.5 0.0007 stated"]);
}

#[test]
fn a_rerank_and_a_transcription_have_their_own_units() {
    let book = PriceBook::builtin();
    let rerank = |usage: Value, model| {
        let call = parse_billable(&usage, CallType::Rerank).unwrap();
        book.price_call(None, model, &call)
            .map(|priced| priced.total.to_string())
    };
    assert_eq!(
        rerank(json!({"search_units": 3}), "rerank-v3.5").unwrap(),
        "0.006"
    );
    assert_eq!(
        rerank(json!({"billed_units": {"search_units": 1}}), "rerank-v3.5").unwrap(),
        "0.002"
    );
    assert_eq!(
        rerank(json!({"total_tokens": 1000}), "voyage/rerank-2").unwrap(),
        "0.00005"
    );
    // Charged by search units, and the answer counts tokens: not known, and no quiet zero.
    assert!(matches!(
        rerank(json!({"total_tokens": 1000}), "rerank-v3.5"),
        Err(Unpriced::ChargedBesideTokens { .. })
    ));
    assert!(matches!(
        rerank(json!({"search_units": 1}), "voyage/rerank-2"),
        Err(Unpriced::NoTokens)
    ));
    let heard = json!({"type": "duration", "seconds": 10});
    let heard = parse_billable(&heard, CallType::AsTheModel).unwrap();
    let (total, lines) = priced("openai", "whisper-1", &heard);
    assert_eq!((total.as_str(), lines.len()), ("0.001", 1));
}

#[test]
fn a_settled_call_carries_its_breakdown_beside_the_proxys_figure() {
    let tracker = CostTracker::new(PriceBook::builtin());
    let call = call(
        &json!({"prompt_tokens": 1000, "completion_tokens": 200, "service_tier": "priority",
                            "prompt_tokens_details": {"cached_tokens": 400}}),
    );
    let proxy = ProxyCost::from_header(Some("0.004"));
    let settled = tracker.settle_call(Some("openai"), "gpt-5.4", Ok(&call), &proxy);
    assert_eq!(settled.cost.source(), CostSource::Proxy);
    let breakdown = settled.breakdown.unwrap();
    assert_eq!(breakdown.service_tier, "priority");
    assert_eq!(breakdown.source, CostSource::PriceBook);
    let sum: Decimal = breakdown
        .lines
        .iter()
        .map(|line| line.amount_usd.as_decimal())
        .sum();
    assert_eq!(sum, breakdown.total_usd.as_decimal());
    let unknown = tracker.settle_call(None, "no-such", Ok(&call), &proxy);
    assert_eq!(unknown.breakdown, None);
}

#[test]
fn what_stands_in_for_a_price_is_said() {
    let usage = TokenUsage {
        reasoning_tokens: 5,
        ..TokenUsage::new(10, 10)
    };
    let priced = PriceBook::builtin()
        .price(Some("openai"), "o3", &usage)
        .unwrap();
    let reasoning = priced
        .lines
        .iter()
        .find(|line| line.dimension.as_str() == "reasoning");
    assert_eq!(reasoning.map(|line| line.basis), Some(Basis::AsOutput));
}
