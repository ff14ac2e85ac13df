//! The text of `config/prices.toml`, and what is wrong with it.

#![expect(clippy::unwrap_used, reason = "helper functions of a test")]

use cost_tracker::{CallType, OverrideError, PriceBook, ServiceTier, parse_billable};
use event_payloads::TokenUsage;
use serde_json::{Value, json};

#[test]
fn a_mistake_in_the_prices_is_shown_with_its_line() {
    let error = |toml: &str| PriceBook::builtin().with_overrides(toml).unwrap_err();
    assert!(matches!(
        error("\n[models"),
        OverrideError::Syntax { line: 2, .. }
    ));
    assert_eq!(
        error("\nmodel = 1").to_string(),
        "line 2 of the prices: unknown key `model`, expected `models`"
    );
    assert!(error("[models.m]\ninput_per_millon = 1").to_string().starts_with(
        "line 2 of the prices: unknown key `input_per_millon`, expected one of input_per_million, cached_input_per_million, "
    ));
    assert_eq!(
        error("models = 1").to_string(),
        "line 1 of the prices: `models` must be a table, as in [models.\"openai/my-model\"]"
    );
    assert!(matches!(
        error("[models]\nm = 3"),
        OverrideError::NotATable { line: 2, .. }
    ));
    for value in [
        "-1", "-0.5", "\"1\"", "nan", "inf", "true", "0x10", "1e7", "1e-30", "[1]",
    ] {
        let toml = format!("[models.m]\noutput_per_million = 1\n\ninput_per_million = {value}\n");
        assert_eq!(
            error(&toml).to_string(),
            format!(
                "line 4 of the prices: `input_per_million` of `m` is {value}, expected USD per 1 million tokens, a number from 0 to 1000000"
            )
        );
    }
    assert_eq!(
        error("[models.m]\nreasoning_per_million = 1").to_string(),
        "line 1 of the prices: `m` has neither `input_per_million` nor `output_per_million`"
    );
}

#[test]
fn overrides_come_on_top_of_overrides() {
    let prices = "[models.free]\ninput_per_million = 0\n[models.kept]\ninput_per_million = 3";
    let book = PriceBook::builtin()
        .with_overrides(prices)
        .unwrap()
        .with_overrides("[models.free]\ninput_per_million = 1")
        .unwrap();
    assert_eq!(
        book.price(None, "free", &TokenUsage::new(1_000_000, 0))
            .unwrap()
            .total,
        "1".parse().unwrap()
    );
    assert!(
        book.lookup(None, "kept")
            .is_some_and(|found| found.is_override() && found.provider().is_none())
    );
    assert!(PriceBook::builtin().with_overrides("").is_ok());
}

const EVERYTHING: &str = r#"
[models."mine"]
input_per_million = 1
output_per_million = 10
cached_input_per_million = 0.1
citation_per_million = 2
characters_per_million = 3
web_search_per_thousand = 10
map_search_per_thousand = 14
query_per_thousand = 2
per_request = 0.005
per_image = 0.25
per_audio_second = 0.5
per_video_second = 0.75

[models."mine".flex]
input_per_million = 0.5

[models."mine".batch]
output_per_million = 4

[[models."mine".tiers]]
above_tokens = 1000
input_per_million = 2
flex.input_per_million = 1.5

[[models."mine".tiers]]
above_tokens = 2000
input_per_million = 3
output_per_million = 30
"#;

/// What the tokens and units of a usage cost by it, one line `dimension quantity unit_price`.
fn lines(usage: &Value, service: &str) -> Vec<String> {
    let book = PriceBook::builtin().with_overrides(EVERYTHING).unwrap();
    let call = parse_billable(usage, CallType::AsTheModel)
        .unwrap()
        .with_service_tier(ServiceTier::of_answer(service));
    let priced = book.price_call(None, "mine", &call).unwrap();
    let shown = priced.lines.iter().map(|line| {
        format!(
            "{} {} {}",
            line.dimension.as_str(),
            line.quantity,
            line.unit_price
        )
    });
    shown.filter(|line| line != "request 1 0.005").collect()
}

