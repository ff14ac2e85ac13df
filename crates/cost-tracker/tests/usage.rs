//! What counts as a usage that can be relied on.
#![expect(clippy::unwrap_used, reason = "a helper function of a test")]

use cost_tracker::{Billable, CallType, ServiceTier, UsageError, parse_billable, parse_usage};
use event_payloads::TokenUsage;
use proptest::prelude::*;
use serde_json::{Value, json};

fn error(usage: &Value) -> String {
    parse_usage(usage).map_or_else(
        |error| error.to_string(),
        |usage| format!("accepted: {usage:?}"),
    )
}

#[test]
fn every_count_that_the_proxy_writes_is_read() {
    // Written by LiteLLM Proxy 1.102.4 for a Claude model with both cache lives.
    let usage = json!({
        "completion_tokens": 60, "prompt_tokens": 1000, "total_tokens": 1060,
        "completion_tokens_details": {"accepted_prediction_tokens": null, "audio_tokens": 10, "reasoning_tokens": 20,
            "rejected_prediction_tokens": null, "text_tokens": 25, "image_tokens": 5},
        "prompt_tokens_details": {"audio_tokens": 30, "cached_tokens": 400, "text_tokens": null, "image_tokens": 40,
            "cache_creation_tokens": 300, "cache_write_tokens": 300,
            "cache_creation_token_details": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200}},
        "cache_creation_input_tokens": 300, "cache_read_input_tokens": 400, "cost": 0.001, "service_tier": "standard"
    });
    let expected = TokenUsage {
        prompt_tokens: 1000,
        completion_tokens: 60,
        total_tokens: 1060,
        cached_tokens: 400,
        cache_creation_5m_tokens: 100,
        cache_creation_1h_tokens: 200,
        audio_prompt_tokens: 30,
        image_prompt_tokens: 40,
        audio_completion_tokens: 10,
        image_completion_tokens: 5,
        reasoning_tokens: 20,
    };
    assert_eq!(parse_usage(&usage), Ok(expected));
    assert!(expected.adds_up());
}

#[test]
fn missing_and_null_details_are_no_details() {
    for usage in [
        json!({"prompt_tokens": 10, "completion_tokens": 5}),
        json!({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": null,
               "prompt_tokens_details": null, "completion_tokens_details": null}),
        json!({"prompt_tokens": 10.0, "completion_tokens": 5e0, "total_tokens": 15.00,
               "prompt_tokens_details": {"cached_tokens": null, "cache_creation_token_details": null}}),
        json!({"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": -0.0}}),
    ] {
        assert_eq!(parse_usage(&usage), Ok(TokenUsage::new(10, 5)), "{usage}");
    }
}

#[test]
fn an_embedding_has_no_output() {
    let embedding = json!({"prompt_tokens": 8, "total_tokens": 8});
    assert_eq!(parse_usage(&embedding), Ok(TokenUsage::new(8, 0)));
    let cut = json!({"prompt_tokens": 8, "total_tokens": 9});
    assert_eq!(error(&cut), "the usage has no `completion_tokens`");
}

#[test]
fn other_names_for_the_cache_mean_the_same_number() {
    let deepseek =
        json!({"prompt_tokens": 10, "completion_tokens": 5, "prompt_cache_hit_tokens": 7});
    assert_eq!(parse_usage(&deepseek).unwrap().cached_tokens, 7);
    let zero_beside = json!({"prompt_tokens": 10, "completion_tokens": 5, "cache_read_input_tokens": 7,
                             "prompt_tokens_details": {"cached_tokens": 0}});
    assert_eq!(parse_usage(&zero_beside).unwrap().cached_tokens, 7);
    let written =
        json!({"prompt_tokens": 10, "completion_tokens": 5, "cache_creation_input_tokens": 4});
    assert_eq!(parse_usage(&written).unwrap().cache_creation_5m_tokens, 4);
    let reasoning = json!({"prompt_tokens": 10, "completion_tokens": 5, "reasoning_tokens": 3});
    assert_eq!(parse_usage(&reasoning).unwrap().reasoning_tokens, 3);
}

