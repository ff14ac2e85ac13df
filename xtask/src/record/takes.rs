//! What is asked.

use serde_json::{Value, json};

const CHAT: &str = "/v1/chat/completions";
const COMPLETIONS: &str = "/v1/completions";
const EMBEDDINGS: &str = "/v1/embeddings";
const RESPONSES: &str = "/v1/responses";

/// How an exchange is sent, apart from its body.
pub(super) enum As {
    Owner,
    Stranger,
    Nobody,
}

/// One exchange, and the status that LITELLM-WIRE says it has.
pub(super) struct Take {
    pub(super) name: &'static str,
    pub(super) sent_as: As,
    pub(super) path: &'static str,
    /// None is a GET.
    pub(super) body: Option<String>,
    pub(super) status: u16,
}

pub(super) fn takes() -> Vec<Take> {
    let chat = |name, group, status| post(name, CHAT, &chat(group), status);
    let list = |name, path| Take {
        name,
        sent_as: As::Owner,
        path,
        body: None,
        status: 200,
    };
    let mut takes = vec![
        chat("completed", "cheap", 200),
        chat("completed-again", "cheap", 200),
        chat("unpriced", "unpriced", 200),
        chat("mocked", "mocked", 200),
        chat("proxy-side-fallback", "down-with-spare", 200),
        Take {
            sent_as: As::Stranger,
            ..chat("wrong-key", "cheap", 400)
        },
        Take {
            sent_as: As::Nobody,
            ..chat("no-key", "cheap", 500)
        },
        chat("unknown-model", "no-such-group", 400),
        post("no-messages", CHAT, &json!({"model": "cheap"}), 400),
        Take {
            body: Some("{\"model\": ".to_owned()),
            ..chat("not-json", "", 400)
        },
        chat("rate-limited", "rate-limited", 429),
        chat("internal-server-error", "broken", 500),
        chat("context-window-exceeded", "too-long", 400),
        chat("timeout", "slow", 408),
        chat("upstream-down", "down", 500),
        list("models", "/v1/models"),
        list("model-info", "/model/info"),
        list("liveliness", "/health/liveliness"),
        list("readiness", "/health/readiness"),
    ];
    takes.extend(streams());
    takes.extend(other_endpoints());
    takes
}

fn streams() -> Vec<Take> {
    let usage = json!({"stream": true, "stream_options": {"include_usage": true}});
    let stream = |name, group, status| post(name, CHAT, &with(chat(group), &usage), status);
    let without_usage = with(chat("cheap"), &json!({"stream": true}));
    let tools = json!({"tools": [{"type": "function", "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    }}]});
    vec![
        post("stream", CHAT, &without_usage, 200),
        stream("stream-usage", "cheap", 200),
        stream("stream-unpriced", "unpriced", 200),
        stream("stream-mocked", "mocked", 200),
        stream("stream-proxy-side-fallback", "down-with-spare", 200),
        post(
            "stream-tools",
            CHAT,
            &with(with(chat("scripted"), &usage), &tools),
            200,
        ),
        stream("stream-failing", "scripted", 200),
        stream("stream-rate-limited", "rate-limited", 429),
        stream("stream-upstream-down", "down", 500),
    ]
}

fn other_endpoints() -> Vec<Take> {
    let streamed = json!({"stream": true});
    let usage = with(
        streamed.clone(),
        &json!({"stream_options": {"include_usage": true}}),
    );
    let text = json!({"model": "cheap", "prompt": QUESTION, "max_tokens": 8, "temperature": 0});
    let response = |group| json!({"model": group, "input": QUESTION, "max_output_tokens": 16, "temperature": 0});
    let of = |group| json!({"model": group});
    vec![
        post("completion", COMPLETIONS, &text, 200),
        post(
            "completion-stream",
            COMPLETIONS,
            &with(text.clone(), &streamed),
            200,
        ),
        post(
            "completion-stream-usage",
            COMPLETIONS,
            &with(text, &usage),
            200,
        ),
        post("completion-no-prompt", COMPLETIONS, &of("cheap"), 500),
        post(
            "completion-unknown-model",
            COMPLETIONS,
            &json!({"model": "no-such-group", "prompt": QUESTION}),
            400,
        ),
        post(
            "embedding",
            EMBEDDINGS,
            &json!({"model": "embedding", "input": [QUESTION]}),
            200,
        ),
        post("embedding-no-input", EMBEDDINGS, &of("embedding"), 400),
        post("response", RESPONSES, &response("cheap"), 200),
        post(
            "response-stream",
            RESPONSES,
            &with(response("cheap"), &streamed),
            200,
        ),
        post("response-bridged", RESPONSES, &response("bridged"), 200),
        post(
            "response-bridged-stream",
            RESPONSES,
            &with(response("bridged"), &streamed),
            200,
        ),
        post("response-no-input", RESPONSES, &of("cheap"), 500),
    ]
}

/// A stream that goes on long enough for its model to be killed under it.
pub(super) fn long_stream() -> Take {
    let long =
        json!({"stream": true, "stream_options": {"include_usage": true}, "max_tokens": 2000});
    post("stream-killed", CHAT, &with(chat("cheap"), &long), 200)
}

const QUESTION: &str =
    "The capital of France is a city that people from all over the world know. Its name is";

fn chat(group: &str) -> Value {
    let message = json!({"role": "user", "content": QUESTION});
    json!({"model": group, "messages": [message], "max_tokens": 16, "temperature": 0})
}

fn post(name: &'static str, path: &'static str, body: &Value, status: u16) -> Take {
    Take {
        name,
        sent_as: As::Owner,
        path,
        body: Some(body.to_string()),
        status,
    }
}

fn with(mut body: Value, more: &Value) -> Value {
    if let (Some(body), Some(more)) = (body.as_object_mut(), more.as_object()) {
        body.extend(more.clone());
    }
    body
}
