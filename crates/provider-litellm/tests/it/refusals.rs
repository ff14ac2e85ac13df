//! What the proxy's refusals mean. The bodies are LiteLLM 1.102.4's.

use std::time::Duration;

use provider_core::{ModelClient, ProviderError};
use provider_litellm::LiteLlmConfig;

use crate::mock::Mock;
use crate::setup::{KEY, call, client_of, config, http, outcome_of, run};

/// An error as LiteLLM writes it, with the cost header that is no price.
fn litellm(status: &str, message: &str, kind: &str, code: &str) -> Vec<u8> {
    let body = serde_json::json!({
        "error": {"message": message, "type": kind, "param": "None", "code": code}
    });
    http(status, &["x-litellm-response-cost: 0"], &body.to_string())
}

#[test]
fn each_refusal_is_told_apart_by_what_can_be_done_about_it() {
    let rows = [
        // Our key.
        (
            "400 Bad Request",
            "No connected db.",
            "no_db_connection",
            "400",
            "key_rejected",
            false,
        ),
        (
            "401 Unauthorized",
            "Authentication Error, Invalid proxy server token passed. Received API Key = sk-...1234, Unable to find token in cache or `LiteLLM_VerificationTokenTable`",
            "auth_error",
            "401",
            "key_rejected",
            false,
        ),
        (
            "401 Unauthorized",
            "Authentication Error, Invalid proxy server token passed.",
            "token_not_found_in_db",
            "401",
            "key_rejected",
            false,
        ),
        // The caller.
        (
            "400 Bad Request",
            "/chat/completions: Invalid model name passed in model=nope. Call `/v1/models` to view available models for your key.",
            "None",
            "400",
            "invalid_request",
            false,
        ),
        (
            "400 Bad Request",
            "Invalid JSON payload",
            "None",
            "400",
            "invalid_request",
            false,
        ),
        (
            "400 Bad Request",
            "litellm.ContextWindowExceededError: litellm.BadRequestError: ContextWindowExceededError: OpenAIException - too long",
            "None",
            "400",
            "context_window_exceeded",
            false,
        ),
        (
            "400 Bad Request",
            "This model's maximum context length is 4096 tokens",
            "invalid_request_error",
            "context_length_exceeded",
            "context_window_exceeded",
            false,
        ),
        (
            "400 Bad Request",
            "litellm.ContentPolicyViolationError: refused",
            "None",
            "400",
            "content_policy",
            true,
        ),
        (
            "400 Bad Request",
            "The response was filtered",
            "None",
            "content_filter",
            "content_policy",
            true,
        ),
        (
            "422 Unprocessable Entity",
            "bad field",
            "None",
            "422",
            "invalid_request",
            false,
        ),
        (
            "400 Bad Request",
            "litellm.BadRequestError: AzureException - triggering Azure OpenAI's content management policy",
            "None",
            "400",
            "content_policy",
            true,
        ),
        (
            "400 Bad Request",
            "Authentication Error - Expired Key. See docs.litellm.ai",
            "expired_key",
            "400",
            "key_rejected",
            false,
        ),
        (
            "401 Unauthorized",
            "Authentication Error, see docs.litellm.ai",
            "auth_error",
            "401",
            "key_rejected",
            false,
        ),
        // A provider, or every one of them.
        (
            "402 Payment Required",
            "litellm.BadRequestError: insufficient balance",
            "None",
            "402",
            "upstream_error",
            false,
        ),
        (
            "500 Internal Server Error",
            "litellm.InternalServerError: down. Received Model Group=main Error doing the fallback: litellm.ContextWindowExceededError",
            "None",
            "500",
            "upstream_error",
            true,
        ),
        (
            "401 Unauthorized",
            "litellm.AuthenticationError: AuthenticationError: OpenAIException - Incorrect API key provided",
            "invalid_request_error",
            "401",
            "upstream_error",
            false,
        ),
        (
            "403 Forbidden",
            "litellm.PermissionDeniedError: no",
            "None",
            "403",
            "upstream_error",
            false,
        ),
        (
            "404 Not Found",
            "litellm.NotFoundError: OpenAIException - The model `gpt-9` does not exist",
            "None",
            "404",
            "upstream_error",
            false,
        ),
        (
            "400 Bad Request",
            "Budget has been exceeded! Current cost: 1, Max budget: 1",
            "budget_exceeded",
            "400",
            "upstream_error",
            false,
        ),
        (
            "408 Request Timeout",
            "litellm.Timeout: APITimeoutError - Request timed out.",
            "None",
            "408",
            "upstream_timeout",
            true,
        ),
        (
            "429 Too Many Requests",
            "litellm.RateLimitError: RateLimitError: OpenAIException - slow down",
            "throttling_error",
            "429",
            "rate_limited",
            false,
        ),
        (
            "500 Internal Server Error",
            "litellm.InternalServerError: InternalServerError: OpenAIException - Connection error..",
            "None",
            "500",
            "upstream_error",
            true,
        ),
        (
            "500 Internal Server Error",
            "Internal server error",
            "internal_server_error",
            "500",
            "upstream_error",
            true,
        ),
        (
            "503 Service Unavailable",
            "litellm.ServiceUnavailableError: x",
            "None",
            "503",
            "upstream_error",
            true,
        ),
    ];
    for (status, message, kind, code, expected, billed) in rows {
        let error = outcome_of(litellm(status, message, kind, code)).expect_err("a false success");
        assert_eq!(
            (error.kind(), error.may_be_billed()),
            (expected, billed),
            "{message}"
        );
        let caller = matches!(
            expected,
            "invalid_request" | "context_window_exceeded" | "content_policy"
        );
        assert_eq!(error.is_recoverable(), !caller, "{message}");
        let reply = error.reply().unwrap();
        assert!(status.starts_with(&reply.status.to_string()));
        assert_eq!(reply.code.as_deref(), Some(code));
        assert_eq!(reply.param, None);
    }
}