#[test]
fn what_is_no_count_is_refused_with_its_field_and_value() {
    for (value, message) in [
        (
            json!(-1),
            "`prompt_tokens` is -1, expected a whole number of tokens, 0 or more",
        ),
        (
            json!(1.5),
            "`prompt_tokens` is 1.5, expected a whole number of tokens, 0 or more",
        ),
        (
            json!("12"),
            "`prompt_tokens` is \"12\", expected a whole number of tokens, 0 or more",
        ),
        (
            json!(true),
            "`prompt_tokens` is true, expected a whole number of tokens, 0 or more",
        ),
        (
            json!([1]),
            "`prompt_tokens` is [1], expected a whole number of tokens, 0 or more",
        ),
        (json!(null), "the usage has no `prompt_tokens`"),
        (
            json!(9_007_199_254_740_993_u64),
            "`prompt_tokens` is 9007199254740993, more than the largest count, 9007199254740992",
        ),
    ] {
        assert_eq!(
            error(&json!({"prompt_tokens": value, "completion_tokens": 1})),
            message
        );
    }
    let text = |number: &str| {
        let usage = format!(r#"{{"prompt_tokens": {number}, "completion_tokens": 1}}"#);
        parse_usage(&serde_json::from_str(&usage).unwrap())
    };
    assert!(matches!(text("1e400"), Err(UsageError::TooLarge { .. })));
    assert!(matches!(
        text(&"9".repeat(100)),
        Err(UsageError::TooLarge { .. })
    ));
    assert!(matches!(text("1e-400"), Err(UsageError::NotACount { .. })));
    assert!(matches!(text("-1e400"), Err(UsageError::NotACount { .. })));
    assert_eq!(text("9007199254740992").unwrap().prompt_tokens, 1 << 53);
}

#[test]
fn a_wrong_detail_is_named_by_its_whole_path() {
    let detail = json!({"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": "x"}});
    assert_eq!(
        error(&detail),
        "`prompt_tokens_details.cached_tokens` is \"x\", expected a whole number of tokens, 0 or more"
    );
    let details =
        json!({"prompt_tokens": 10, "completion_tokens": 5, "completion_tokens_details": 3});
    assert_eq!(
        error(&details),
        "`completion_tokens_details` is 3, expected an object"
    );
    assert_eq!(error(&json!([])), "`usage` is [], expected an object");
    assert_eq!(error(&Value::Null), "the answer has no `usage`");
    assert_eq!(error(&json!({})), "the usage has no `prompt_tokens`");
}

#[test]
fn a_usage_that_contradicts_itself_is_refused() {
    // Anthropic's own, exclusive counting: the cached tokens come on top of the input.
    let exclusive =
        json!({"prompt_tokens": 10, "completion_tokens": 5, "cache_read_input_tokens": 900});
    assert_eq!(
        error(&exclusive),
        "the usage contradicts itself: 900 cache tokens, but `prompt_tokens`, which holds them, is 10"
    );
    for usage in [
        json!({"prompt_tokens": 10, "completion_tokens": 5, "cache_read_input_tokens": 7,
               "prompt_tokens_details": {"cached_tokens": 8}}),
        json!({"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": {"audio_tokens": 6, "image_tokens": 6}}),
        json!({"prompt_tokens": 10, "completion_tokens": 5,
               "completion_tokens_details": {"reasoning_tokens": 3, "audio_tokens": 3}}),
        json!({"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": {"cache_creation_tokens": 5,
               "cache_creation_token_details": {"ephemeral_5m_input_tokens": 1, "ephemeral_1h_input_tokens": 1}}}),
    ] {
        assert!(
            matches!(parse_usage(&usage), Err(UsageError::DoesNotAddUp { .. })),
            "{usage}"
        );
    }
}

#[test]
fn a_stated_total_is_kept_even_if_it_is_wrong() {
    let usage =
        parse_usage(&json!({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 20}))
            .unwrap();
    assert_eq!(usage.total_tokens, 20);
    assert!(!usage.adds_up());
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (0_u64..100).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,10}".prop_map(Value::from),
    ];
    let key = prop::sample::select(vec![
        "prompt_tokens",
        "completion_tokens",
        "total_tokens",
        "prompt_tokens_details",
        "completion_tokens_details",
        "cached_tokens",
        "cache_creation_tokens",
        "cache_creation_token_details",
        "ephemeral_5m_input_tokens",
        "ephemeral_1h_input_tokens",
        "cache_read_input_tokens",
        "audio_tokens",
        "image_tokens",
        "reasoning_tokens",
    ]);
    leaf.prop_recursive(3, 40, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::vec((key.clone(), inner), 0..8).prop_map(|pairs| {
                Value::Object(
                    pairs
                        .into_iter()
                        .map(|(key, value)| (key.to_owned(), value))
                        .collect(),
                )
            }),
        ]
    })
}

proptest! {
    #[test]
    fn no_json_makes_parsing_panic_and_what_is_accepted_fits(usage in any_json()) {
        if let Ok(usage) = parse_usage(&usage) {
            prop_assert!(usage.prompt_tokens <= 1 << 53 && usage.completion_tokens <= 1 << 53);
            let parts_fit = TokenUsage {
                total_tokens: usage.prompt_tokens + usage.completion_tokens,
                ..usage
            };
            prop_assert!(parts_fit.adds_up());
        }
    }

    #[test]
    fn a_good_usage_is_read_back(prompt in 0_u64..1 << 40, completion in 0_u64..1 << 40, share in 0_u64..=100) {
        let cached = prompt / 100 * share;
        let reasoning = completion / 100 * share;
        let usage = parse_usage(&json!({"prompt_tokens": prompt, "completion_tokens": completion,
            "prompt_tokens_details": {"cached_tokens": cached},
            "completion_tokens_details": {"reasoning_tokens": reasoning}})).unwrap();
        prop_assert!(usage.adds_up());
        prop_assert_eq!((usage.cached_tokens, usage.reasoning_tokens), (cached, reasoning));
    }
}

