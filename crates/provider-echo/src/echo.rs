//! The echo.

use std::time::Duration;

use async_trait::async_trait;
use event_payloads::{Cost, TokenUsage};
use provider_core::{
    Closed, Completion, Endpoint, ModelCall, ModelCallResult, ModelClient, ModelStream,
    ProviderError, ReadyStream,
};

use crate::shape;

/// The word for model, provider and client.
pub(crate) const ECHO: &str = "echo";

/// Answers `Echo: <last user message>`. Tokens are counted as words.
#[derive(Clone, Copy, Debug, Default)]
pub struct EchoClient;

#[async_trait]
impl ModelClient for EchoClient {
    fn name(&self) -> &'static str {
        ECHO
    }

    async fn complete(&self, call: &ModelCall) -> Result<Completion, ProviderError> {
        let echo = Echo::of(call)?;
        let body = shape::whole(&echo).map_err(without_json)?;
        Ok(Completion {
            result: echo.result(call),
            body: body.into(),
        })
    }

    /// The words of the echo, one a piece.
    async fn stream(&self, call: &ModelCall) -> Result<ModelStream, ProviderError> {
        let echo = Echo::of(call)?;
        let mut chunks = shape::pieces(&echo).map_err(without_json)?;
        if call.request.wants_usage() {
            chunks.extend(shape::usage(&echo).map_err(without_json)?);
        }
        let result = ModelCallResult {
            time_to_first_token: Some(Duration::ZERO),
            ..echo.result(call)
        };
        let tail = shape::tail(&echo).map_err(without_json)?;
        Ok(Box::new(ReadyStream::new(
            chunks,
            Closed::whole(result, tail),
        )))
    }
}

/// What is echoed.
pub(crate) struct Echo {
    pub(crate) endpoint: Endpoint,
    pub(crate) content: String,
    pub(crate) usage: TokenUsage,
}

impl Echo {
    fn of(call: &ModelCall) -> Result<Self, ProviderError> {
        let endpoint = call.request.endpoint();
        if endpoint == Endpoint::Embeddings {
            return Err(no_embeddings());
        }
        let asked = call.request.last_user_text();
        let content = format!("Echo: {asked}");
        let usage = TokenUsage::new(words(&asked), words(&content));
        Ok(Self {
            endpoint,
            content,
            usage,
        })
    }

    fn result(&self, call: &ModelCall) -> ModelCallResult {
        ModelCallResult {
            token_usage: Some(self.usage),
            finish_reason: Some("stop".to_owned()),
            ..ModelCallResult::answered(call, ECHO, ECHO, &self.content, Cost::FREE)
        }
    }
}

