//! The text of `config/prices.toml`, and what is wrong with it.

use cost_tracker::{OverrideError, PriceBook};
use event_payloads::TokenUsage;

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
