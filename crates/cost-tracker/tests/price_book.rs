//! Looking up and pricing, over the bundled map and over a user's prices.
#![expect(clippy::unwrap_used, reason = "helper functions of a test")]

use cost_tracker::{Basis, Dimension, PriceBook, PriceOrigin, Unpriced};
use event_payloads::{TokenUsage, Usd};

const PRICES: &str = r#"
[models."openai/mine"]
input_per_million = 0.1          # not the float next to a tenth
cached_input_per_million = 0.025
output_per_million = 1

[models.everywhere]
input_per_million = 2
output_per_million = 4
cache_write_5m_per_million = 2.5
cache_write_1h_per_million = 3
audio_input_per_million = 5
image_input_per_million = 6
audio_output_per_million = 7
image_output_per_million = 8
reasoning_per_million = 9

[models.free]
input_per_million = 0
output_per_million = 0.0

[models.input-only]
input_per_million = 1e-2

[models."openai/gpt-4o-mini"]
input_per_million = 1_000
"#;

fn book() -> PriceBook {
    PriceBook::builtin().with_overrides(PRICES).unwrap()
}

fn usd(text: &str) -> Usd {
    text.parse().unwrap()
}

fn of_all_kinds() -> TokenUsage {
    TokenUsage {
        cached_tokens: 100,
        cache_creation_5m_tokens: 100,
        cache_creation_1h_tokens: 100,
        audio_prompt_tokens: 100,
        image_prompt_tokens: 100,
        audio_completion_tokens: 100,
        image_completion_tokens: 100,
        reasoning_tokens: 100,
        ..TokenUsage::new(600, 400)
    }
}

#[test]
fn a_model_is_found_with_and_without_its_provider() {
    let book = PriceBook::builtin();
    let key = |provider, model| {
        book.lookup(provider, model)
            .map(|found| found.key().to_owned())
    };
    for (provider, model) in [
        (Some("openai"), "gpt-4o-mini"),
        (Some("openai"), "openai/gpt-4o-mini"),
        (Some(""), "gpt-4o-mini"),
        (None, "openai/gpt-4o-mini"),
        (None, "gpt-4o-mini"),
        (None, "GPT-4o-Mini"),
    ] {
        assert_eq!(
            key(provider, model).as_deref(),
            Some("gpt-4o-mini"),
            "{provider:?} {model}"
        );
    }
    assert_eq!(
        key(Some("groq"), "llama-3.1-8b-instant").as_deref(),
        Some("groq/llama-3.1-8b-instant")
    );
    assert_eq!(
        key(None, "TOGETHER_AI/Qwen/qwen2.5-7b-instruct-turbo").as_deref(),
        Some("together_ai/Qwen/Qwen2.5-7B-Instruct-Turbo")
    );
    let found = book.lookup(None, "gpt-4o-mini").unwrap();
    assert_eq!((found.mode(), found.provider()), ("chat", Some("openai")));
    assert_eq!(
        (found.origin(), found.is_override()),
        (PriceOrigin::Builtin, false)
    );
}

#[test]
fn a_similar_name_is_another_model() {
    let book = PriceBook::builtin();
    for (provider, model) in [
        (Some("openai"), "gpt-4o-mini-x"),
        (Some("openai"), "gpt-4o-min"),
        (Some("groq"), "gpt-4o-mini"),
        (Some("openai"), "gemma-3-270m"),
        (None, "nobody/gpt-4o-mini"),
        (None, ""),
        (None, "/"),
    ] {
        assert!(
            book.lookup(provider, model).is_none(),
            "{provider:?} {model}"
        );
    }
    let unknown = book
        .price(Some("openai"), "gemma-3-270m", &TokenUsage::new(1, 1))
        .unwrap_err();
    assert_eq!(
        unknown.to_string(),
        "no price is known for `openai/gemma-3-270m`; add one as [models.\"openai/gemma-3-270m\"] in config/prices.toml"
    );
    let named_once = book
        .price(Some("x"), "x/y", &TokenUsage::new(1, 1))
        .unwrap_err();
    assert_eq!(
        named_once,
        Unpriced::UnknownModel {
            model: "x/y".into()
        }
    );
}