#[test]
fn the_field_at_fault_is_kept() {
    let body = r#"{"error":{"message":"messages is required","type":"None","param":"messages","code":400}}"#;
    let error = outcome_of(http("400 Bad Request", &[], body)).unwrap_err();
    assert_eq!(error.kind(), "invalid_request");
    let reply = error.reply().unwrap();
    assert_eq!(
        (reply.param.as_deref(), reply.code.as_deref()),
        (Some("messages"), Some("400"))
    );
}

#[test]
fn what_a_refusal_means_does_not_depend_on_its_length() {
    let message = format!(
        "{} litellm.ContextWindowExceededError",
        "too long ".repeat(200)
    );
    let error = outcome_of(litellm("400 Bad Request", &message, "None", "400")).unwrap_err();
    assert_eq!(error.kind(), "context_window_exceeded");
    assert!(error.reply().unwrap().message.len() < 600);
}

#[test]
fn without_a_key_the_stumble_is_about_the_key() {
    let reply = litellm(
        "500 Internal Server Error",
        "Internal server error",
        "internal_server_error",
        "500",
    );
    let mock = Mock::sending(reply);
    let client = client_of(LiteLlmConfig::new(&mock.url(), "".into()).unwrap());
    let error = run(client.complete(&call())).unwrap_err();
    assert_eq!(error.kind(), "key_rejected");
    let headers = &mock.log().requests[0].headers;
    assert!(
        !headers
            .iter()
            .any(|header| header.starts_with("authorization"))
    );
}

#[test]
fn a_refusal_without_a_readable_body_is_judged_by_its_status() {
    for (status, body, expected) in [
        (
            "502 Bad Gateway",
            "<html>bad gateway</html>",
            "upstream_error",
        ),
        ("503 Service Unavailable", "", "upstream_error"),
        (
            "500 Internal Server Error",
            r#"{"error":null}"#,
            "upstream_error",
        ),
        ("429 Too Many Requests", "slow down", "rate_limited"),
        ("408 Request Timeout", "", "upstream_timeout"),
        ("401 Unauthorized", "<html>log in</html>", "key_rejected"),
        (
            "413 Content Too Large",
            "<html>nginx</html>",
            "invalid_request",
        ),
        // Not the proxy, or not where we think: nothing is wrong with the request.
        (
            "404 Not Found",
            "<html>nothing here</html>",
            "invalid_answer",
        ),
        (
            "404 Not Found",
            r#"{"detail":"Not Found"}"#,
            "invalid_answer",
        ),
        (
            "405 Method Not Allowed",
            r#"{"detail":"Method Not Allowed"}"#,
            "invalid_answer",
        ),
        (
            "400 Bad Request",
            "<html>The plain HTTP request was sent to HTTPS port</html>",
            "invalid_answer",
        ),
    ] {
        let error = outcome_of(http(status, &[], body)).expect_err("a false success");
        assert_eq!(error.kind(), expected, "{status} {body}: {error}");
        if expected == "invalid_answer" {
            assert!(error.to_string().contains("LITELLM_PROXY_URL"), "{error}");
            assert!(error.is_recoverable());
        }
    }
}

