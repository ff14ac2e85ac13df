//! The echo.

use async_trait::async_trait;
use event_payloads::{Cost, TokenUsage};
use provider_core::{Completion, ModelCall, ModelCallResult, ModelClient, ProviderError};
use serde::Serialize;

/// The word for model, provider and client.
const ECHO: &str = "echo";

/// Answers `Echo: <last user message>`. Tokens are counted as words.
#[derive(Clone, Copy, Debug, Default)]
pub struct EchoClient;

#[async_trait]
impl ModelClient for EchoClient {
    fn name(&self) -> &'static str {
        ECHO
    }

    async fn complete(&self, call: &ModelCall) -> Result<Completion, ProviderError> {
        let asked = call.request.last_user_text();
        let content = format!("Echo: {asked}");
        let usage = TokenUsage::new(words(&asked), words(&content));
        let body = body(&content, usage).map_err(without_json)?;
        let result = ModelCallResult {
            token_usage: Some(usage),
            finish_reason: Some("stop".to_owned()),
            ..ModelCallResult::answered(call, ECHO, ECHO, &content, Cost::FREE)
        };
        Ok(Completion {
            result,
            body: body.into(),
        })
    }
}

fn without_json(source: serde_json::Error) -> ProviderError {
    ProviderError::InvalidAnswer {
        reason: "the echo has no JSON form".to_owned(),
        source: Some(source.into()),
    }
}

fn words(text: &str) -> u64 {
    u64::try_from(text.split_whitespace().count()).unwrap_or(u64::MAX)
}

/// The answer in OpenAI's shape, for callers of `/v1`.
fn body(content: &str, usage: TokenUsage) -> Result<Vec<u8>, serde_json::Error> {
    #[derive(Serialize)]
    struct Body<'a> {
        id: &'static str,
        object: &'static str,
        created: u64,
        model: &'static str,
        choices: [Choice<'a>; 1],
        usage: TokenUsage,
    }
    #[derive(Serialize)]
    struct Choice<'a> {
        index: u32,
        message: Message<'a>,
        finish_reason: &'static str,
    }
    #[derive(Serialize)]
    struct Message<'a> {
        role: &'static str,
        content: &'a str,
    }
    serde_json::to_vec(&Body {
        id: "chatcmpl-echo",
        object: "chat.completion",
        created: 0,
        model: ECHO,
        choices: [Choice {
            index: 0,
            message: Message {
                role: "assistant",
                content,
            },
            finish_reason: "stop",
        }],
        usage,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use provider_core::ChatRequest;

    async fn echo(request: ChatRequest) -> Completion {
        let call = ModelCall {
            model_alias: "planner".into(),
            runtime_group: "main".parse().unwrap(),
            request,
        };
        EchoClient.complete(&call).await.unwrap()
    }

    #[tokio::test]
    async fn the_echo_is_free_and_counts_words() {
        let answer = echo(ChatRequest::from_prompt("one two  three"))
            .await
            .result;
        assert_eq!(answer.content, "Echo: one two  three");
        assert_eq!(answer.token_usage, Some(TokenUsage::new(3, 4)));
        assert_eq!(answer.cost, Cost::FREE);
        assert_eq!(EchoClient.name(), answer.provider);
        assert_eq!(
            (answer.model_name.as_str(), answer.provider.as_str()),
            ("echo", "echo")
        );
        assert_eq!(
            answer.fallback, None,
            "who calls the echo instead of another says so"
        );
    }

    #[tokio::test]
    async fn a_request_without_a_user_message_is_echoed_too() {
        let request = ChatRequest::from_json(br#"{"model":"m","messages":[]}"#).unwrap();
        assert_eq!(echo(request).await.result.content, "Echo: ");
    }

    #[test]
    fn an_echo_that_can_not_be_written_would_be_an_error_with_its_cause() {
        let cause = serde_json::from_str::<u8>("x").unwrap_err();
        let error = without_json(cause);
        assert_eq!(error.kind(), "invalid_answer");
        assert!(std::error::Error::source(&error).is_some());
    }

    #[tokio::test]
    async fn the_body_has_the_shape_of_openai() {
        let body = echo(ChatRequest::from_prompt("hi")).await.body;
        insta::assert_snapshot!(String::from_utf8_lossy(&body), @r#"{"id":"chatcmpl-echo","object":"chat.completion","created":0,"model":"echo","choices":[{"index":0,"message":{"role":"assistant","content":"Echo: hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}"#);
    }
}