#[test]
fn an_override_is_exact_and_replaces_the_whole_entry() {
    let book = book();
    let usage = TokenUsage {
        cached_tokens: 400,
        ..TokenUsage::new(1000, 7)
    };
    let priced = book.price(Some("openai"), "mine", &usage).unwrap();
    assert_eq!(priced.total, usd("0.000077"));
    assert_eq!(
        (priced.key.as_str(), priced.origin),
        ("openai/mine", PriceOrigin::Override)
    );
    assert!(book.lookup(Some("azure"), "mine").is_none());
    let replaced = book
        .price(None, "openai/gpt-4o-mini", &TokenUsage::new(1000, 0))
        .unwrap();
    assert_eq!(replaced.total, usd("1"));
    // The map's output price does not shine through.
    let error = book
        .price(Some("openai"), "gpt-4o-mini", &TokenUsage::new(1, 1))
        .unwrap_err();
    assert_eq!(
        error,
        Unpriced::NoPriceForTokens {
            key: "openai/gpt-4o-mini".into(),
            dimension: Dimension::Output
        }
    );
}

#[test]
fn a_price_that_the_user_leaves_out_costs_as_text() {
    let book = book();
    let priced = book.price(
        Some("openai"),
        "mine",
        &TokenUsage {
            reasoning_tokens: 5,
            audio_prompt_tokens: 10,
            ..TokenUsage::new(10, 5)
        },
    );
    let bases: Vec<_> = priced
        .unwrap()
        .lines
        .iter()
        .map(|line| (line.dimension, line.basis))
        .collect();
    assert_eq!(
        bases,
        [
            (Dimension::AudioInput, Basis::AsInput),
            (Dimension::Reasoning, Basis::AsOutput)
        ]
    );
}

#[test]
fn every_dimension_has_its_own_line_and_the_lines_add_up() {
    let priced = book()
        .price(Some("any"), "everywhere", &of_all_kinds())
        .unwrap();
    let shown: Vec<String> = priced
        .lines
        .iter()
        .map(|line| {
            format!(
                "{} {} x {} = {}",
                line.dimension, line.quantity, line.unit_price, line.amount
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            "input 100 x 0.000002 = 0.0002",
            "cached input 100 x 0.000002 = 0.0002",
            "5-minute cache writing 100 x 0.0000025 = 0.00025",
            "1-hour cache writing 100 x 0.000003 = 0.0003",
            "audio input 100 x 0.000005 = 0.0005",
            "image input 100 x 0.000006 = 0.0006",
            "output 100 x 0.000004 = 0.0004",
            "audio output 100 x 0.000007 = 0.0007",
            "image output 100 x 0.000008 = 0.0008",
            "reasoning 100 x 0.000009 = 0.0009",
        ]
    );
    assert_eq!(priced.total, usd("0.00485"));
}

#[test]
fn a_price_stated_as_0_is_0_and_one_not_stated_is_none() {
    let book = book();
    assert_eq!(
        book.price(None, "free", &TokenUsage::new(10, 10))
            .unwrap()
            .total,
        Usd::ZERO
    );
    let error = book
        .price(None, "input-only", &TokenUsage::new(10, 10))
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "`input-only` is listed without a price for its output tokens; add one as [models.\"input-only\"] in config/prices.toml"
    );
    assert_eq!(
        book.price(None, "input-only", &TokenUsage::new(10, 0))
            .unwrap()
            .total,
        usd("0.0000001")
    );
    // Listed by LiteLLM without any price, for which its calculator answers 0.
    let listed = book.price(
        None,
        "github_copilot/text-embedding-3-small",
        &TokenUsage::new(10, 0),
    );
    assert!(
        matches!(listed, Err(Unpriced::NoPriceForTokens { .. })),
        "{listed:?}"
    );
}