fn tokens(prompt: u64, completion: u64) -> Value {
    json!({"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion})
}

#[test]
fn a_users_tiers_and_classes_of_service_count() {
    assert_eq!(
        lines(&tokens(1000, 1), ""),
        ["input 1000 0.000001", "output 1 0.00001"]
    );
    assert_eq!(
        lines(&tokens(1001, 1), ""),
        ["input 1001 0.000002", "output 1 0.00001"]
    );
    assert_eq!(
        lines(&tokens(2001, 1), ""),
        ["input 2001 0.000003", "output 1 0.00003"]
    );
    assert_eq!(
        lines(&tokens(10, 1), "flex"),
        ["input 10 0.0000005", "output 1 0.00001"]
    );
    assert_eq!(lines(&tokens(1500, 0), "flex"), ["input 1500 0.0000015"]);
    // What the tier does not say of the class is as in the tier.
    assert_eq!(lines(&tokens(2500, 0), "flex"), ["input 2500 0.000003"]);
    // A user's batch is what they state, never half of it.
    assert_eq!(
        lines(&tokens(10, 1), "batch"),
        ["input 10 0.000001", "output 1 0.000004"]
    );
}

#[test]
fn a_users_prices_of_what_is_no_token_count() {
    let mut usage = tokens(10, 0);
    usage["citation_tokens"] = json!(5);
    usage["server_tool_use"] = json!({"web_search_requests": 3});
    usage["prompt_tokens_details"] = json!({
        "character_count": 7, "image_count": 2, "text_tokens": 10, "video_length_seconds": 1.5,
        "audio_length_seconds": 2.25, "query_count": 4, "google_maps_grounding_requests": 2});
    assert_eq!(
        lines(&usage, ""),
        [
            "input 10 0.000001",
            "character 7 0.000003",
            "image 2 0.25",
            "video_second 1.5 0.75",
            "audio_second 2.25 0.5",
            "query 4 0.002",
            "citation 5 0.000002",
            "web_search 3 0.01",
            "map_search 2 0.014",
        ]
    );
}

#[test]
fn a_mistake_in_a_tier_or_class_is_shown_with_its_line() {
    let error = |toml: &str| {
        let text = format!("[models.m]\ninput_per_million = 1\n{toml}");
        PriceBook::builtin()
            .with_overrides(&text)
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        error("tiers = 1"),
        "line 3 of the prices: `tiers` of `m` must be a list of tables, as in [[models.\"m\".tiers]]"
    );
    let bound =
        "needs `above_tokens`, a whole number of input tokens above 0 that no other tier has";
    assert_eq!(
        error("[[models.m.tiers]]\ninput_per_million = 2"),
        format!("line 3 of the prices: a tier of `m` {bound}")
    );
    for value in ["0", "1.5", "-1", "\"1\""] {
        assert_eq!(
            error(&format!("[[models.m.tiers]]\nabove_tokens = {value}")),
            format!("line 4 of the prices: a tier of `m` {bound}")
        );
    }
    assert_eq!(
        error(
            "[[models.m.tiers]]\nabove_tokens = 5\ninput_per_million = 2\n[[models.m.tiers]]\nabove_tokens = 5"
        ),
        format!("line 7 of the prices: a tier of `m` {bound}")
    );
    assert_eq!(
        error("[[models.m.tiers]]\nabove_tokens = 5\noutput_per_million = 2"),
        "line 3 of the prices: the tier of `m` above 5 tokens has no `input_per_million`"
    );
    assert_eq!(
        error("[models.m.flex]\nper_request = 1"),
        "line 4 of the prices: `per_request` of `m` has one price: only tokens have tiers and classes of service"
    );
    assert_eq!(
        error("per_request = -1"),
        "line 3 of the prices: `per_request` of `m` is -1, expected USD for one, a number from 0 to 1000000"
    );
    assert!(
        error("[models.m.flex.flex]\ninput_per_million = 1")
            .starts_with("line 3 of the prices: unknown key `flex`, expected one of ")
    );
    assert!(error("flex = 1").contains("`flex` must be a table"));
}

#[test]
fn a_model_by_the_query_or_the_second_needs_no_token_price() {
    let book = PriceBook::builtin()
        .with_overrides(
            "[models.rank]\nquery_per_thousand = 2\n[models.hear]\nper_audio_second = 0.0001",
        )
        .unwrap();
    let rerank = parse_billable(&json!({"search_units": 3}), CallType::Rerank).unwrap();
    let heard = json!({"type": "duration", "seconds": 12.5});
    let heard = parse_billable(&heard, CallType::Transcription).unwrap();
    let total = |model, call| {
        book.price_call(None, model, call)
            .unwrap()
            .total
            .to_string()
    };
    assert_eq!(total("rank", &rerank), "0.006");
    assert_eq!(total("hear", &heard), "0.00125");
}