fn call(usage: &Value) -> Billable {
    parse_billable(usage, CallType::AsTheModel).unwrap()
}

#[test]
fn a_responses_usage_means_the_same_as_a_chat_one() {
    let responses = json!({"input_tokens": 100, "output_tokens": 50, "total_tokens": 150,
        "input_tokens_details": {"cached_tokens": 40, "audio_tokens": 5},
        "output_tokens_details": {"reasoning_tokens": 20}});
    let realtime = json!({"input_tokens": 100, "output_tokens": 50, "total_tokens": 150,
        "input_token_details": {"cached_tokens": 40, "audio_tokens": 5, "text_tokens": 95},
        "output_token_details": {"reasoning_tokens": 20}});
    let chat = json!({"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150,
        "prompt_tokens_details": {"cached_tokens": 40, "audio_tokens": 5},
        "completion_tokens_details": {"reasoning_tokens": 20}});
    assert_eq!(call(&responses), call(&chat));
    assert_eq!(call(&realtime), call(&chat));
}

#[test]
fn anthropics_exclusive_counts_are_added_up() {
    let raw = json!({"input_tokens": 300, "output_tokens": 50, "cache_read_input_tokens": 600,
        "cache_creation_input_tokens": 100, "service_tier": "priority", "inference_geo": "us", "speed": "fast",
        "cache_creation": {"ephemeral_5m_input_tokens": 70, "ephemeral_1h_input_tokens": 30},
        "server_tool_use": {"web_search_requests": 2}});
    let read = call(&raw);
    assert_eq!(
        read.tokens,
        TokenUsage {
            cached_tokens: 600,
            cache_creation_5m_tokens: 70,
            cache_creation_1h_tokens: 30,
            ..TokenUsage::new(1000, 50)
        }
    );
    assert_eq!(read.service_tier, ServiceTier::Priority);
    assert!(read.place.served_in_us && read.place.fast_mode);
    assert_eq!(read.units.web_searches, 2);
}

#[test]
fn what_is_counted_beside_tokens_is_read() {
    let usage = json!({"prompt_tokens": 100, "completion_tokens": 10, "citation_tokens": 7, "num_search_queries": 3,
        "prompt_tokens_details": {"video_tokens": 50, "character_count": 11, "image_count": 2,
            "video_length_seconds": 1.25, "audio_length_seconds": 3, "query_count": 4,
            "google_maps_grounding_requests": 5, "web_search_requests": 3},
        "completion_tokens_details": {"video_tokens": 6},
        "server_tool_use": {"browser_open_requests": 8}});
    let units = call(&usage).units;
    assert_eq!(
        (
            units.video_prompt_tokens,
            units.video_completion_tokens,
            units.citation_tokens,
            units.web_searches
        ),
        (50, 6, 7, 3)
    );
    assert_eq!(
        (
            units.characters,
            units.images,
            units.queries,
            units.map_searches,
            units.pages_opened
        ),
        (11, 2, 4, 5, 8)
    );
    assert_eq!(
        (
            units.video_seconds.to_string(),
            units.audio_seconds.to_string()
        ),
        ("1.25".into(), "3".into())
    );
    assert!(units.images_only);
}

#[test]
fn a_rerank_counts_search_units_or_a_total() {
    let rerank = |usage: Value| parse_billable(&usage, CallType::Rerank);
    assert_eq!(rerank(json!({"search_units": 3})).unwrap().units.queries, 3);
    let total = rerank(json!({"total_tokens": 30})).unwrap();
    assert_eq!(total.tokens, TokenUsage::new(30, 0));
    // For any other call a total alone says nothing about input and output.
    assert!(parse_usage(&json!({"total_tokens": 30})).is_err());
}

#[test]
fn a_unit_that_is_none_is_refused_with_its_name() {
    let of = |details: Value| {
        error(
            &json!({"prompt_tokens": 1, "completion_tokens": 1, "prompt_tokens_details": details}),
        )
    };
    assert_eq!(
        of(json!({"video_length_seconds": -1})),
        "`prompt_tokens_details.video_length_seconds` is -1, expected a number of seconds, 0 or more"
    );
    assert!(of(json!({"audio_length_seconds": "3"})).contains("expected a number of seconds"));
    assert!(of(json!({"image_count": 0.5})).contains("`prompt_tokens_details.image_count` is 0.5"));
    assert!(of(json!({"video_tokens": 2})).contains("audio, image and video input tokens"));
    let twice = json!({"prompt_tokens": 1, "completion_tokens": 1, "server_tool_use": {"web_search_requests": 1},
        "prompt_tokens_details": {"web_search_requests": 2}});
    assert!(error(&twice).contains("contradicts itself"));
}