#[test]
fn what_a_usage_cannot_price_is_said() {
    let book = book();
    let message = |model, usage| book.price(None, model, &usage).unwrap_err().to_string();
    assert_eq!(
        message("1024-x-1024/dall-e-2", TokenUsage::new(1, 1)),
        "`1024-x-1024/dall-e-2` is of mode image_generation, this version prices chat, completion, responses, embedding, rerank, realtime and audio_transcription"
    );
    assert_eq!(
        message("free", TokenUsage::new(0, 0)),
        "the usage counts no tokens at all"
    );
    let wrong_total = TokenUsage {
        total_tokens: 9,
        ..TokenUsage::new(1, 1)
    };
    assert!(
        message("free", wrong_total)
            .starts_with("the usage does not add up: 1 tokens in and 1 out, 9 in total")
    );
    let too_much_reasoning = TokenUsage {
        reasoning_tokens: 1,
        audio_completion_tokens: 1,
        ..TokenUsage::new(1, 1)
    };
    assert!(message("free", too_much_reasoning).starts_with("the usage does not add up"));
    assert_eq!(
        message("everywhere", TokenUsage::new(1 << 53, 0)),
        "the cost of 9007199254740992 tokens of `everywhere` is beyond what can be computed exactly"
    );
    let wrapping = TokenUsage {
        reasoning_tokens: u64::MAX,
        audio_completion_tokens: 2,
        ..TokenUsage::new(1, 1)
    };
    assert!(message("free", wrapping).starts_with("the usage does not add up"));
}

#[test]
fn tokens_stated_as_free_do_not_hide_a_charge_for_something_else() {
    let book = book();
    // 0 per token, 0.04 USD an image.
    let song = book.price(
        None,
        "gemini/lyria-3-clip-preview",
        &TokenUsage::new(10, 10),
    );
    assert_eq!(
        song,
        Err(Unpriced::ChargedBesideTokens {
            key: "gemini/lyria-3-clip-preview".into()
        })
    );
    // 0.005 USD a request, on top of its tokens.
    let online = book
        .price(
            None,
            "perplexity/sonar-small-online",
            &TokenUsage::new(10, 10),
        )
        .unwrap();
    assert_eq!(online.total, usd("0.0050028"));
    // Text through a model that could also take images costs its tokens.
    assert!(
        book.price(None, "embed-english-v3.0", &TokenUsage::new(10, 0))
            .is_ok()
    );
}

#[test]
fn the_whole_call_costs_more_above_a_tier() {
    let book = PriceBook::builtin();
    let unit = |model: &str, prompt| {
        let priced = book
            .price(None, model, &TokenUsage::new(prompt, 1))
            .unwrap();
        (priced.lines[0].unit_price, priced.lines[1].unit_price)
    };
    // Above, not at, the bound.
    assert_eq!(
        unit("gemini/gemini-2.5-pro", 200_000),
        (usd("1.25e-06"), usd("1e-05"))
    );
    assert_eq!(
        unit("gemini/gemini-2.5-pro", 200_001),
        (usd("2.5e-06"), usd("1.5e-05"))
    );
    assert_eq!(
        unit("dashscope/qwen-flash", 256_000),
        (usd("5e-08"), usd("4e-07"))
    );
    assert_eq!(
        unit("dashscope/qwen-flash", 256_001),
        (usd("2.5e-07"), usd("2e-06"))
    );
    // Beyond the last range.
    assert_eq!(
        unit("dashscope/qwen-flash", 9_000_000),
        (usd("2.5e-07"), usd("2e-06"))
    );
}

#[test]
fn the_bundled_map_says_where_it_comes_from() {
    let book = PriceBook::builtin();
    assert_eq!(book.source().package, "litellm 1.102.4");
    assert_eq!(book.source().sha256.len(), 64);
    assert!(book.entries().count() > 3_900);
}
