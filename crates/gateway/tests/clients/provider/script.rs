//! Which model does what.

use std::time::Duration;

use serde_json::{Value, json};

use super::{chat, completions, embeddings, responses};

/// What is sent back.
pub(crate) enum Reply {
    Whole {
        status: u16,
        body: Value,
        after: Duration,
        retry_after: Option<&'static str>,
    },
    Stream(Vec<Step>),
}

/// One step of a stream.
pub(crate) enum Step {
    Send(String),
    Pause(Duration),
    Cut,
}

/// What a model says unless it is asked for something else.
pub(crate) const TEXT: &str = "Hello there, traveller.";

/// What the model `schema` says.
pub(crate) const JSON_TEXT: &str = r#"{"city":"Paris","population":2100000}"#;

/// What the model `foreign` says: letters of several bytes, ends of lines of every kind, what looks like the
/// frame around it, and a NUL.
pub(crate) const FOREIGN: &str =
    "Grüße, 世界! 👩‍👩‍👧 \u{2028}\u{85} \r\n\r\n data: [DONE]\n\n \"\\u0041\" \u{0}";

/// What the model `long` says.
pub(crate) fn long() -> String {
    (0..500).map(|number| format!("{number} ")).collect()
}

/// What a model says once it has the results of its tools.
pub(crate) const AFTER_TOOLS: &str = "It is 21 degrees.";

/// No other stream has as many steps as the endless one.
pub(crate) const ENDLESS: usize = 1000;

/// Longer than the client waits, shorter than anybody else does.
const SLOW: Duration = Duration::from_secs(5);

/// So long that what was sent before is on its way to the client when the failure comes.
const BEFORE_A_FAILURE: Duration = Duration::from_millis(300);

/// The answer to one request. `earlier` counts the requests before it for the same model.
///
/// | model | does |
/// | --- | --- |
/// | `chat`, `bridged`, … | answers with [`TEXT`]: any name that is not one below |
/// | `tools`, `parallel` | calls one tool, or two at once; once it has their results, [`AFTER_TOOLS`] |
/// | `schema` | answers with [`JSON_TEXT`] |
/// | `reasoning`, `refusal` | thinks first; refuses |
/// | `no-usage` | streams without usage, although it was asked for |
/// | `unauthorized`, `invalid`, … | an error, see [`failure`] |
/// | `flaky`, `flaky-…` | 500, then 503, then answers |
/// | `slow`, `stalls` | answers after a long time; streams, and goes on after a long time |
/// | `long`, `foreign` | says a lot; says what is easily spoilt on the way |
/// | `endless` | streams until nobody listens |
/// | `breaks`, `cut` | streams, then an error event, or the connection is cut |
pub(crate) fn reply(path: &str, body: &Value, earlier: usize) -> Reply {
    let model = body["model"].as_str().unwrap_or_default();
    if let Some(reply) = failure(model, earlier) {
        return reply;
    }
    let reply = match path {
        "/v1/chat/completions" => chat::reply(model, body),
        "/v1/completions" => completions::reply(model, body),
        "/v1/embeddings" => embeddings::reply(model, body),
        "/v1/responses" => responses::reply(model, body),
        _ => error(
            404,
            "invalid_request_error",
            Some("unknown_url"),
            "unknown path",
        ),
    };
    match (model, reply) {
        ("slow", Reply::Whole { status, body, .. }) => Reply::Whole {
            status,
            body,
            after: SLOW,
            retry_after: None,
        },
        (_, reply) => reply,
    }
}

fn failure(model: &str, earlier: usize) -> Option<Reply> {
    let request = "invalid_request_error";
    let model = if model.starts_with("flaky") {
        "flaky"
    } else {
        model
    };
    Some(match (model, earlier) {
        ("unauthorized", _) => error(
            401,
            request,
            Some("invalid_api_key"),
            "Incorrect API key provided.",
        ),
        ("invalid", _) => error(400, request, None, "Unknown parameter: 'colour'."),
        ("too-long", _) => error(
            400,
            request,
            Some("context_length_exceeded"),
            "This model's maximum context length is 128000 tokens. However, your messages resulted in 200000 tokens.",
        ),
        ("filtered", _) => error(
            400,
            request,
            Some("content_policy_violation"),
            "Your request was rejected as a result of our safety system.",
        ),
        ("missing", _) => error(
            404,
            request,
            Some("model_not_found"),
            "The model `missing` does not exist.",
        ),
        ("limited" | "cooled", _) => limited(),
        ("broken", _) | ("flaky", 0) => error(
            500,
            "server_error",
            None,
            "The server had an error while processing your request.",
        ),
        ("overloaded", _) | ("flaky", 1) => error(
            503,
            "server_error",
            None,
            "The engine is currently overloaded, please try again later.",
        ),
        _ => return None,
    })
}

fn limited() -> Reply {
    let (kind, code) = ("rate_limit_error", Some("rate_limit_exceeded"));
    let reply = error(429, kind, code, "Rate limit reached for requests.");
    match reply {
        Reply::Whole {
            status,
            body,
            after,
            ..
        } => Reply::Whole {
            status,
            body,
            after,
            retry_after: Some("7"),
        },
        stream @ Reply::Stream(_) => stream,
    }
}

fn error(status: u16, kind: &str, code: Option<&str>, message: &str) -> Reply {
    Reply::Whole {
        status,
        body: json!({"error": {"message": message, "type": kind, "param": null, "code": code}}),
        after: Duration::ZERO,
        retry_after: None,
    }
}

pub(crate) fn whole(body: Value) -> Reply {
    Reply::Whole {
        status: 200,
        body,
        after: Duration::ZERO,
        retry_after: None,
    }
}

/// One event of a stream.
pub(crate) fn data(value: &Value) -> Step {
    Step::Send(format!("data: {value}\n\n"))
}

pub(crate) fn done() -> Step {
    Step::Send("data: [DONE]\n\n".to_owned())
}

/// The end of a stream that fails, if this model does: an error event, a cut connection, or nothing for long.
pub(crate) fn break_off(model: &str, event: &Value) -> Option<Vec<Step>> {
    let pause = Step::Pause(BEFORE_A_FAILURE);
    match model {
        "breaks" => Some(vec![pause, data(event)]),
        "cut" => Some(vec![pause, Step::Cut]),
        "stalls" => Some(vec![Step::Pause(SLOW), Step::Cut]),
        _ => None,
    }
}

/// The error event of a chat or text completion.
pub(crate) fn broken() -> Value {
    json!({"error": {"message": "The server had an error while processing your request.", "type": "server_error", "param": null, "code": null}})
}

pub(crate) fn asks_for_stream(body: &Value) -> bool {
    body["stream"] == true
}

pub(crate) fn asks_for_usage(body: &Value) -> bool {
    body["stream_options"]["include_usage"] == true
}

/// A text as it is streamed: word by word.
pub(crate) fn pieces(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive(' ')
}
