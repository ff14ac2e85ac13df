//! Streams recorded from a real LiteLLM Proxy: see `tests/fixtures/recorded/README.md`.

use event_payloads::{Cost, CostSource};
use provider_core::{Endpoint, ProviderError};

use crate::mock::Mock;
use crate::recorded::{exchange, recorded};
use crate::setup::{client, run};
use crate::streams::{Seen, request, seen_of};

const CHAT: &str = r#"{"model":"planner","messages":[],"stream_options":{"include_usage":true}}"#;

fn replayed(name: &str, endpoint: Endpoint, body: &str) -> Result<Seen, ProviderError> {
    seen_of(&Mock::sending(recorded(name)), &request(endpoint, body))
}

fn body(name: &str) -> String {
    exchange(name)["body"].as_str().unwrap().to_owned()
}

#[test]
fn whole_streams_are_handed_on_byte_for_byte_and_priced_by_the_proxys_figure() {
    for (name, model, usd) in [
        ("stream-usage", "gemma-3-270m", "0.0000069"),
        ("stream-mocked", "gpt-4o-mini", "0.0000081"),
        ("stream-tools", "gpt-4o-mini", "0.0000252"),
        ("stream-proxy-side-fallback", "gpt-4o-mini", "0.0000081"),
    ] {
        let seen = replayed(name, Endpoint::ChatCompletions, CHAT).unwrap();
        assert!(seen.error.is_none(), "{name}: {:?}", seen.error);
        assert_eq!(seen.wire(), body(name), "{name}");
        let result = seen.closed.result;
        assert_eq!(result.model_name, model, "{name}");
        assert_eq!(result.cost.source(), CostSource::Proxy, "{name}");
        assert_eq!(result.cost.usd(), Some(usd.parse().unwrap()), "{name}");
        assert!(
            result.token_usage.unwrap().adds_up() && !result.usage_is_estimated,
            "{name}"
        );
        assert_eq!(result.content.is_empty(), name == "stream-tools", "{name}");
    }
}

#[test]
fn tools_are_put_together_from_their_pieces() {
    let seen = replayed("stream-tools", Endpoint::ChatCompletions, CHAT).unwrap();
    let result = seen.closed.result;
    assert_eq!(result.finish_reason.as_deref(), Some("tool_calls"));
    assert!(!result.tool_calls.is_empty());
    for call in &result.tool_calls {
        let arguments = call["function"]["arguments"].as_str().unwrap();
        assert!(
            serde_json::from_str::<serde_json::Value>(arguments)
                .unwrap()
                .is_object()
        );
        assert!(!call["id"].as_str().unwrap().is_empty(), "{call}");
    }
}

#[test]
fn nobody_has_a_price_for_an_unpriced_model() {
    let seen = replayed("stream-unpriced", Endpoint::ChatCompletions, CHAT).unwrap();
    assert!(seen.closed.result.token_usage.is_some());
    assert!(matches!(seen.closed.result.cost, Cost::Unavailable(_)));
}

#[test]
fn a_model_that_fails_or_is_killed_in_the_middle_is_a_failure_with_what_had_come() {
    for name in ["stream-failing", "stream-killed"] {
        let seen = replayed(name, Endpoint::ChatCompletions, CHAT).unwrap();
        assert_eq!(
            seen.error.as_ref().unwrap().kind(),
            "upstream_error",
            "{name}"
        );
        assert!(
            !seen.text().is_empty() && seen.closed.tail.is_empty(),
            "{name}"
        );
        assert!(seen.closed.result.usage_is_estimated, "{name}");
    }
}

#[test]
fn an_error_before_the_first_piece_is_what_its_status_says() {
    for (name, kind) in [
        ("stream-rate-limited", "rate_limited"),
        ("stream-upstream-down", "upstream_error"),
    ] {
        let Err(error) = replayed(name, Endpoint::ChatCompletions, CHAT) else {
            panic!("{name} began")
        };
        assert_eq!(error.kind(), kind, "{name}");
    }
}

#[test]
fn text_completions_stream_with_and_without_a_usage() {
    let asked = r#"{"model":"planner","prompt":"hi","stream_options":{"include_usage":true}}"#;
    let seen = replayed("completion-stream-usage", Endpoint::Completions, asked).unwrap();
    assert_eq!(seen.wire(), body("completion-stream-usage"));
    assert_eq!(
        seen.closed.result.cost.usd(),
        Some("0.0000037".parse().unwrap())
    );
    assert_eq!(seen.text(), seen.closed.result.content);
    // What the proxy sends to who does not ask: zeros in every piece, which are no usage.
    let seen = replayed("completion-stream", Endpoint::Completions, asked).unwrap();
    assert!(seen.error.is_none() && seen.closed.result.usage_is_estimated);
}

#[test]
fn responses_stream_natively_and_through_the_proxys_bridge() {
    let asked = r#"{"model":"planner","input":"hi"}"#;
    for name in ["response-stream", "response-bridged-stream"] {
        let seen = replayed(name, Endpoint::Responses, asked).unwrap();
        assert!(seen.error.is_none(), "{name}: {:?}", seen.error);
        assert_eq!(seen.wire(), body(name), "{name}");
        assert_eq!(seen.text(), seen.closed.result.content, "{name}");
        assert_eq!(
            seen.closed.result.token_usage.unwrap().total_tokens,
            36,
            "{name}"
        );
    }
}

#[test]
fn whole_answers_of_the_other_endpoints_are_read() {
    for (name, endpoint, asked, content, prompt, usd) in [
        (
            "completion",
            Endpoint::Completions,
            r#"{"model":"m","prompt":"hi"}"#,
            "",
            20,
            Some("0.0000037"),
        ),
        (
            "response",
            Endpoint::Responses,
            r#"{"model":"m","input":"hi"}"#,
            "",
            20,
            None,
        ),
        (
            "response-bridged",
            Endpoint::Responses,
            r#"{"model":"m","input":"hi"}"#,
            "",
            20,
            Some("0.0000069"),
        ),
        (
            "embedding",
            Endpoint::Embeddings,
            r#"{"model":"m","input":"hi"}"#,
            "1 embedding of 3 numbers",
            10,
            Some("0.0000002"),
        ),
    ] {
        let mock = Mock::sending(recorded(name));
        let answer = run(async {
            use provider_core::ModelClient as _;
            client(&mock).complete(&request(endpoint, asked)).await
        });
        let answer = answer.unwrap();
        assert_eq!(answer.body, body(name), "{name}");
        let result = answer.result;
        assert!(
            !result.content.is_empty() && result.content.contains(content),
            "{name}: {result:?}"
        );
        assert_eq!(
            result.token_usage.map(|usage| usage.prompt_tokens),
            Some(prompt),
            "{name}"
        );
        assert_eq!(
            result.cost.usd(),
            usd.map(|usd| usd.parse().unwrap()),
            "{name}: {:?}",
            result.cost
        );
    }
}
