//! Exchanges recorded from a real LiteLLM Proxy: see `tests/fixtures/recorded/README.md`.

use std::path::Path;
use std::time::Duration;

use event_payloads::{Cost, CostSource, Usd};
use provider_core::{Completion, ProviderError};
use serde_json::Value;

use crate::mock::Mock;
use crate::setup::{client, outcome_of, run};

/// A recorded exchange.
pub(crate) fn exchange(name: &str) -> Value {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/recorded")
        .join(format!("{name}.json"));
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

/// The headers of a recorded answer.
fn headers(exchange: &Value) -> impl Iterator<Item = (&str, &str)> {
    let pairs = exchange["headers"].as_array().unwrap().iter();
    pairs.map(|pair| (pair[0].as_str().unwrap(), pair[1].as_str().unwrap()))
}

/// A recorded answer, as the bytes that came.
pub(crate) fn recorded(name: &str) -> Vec<u8> {
    let exchange = exchange(name);
    let mut reply = format!("HTTP/1.1 {} \r\n", exchange["status"]);
    // The body was kept without the form of its transfer: the end of the connection ends it.
    let form = |name: &str| name.eq_ignore_ascii_case("transfer-encoding");
    for (name, value) in headers(&exchange).filter(|(name, _)| !form(name)) {
        reply.push_str(&format!("{name}: {value}\r\n"));
    }
    format!("{reply}\r\n{}", exchange["body"].as_str().unwrap()).into_bytes()
}

/// A header of a recorded answer.
fn header(name: &str, wanted: &str) -> String {
    let exchange = exchange(name);
    let found = headers(&exchange).find(|(name, _)| *name == wanted);
    found.unwrap().1.to_owned()
}

fn outcome(name: &str) -> Result<Completion, ProviderError> {
    outcome_of(recorded(name))
}

#[test]
fn completed_calls_have_their_model_their_tokens_and_their_cost() {
    for (name, provider, model) in [
        ("completed", "openai", "gemma-3-270m"),
        ("completed-again", "openai", "gemma-3-270m"),
        ("mocked", "openai", "gpt-4o-mini"),
        ("proxy-side-fallback", "openai", "gpt-4o-mini"),
    ] {
        let result = outcome(name).unwrap().result;
        assert_eq!(
            (result.provider.as_str(), result.model_name.as_str()),
            (provider, model),
            "{name}"
        );
        let stated: Usd = header(name, "x-litellm-response-cost").parse().unwrap();
        assert!(!stated.is_zero(), "{name}");
        assert_eq!(
            result.cost,
            Cost::known(stated.rounded(), CostSource::Proxy),
            "{name}"
        );
        let usage = result.token_usage.unwrap();
        assert!(
            usage.adds_up() && usage.total_tokens > 0,
            "{name}: {usage:?}"
        );
        assert!(
            result.proxy.call_id.is_some() && !result.content.is_empty(),
            "{name}"
        );
        assert_eq!(usage.cached_tokens > 0, name == "completed-again", "{name}");
        let fell_back = u32::from(name == "proxy-side-fallback");
        assert_eq!(result.proxy.attempted_fallbacks, fell_back, "{name}");
    }
}

#[test]
fn a_model_without_a_price_has_no_cost_although_four_headers_say_zero() {
    let result = outcome("unpriced").unwrap().result;
    assert!(
        matches!(&result.cost, Cost::Unavailable(reason) if reason.contains("reports no cost")),
        "{:?}",
        result.cost
    );
    assert_eq!(result.model_name, "gemma-3-270m-unpriced");
}

#[test]
fn each_recorded_refusal_is_what_it_is() {
    for (name, kind) in [
        ("wrong-key", "key_rejected"),
        ("no-key", "upstream_error"),
        ("unknown-model", "invalid_request"),
        ("no-messages", "invalid_request"),
        ("not-json", "invalid_request"),
        ("rate-limited", "rate_limited"),
        ("internal-server-error", "upstream_error"),
        ("context-window-exceeded", "context_window_exceeded"),
        ("timeout", "upstream_timeout"),
        ("upstream-down", "upstream_error"),
        // Answers of other pages are no chat completions.
        ("models", "invalid_answer"),
        ("model-info", "invalid_answer"),
        ("liveliness", "invalid_answer"),
        ("readiness", "invalid_answer"),
    ] {
        let error = outcome(name).expect_err(name);
        assert_eq!(error.kind(), kind, "{name}: {error}");
    }
}

#[test]
fn the_recorded_lists_are_read() {
    let limit = Duration::from_secs(5);
    let groups = run(client(&Mock::sending(recorded("models"))).groups(limit)).unwrap();
    assert!(groups.contains(&"cheap".to_owned()), "{groups:?}");
    let models = run(client(&Mock::sending(recorded("model-info"))).models(limit)).unwrap();
    let cheap: Vec<_> = models.iter().filter(|info| info.group == "cheap").collect();
    assert_eq!(cheap.len(), 1);
    assert_eq!(
        (cheap[0].provider.as_deref(), cheap[0].model.as_str()),
        (Some("openai"), "gemma-3-270m")
    );
    assert!(cheap[0].has_price);
    for info in &models {
        assert!(groups.contains(&info.group), "{info:?}");
    }
}