#[test]
fn the_wait_that_is_asked_for_is_kept_and_bounded() {
    let date = "date: Tue, 24 Nov 2026 10:00:00 GMT";
    for (header, expected) in [
        ("retry-after: 7", Some(7_000)),
        ("retry-after: 1.5", Some(1_500)),
        ("retry-after: 0", Some(0)),
        ("retry-after: Tue, 24 Nov 2026 10:01:30 GMT", Some(90_000)),
        ("retry-after: Tue, 24 Nov 2026 09:00:00 GMT", Some(0)),
        ("retry-after: 999999999", Some(3_600_000)),
        (
            "retry-after: Fri, 01 Jan 2100 00:00:00 GMT",
            Some(3_600_000),
        ),
        ("retry-after: -5", None),
        ("retry-after: NaN", None),
        ("retry-after: inf", None),
        ("retry-after: soon", None),
        ("x-other: 1", None),
    ] {
        let reply = http("429 Too Many Requests", &[header, date], "");
        let wait = outcome_of(reply).unwrap_err().retry_after();
        assert_eq!(wait, expected.map(Duration::from_millis), "{header}");
    }
    // Without the answer's own date we do not guess what time it is there.
    let reply = http(
        "429 Too Many Requests",
        &["retry-after: Tue, 24 Nov 2026 10:01:30 GMT"],
        "",
    );
    assert_eq!(outcome_of(reply).unwrap_err().retry_after(), None);
}

#[test]
fn no_key_is_shown() {
    let message = format!(
        "Incorrect API key provided: sk-proj-abcdef123456, authorization Bearer abc.def, you sent {KEY}"
    );
    let body = serde_json::json!({
        "error": {"message": message, "type": KEY, "param": KEY, "code": KEY}
    })
    .to_string();
    for status in [
        "400 Bad Request",
        "401 Unauthorized",
        "429 Too Many Requests",
        "500 Internal Server Error",
    ] {
        let error = outcome_of(http(status, &[], &body)).unwrap_err();
        let shown = format!("{error} {error:?}");
        for secret in [KEY, "abcdef123456", "abc.def"] {
            assert!(!shown.contains(secret), "{shown}");
        }
        assert!(shown.contains("[masked]"), "{shown}");
    }
    let mut errors: Vec<ProviderError> = vec![
        outcome_of("nonsense\r\n\r\n").unwrap_err(),
        outcome_of("").unwrap_err(),
        outcome_of(http("200 OK", &[], "{")).unwrap_err(),
    ];
    let gone = Mock::sending("").url();
    errors.push(run(client_of(config(&gone)).complete(&call())).unwrap_err());
    for error in errors {
        assert!(!format!("{error} {error:?}").contains(KEY));
    }
    let config = config("http://localhost:4000");
    let client = client_of(config.clone());
    assert!(!format!("{config:?} {client:?}").contains(KEY));
}

#[test]
fn a_key_that_no_header_can_carry_is_an_error_that_does_not_show_it() {
    let config = LiteLlmConfig::new("http://localhost:4000", "sk-odd\nsecret".into()).unwrap();
    let tracker = cost_tracker::CostTracker::new(cost_tracker::PriceBook::builtin());
    let error = provider_litellm::LiteLlmClient::new(config, tracker).unwrap_err();
    let shown = format!("{error} {error:?}");
    assert!(
        shown.contains("LITELLM_PROXY_KEY") && !shown.contains("secret"),
        "{shown}"
    );
}
