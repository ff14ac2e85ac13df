//! One call, and what came of it.

use std::time::Duration;

use cost_tracker::{CostTracker, PriceBook};
use event_payloads::{Cost, CostSource};
use provider_core::{
    Completion, ModelCall, ModelCallResult, ModelClient, ModelRequest, ProviderError,
};
use provider_litellm::{LiteLlmClient, LiteLlmConfig};

use crate::mock::Mock;

pub(crate) const KEY: &str = "proxy-key-0123456789";
pub(crate) const MAX_BYTES: usize = 1 << 20;

/// A usage of 1000 + 200 tokens, which costs 0.00027 USD with gpt-4o-mini.
pub(crate) const USAGE: &str =
    r#""usage":{"prompt_tokens":1000,"completion_tokens":200,"total_tokens":1200}"#;

/// Runs to the end, which has to come soon.
pub(crate) fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime
        .block_on(async { tokio::time::timeout(Duration::from_secs(20), work).await })
        .expect("it hangs")
}

pub(crate) fn config(url: &str) -> LiteLlmConfig {
    LiteLlmConfig::new(url, KEY.into())
        .unwrap()
        .with_connect_timeout(Duration::from_secs(5))
        .with_call_timeout(Duration::from_secs(10))
        .with_max_response_bytes(MAX_BYTES)
}

pub(crate) fn client_of(config: LiteLlmConfig) -> LiteLlmClient {
    LiteLlmClient::new(config, CostTracker::new(PriceBook::builtin())).unwrap()
}

pub(crate) fn client(mock: &Mock) -> LiteLlmClient {
    client_of(config(&mock.url()))
}

pub(crate) fn call() -> ModelCall {
    ModelCall {
        model_alias: "planner".into(),
        runtime_group: "main".parse().unwrap(),
        request: ModelRequest::from_prompt("hi"),
    }
}

/// One call to a server.
pub(crate) fn outcome(mock: &Mock) -> Result<Completion, ProviderError> {
    run(client(mock).complete(&call()))
}

/// One call to a server that sends these bytes and closes.
pub(crate) fn outcome_of(reply: impl Into<Vec<u8>>) -> Result<Completion, ProviderError> {
    outcome(&Mock::sending(reply))
}

pub(crate) fn result_of(reply: impl Into<Vec<u8>>) -> ModelCallResult {
    outcome_of(reply).unwrap().result
}

/// The answer is one that can not be used, for this reason.
pub(crate) fn assert_invalid(outcome: Result<Completion, ProviderError>, reason: &str) {
    let error = outcome.expect_err("a false success");
    assert!(
        matches!(&error, ProviderError::InvalidAnswer { .. }),
        "{error:?}"
    );
    assert!(error.to_string().contains(reason), "{error} <> {reason}");
    assert!(error.may_be_billed() && error.is_recoverable());
}

/// The connection failed, before or after the request may have been read.
pub(crate) fn assert_unreachable(
    outcome: Result<Completion, ProviderError>,
    sent: bool,
    what: &str,
) {
    let error = outcome.expect_err("a false success");
    let ProviderError::Unreachable {
        address,
        detail,
        request_sent,
        ..
    } = &error
    else {
        panic!("{error:?}");
    };
    assert!(address.starts_with("http"), "{address}");
    assert!(detail.contains(what), "{detail} <> {what}");
    assert_eq!(*request_sent, sent, "{error:?}");
    assert_eq!(error.may_be_billed(), sent);
    assert!(error.to_string().contains("LITELLM_PROXY_URL"), "{error}");
}

/// An HTTP answer with a content-length.
pub(crate) fn http(status: &str, headers: &[&str], body: &str) -> Vec<u8> {
    let headers: String = headers
        .iter()
        .map(|header| format!("{header}\r\n"))
        .collect();
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{headers}content-length: {length}\r\n\r\n{body}")
        .into_bytes()
}

/// A chat completion as LiteLLM writes it; `usage` is a whole field.
pub(crate) fn chat(message: &str, usage: &str) -> String {
    let comma = if usage.is_empty() { "" } else { "," };
    format!(
        r#"{{"id":"chatcmpl-1","object":"chat.completion","created":1764000000,"model":"main","choices":[{{"index":0,"finish_reason":"stop","message":{message}}}]{comma}{usage}}}"#
    )
}

pub(crate) fn hello() -> String {
    chat(r#"{"role":"assistant","content":"Hello."}"#, USAGE)
}

/// The proxy's figure for [`USAGE`], which is the price book's too: nothing more is asked about it.
pub(crate) const AGREED: &str = "x-litellm-response-cost: 0.00027";

pub(crate) const MINI: &str = "x-litellm-model-name: gpt-4o-mini";

/// A good answer of gpt-4o-mini, with further headers.
pub(crate) fn good(headers: &[&str]) -> Vec<u8> {
    http("200 OK", &[&[MINI], headers].concat(), &hello())
}

pub(crate) fn known(usd: &str, source: CostSource) -> Cost {
    Cost::known(usd.parse().unwrap(), source)
}