/// Made-up vectors would be stored somewhere and found to be near to anything.
fn no_embeddings() -> ProviderError {
    ProviderError::InvalidAnswer {
        reason: "the echo makes no embeddings".to_owned(),
        source: None,
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

#[cfg(test)]
mod tests {
    use super::*;
    use provider_core::ModelRequest;

    async fn echo(request: ModelRequest) -> Completion {
        let call = ModelCall {
            model_alias: "planner".into(),
            runtime_group: "main".parse().unwrap(),
            request,
        };
        EchoClient.complete(&call).await.unwrap()
    }

    #[tokio::test]
    async fn the_echo_is_free_and_counts_words() {
        let answer = echo(ModelRequest::from_prompt("one two  three"))
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
        let request =
            ModelRequest::from_json(Endpoint::ChatCompletions, br#"{"model":"m","messages":[]}"#)
                .unwrap();
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
        let body = echo(ModelRequest::from_prompt("hi")).await.body;
        insta::assert_snapshot!(String::from_utf8_lossy(&body), @r#"{"id":"chatcmpl-echo","object":"chat.completion","created":0,"model":"echo","choices":[{"index":0,"message":{"role":"assistant","content":"Echo: hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}"#);
    }

    async fn streamed(endpoint: Endpoint, body: &str) -> (String, String) {
        let call = ModelCall {
            model_alias: "planner".into(),
            runtime_group: "main".parse().unwrap(),
            request: ModelRequest::from_json(endpoint, body.as_bytes()).unwrap(),
        };
        let mut stream = EchoClient.stream(&call).await.unwrap();
        assert_eq!((stream.model_name(), stream.fallback()), ("echo", None));
        let (mut text, mut wire) = (String::new(), Vec::new());
        while let Some(chunk) = stream.next().await.unwrap() {
            text.push_str(&chunk.text);
            wire.extend_from_slice(&chunk.frame);
        }
        let closed = stream.close().await;
        assert!(closed.is_whole && closed.last_words.is_empty());
        assert_eq!(
            (closed.result.content.as_str(), closed.result.cost),
            (text.as_str(), Cost::FREE)
        );
        wire.extend_from_slice(&closed.tail);
        (text, String::from_utf8(wire).unwrap())
    }

    #[tokio::test]
    async fn a_chat_is_streamed_word_by_word_with_its_usage_for_who_asks() {
        let body = r#"{"model":"m","messages":[{"role":"user","content":"one two"}],"stream_options":{"include_usage":true}}"#;
        let (text, wire) = streamed(Endpoint::ChatCompletions, body).await;
        assert_eq!(text, "Echo: one two");
        insta::assert_snapshot!(wire, @r#"
        data: {"id":"chatcmpl-echo","object":"chat.completion.chunk","created":0,"model":"echo","choices":[{"index":0,"delta":{"role":"assistant","content":"Echo: "},"finish_reason":null}]}

        data: {"id":"chatcmpl-echo","object":"chat.completion.chunk","created":0,"model":"echo","choices":[{"index":0,"delta":{"role":"assistant","content":"one "},"finish_reason":null}]}

        data: {"id":"chatcmpl-echo","object":"chat.completion.chunk","created":0,"model":"echo","choices":[{"index":0,"delta":{"role":"assistant","content":"two"},"finish_reason":null}]}

        data: {"id":"chatcmpl-echo","object":"chat.completion.chunk","created":0,"model":"echo","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}

        data: {"id":"chatcmpl-echo","object":"chat.completion.chunk","created":0,"model":"echo","choices":[],"usage":{"prompt_tokens":2,"completion_tokens":3,"total_tokens":5}}

        data: [DONE]
        "#);
        let (_, wire) = streamed(Endpoint::ChatCompletions, r#"{"model":"m","messages":[]}"#).await;
        assert!(!wire.contains("usage"), "{wire}");
    }

    #[tokio::test]
    async fn the_other_endpoints_are_echoed_in_their_own_shape() {
        let (text, wire) = streamed(Endpoint::Completions, r#"{"model":"m","prompt":"hi"}"#).await;
        assert_eq!(text, "Echo: hi");
        assert!(
            wire.contains(r#""text":"hi""#) && wire.ends_with("data: [DONE]\n\n"),
            "{wire}"
        );
        let (text, wire) = streamed(Endpoint::Responses, r#"{"model":"m","input":"hi"}"#).await;
        assert_eq!(text, "Echo: hi");
        let kinds: Vec<&str> = wire
            .split(r#"{"type":"response."#)
            .skip(1)
            .filter_map(|event| event.split('"').next())
            .collect();
        assert_eq!(
            kinds,
            [
                "created",
                "output_item.added",
                "content_part.added",
                "output_text.delta",
                "output_text.delta",
                "completed"
            ]
        );
        for (endpoint, body, object) in [
            (
                Endpoint::Completions,
                r#"{"model":"m","prompt":"hi"}"#,
                "text_completion",
            ),
            (
                Endpoint::Responses,
                r#"{"model":"m","input":"hi"}"#,
                "response",
            ),
        ] {
            let whole = echo(ModelRequest::from_json(endpoint, body.as_bytes()).unwrap()).await;
            let whole = String::from_utf8_lossy(&whole.body).into_owned();
            assert!(
                whole.contains(&format!(r#""object":"{object}""#)) && whole.contains("Echo: hi"),
                "{whole}"
            );
        }
    }

    #[tokio::test]
    async fn nothing_is_made_up_for_an_embedding() {
        let call = ModelCall {
            model_alias: "planner".into(),
            runtime_group: "main".parse().unwrap(),
            request: ModelRequest::from_json(
                Endpoint::Embeddings,
                br#"{"model":"m","input":"hi"}"#,
            )
            .unwrap(),
        };
        assert!(EchoClient.complete(&call).await.is_err());
        assert!(EchoClient.stream(&call).await.is_err());
    }
}
