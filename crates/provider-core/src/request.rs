//! What a caller asks: an OpenAI request whose fields we do not rewrite.

use std::sync::Arc;

use bytes::Bytes;
use event_payloads::RuntimeGroup;
use indexmap::IndexMap;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::Endpoint;
use crate::prompt::Prompt;

/// Asks the upstream for the usage of a stream.
const INCLUDE_USAGE: &str = "include_usage";

/// A request to one of OpenAI's endpoints. Every field stays the bytes that the caller sent; only `model`
/// is replaced when it goes out (and, for a stream, the two fields that ask for one with its usage), so that
/// what we do not know passes through untouched.
#[derive(Clone, Debug)]
pub struct ModelRequest {
    endpoint: Endpoint,
    /// Shared: a request is at hand until its answer has ended, in more than one place.
    fields: Arc<IndexMap<String, Box<RawValue>>>,
}

/// A body that is not a request.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct InvalidRequest {
    message: String,
    param: Option<&'static str>,
    #[source]
    source: Option<serde_json::Error>,
}

impl InvalidRequest {
    /// The field at fault, if it is one.
    #[must_use]
    pub const fn param(&self) -> Option<&'static str> {
        self.param
    }

    fn field(param: &'static str, message: &str) -> Self {
        Self {
            message: message.to_owned(),
            param: Some(param),
            source: None,
        }
    }
}

impl ModelRequest {
    /// Reads a request body.
    ///
    /// # Errors
    /// Not a JSON object; `model` missing or not a text; `prompt` or `input` missing; `stream` not a boolean;
    /// `stream_options` not an object. Everything else is for the proxy to judge.
    pub fn from_json(endpoint: Endpoint, body: &[u8]) -> Result<Self, InvalidRequest> {
        let fields = serde_json::from_slice(body).map_err(|source| InvalidRequest {
            message: format!("the body is not a JSON object: {source}"),
            param: None,
            source: Some(source),
        })?;
        let request = Self {
            endpoint,
            fields: Arc::new(fields),
        };
        if request.model().is_none_or(|model| model.trim().is_empty()) {
            return Err(InvalidRequest::field(
                "model",
                "`model` has to be a text: an alias or a model group",
            ));
        }
        if !matches!(
            request.raw("stream"),
            None | Some("true" | "false" | "null")
        ) {
            return Err(InvalidRequest::field(
                "stream",
                "`stream` has to be true or false",
            ));
        }
        // Without these the proxy stumbles, and calls it its own fault (500).
        let (needed, known) = match endpoint {
            Endpoint::Completions => ("prompt", request.raw("prompt")),
            Endpoint::Responses => ("input", request.raw("input")),
            _ => ("", Some("")),
        };
        if matches!(known, None | Some("null")) {
            return Err(InvalidRequest::field(
                needed,
                &format!("`{needed}` is missing"),
            ));
        }
        if request.stream_options().is_none() {
            return Err(InvalidRequest::field(
                "stream_options",
                "`stream_options` has to be an object",
            ));
        }
        Ok(request)
    }

    /// A chat request with a single user message.
    #[must_use]
    pub fn from_prompt(text: &str) -> Self {
        #[derive(Serialize)]
        struct Message<'a> {
            role: &'static str,
            content: &'a str,
        }
        // Text always has a JSON form; an empty request would be refused by the proxy, not lost.
        let messages = to_raw_value(&[Message {
            role: "user",
            content: text,
        }]);
        Self {
            endpoint: Endpoint::ChatCompletions,
            fields: Arc::new(
                messages
                    .into_iter()
                    .map(|raw| ("messages".to_owned(), raw))
                    .collect(),
            ),
        }
    }

    /// Which call it is.
    #[must_use]
    pub const fn endpoint(&self) -> Endpoint {
        self.endpoint
    }

    /// What `model` says, if it is a text.
    #[must_use]
    pub fn model(&self) -> Option<String> {
        serde_json::from_str(self.raw("model")?).ok()
    }

    /// True if the caller wants the answer in pieces.
    #[must_use]
    pub fn is_stream(&self) -> bool {
        self.raw("stream") == Some("true") && self.endpoint != Endpoint::Embeddings
    }

    /// True if the caller asks for several answers at once.
    #[must_use]
    pub fn asks_for_many(&self) -> bool {
        self.raw("n").is_some_and(|n| !matches!(n, "1" | "null"))
    }

    /// True if the caller wants the usage at the end of a stream.
    #[must_use]
    pub fn wants_usage(&self) -> bool {
        let asked = |options: StreamOptions<'_>| {
            options
                .get(INCLUDE_USAGE)
                .is_some_and(|raw| raw.get() == "true")
        };
        !self.endpoint.has_usage_option() || self.stream_options().is_some_and(asked)
    }

    /// The text that is asked, and whether there is more to it than text.
    #[must_use]
    pub fn prompt(&self) -> Prompt {
        Prompt::read(self.endpoint, |field| self.raw(field))
    }

    /// The text of the last user message, or nothing if there is none.
    #[must_use]
    pub fn last_user_text(&self) -> String {
        self.prompt().last_user_text().to_owned()
    }

    /// What is asked, in a few words and without any of its text.
    #[must_use]
    pub fn summary(&self) -> String {
        let field = self.endpoint.input_field();
        let bytes = self.raw(field).map_or(0, str::len);
        let streamed = if self.is_stream() { ", streamed" } else { "" };
        match self.endpoint {
            Endpoint::ChatCompletions => {
                let count = self.prompt().messages();
                let plural = if count == 1 { "" } else { "s" };
                format!("chat completion, {count} message{plural}, {bytes} bytes{streamed}")
            }
            endpoint => format!("{endpoint}, `{field}` of {bytes} bytes{streamed}"),
        }
    }

    /// The body to send: the caller's fields, with `model` naming the group. It asks for the answer in one
    /// piece, whatever `stream` says.
    #[must_use]
    pub fn to_body(&self, group: &RuntimeGroup) -> Bytes {
        let without: &[&str] = if self.is_stream() {
            &["model", "stream", "stream_options"]
        } else {
            &["model"]
        };
        Body::new(self, group).fields(self, without).end()
    }

    /// The same for an answer in pieces, whose usage is always asked for: without it a stream has no price.
    #[must_use]
    pub fn to_stream_body(&self, group: &RuntimeGroup) -> Bytes {
        let mut body = Body::new(self, group);
        if !self.endpoint.has_usage_option() {
            return body
                .fields(self, &["model", "stream"])
                .field("stream", "true")
                .end();
        }
        body = body
            .fields(self, &["model", "stream", "stream_options"])
            .field("stream", "true");
        let mut options = Body::object();
        for (key, value) in self.stream_options().iter().flatten() {
            if key != INCLUDE_USAGE {
                options = options.field(key, value.get());
            }
        }
        let options = options.field(INCLUDE_USAGE, "true").end();
        body.field("stream_options", &String::from_utf8_lossy(&options))
            .end()
    }

    /// The options that the caller gave; none given is an empty list, and `None` is something else than options.
    fn stream_options(&self) -> Option<StreamOptions<'_>> {
        match self.raw("stream_options") {
            None | Some("null") => Some(StreamOptions::new()),
            Some(raw) => serde_json::from_str(raw).ok(),
        }
    }

    fn raw(&self, field: &str) -> Option<&str> {
        self.fields.get(field).map(|raw| raw.get())
    }
}

type StreamOptions<'a> = IndexMap<String, &'a RawValue>;

/// A JSON object that is being written from raw parts.
struct Body(Vec<u8>);

impl Body {
    fn object() -> Self {
        Self(b"{".to_vec())
    }

    /// Begins with the group as `model`.
    fn new(request: &ModelRequest, group: &RuntimeGroup) -> Self {
        let fields = request.fields.iter();
        let room: usize = fields.map(|(k, v)| k.len() + v.get().len() + 8).sum();
        let mut body = Vec::with_capacity(room + 64);
        body.extend_from_slice(b"{\"model\":");
        push_json(&mut body, group.as_str());
        Self(body)
    }

    /// All fields of the request but some.
    fn fields(self, request: &ModelRequest, without: &[&str]) -> Self {
        let kept = request.fields.iter();
        kept.filter(|(key, _)| !without.contains(&key.as_str()))
            .fold(self, |body, (key, value)| body.field(key, value.get()))
    }

    fn field(mut self, key: &str, raw: &str) -> Self {
        if self.0.len() > 1 {
            self.0.push(b',');
        }
        push_json(&mut self.0, key);
        self.0.push(b':');
        self.0.extend_from_slice(raw.as_bytes());
        self
    }

    fn end(mut self) -> Bytes {
        self.0.push(b'}');
        self.0.into()
    }
}

/// Appends a text as a JSON string.
fn push_json(body: &mut Vec<u8>, text: &str) {
    // Writing to a `Vec` cannot fail, and a text always has a JSON form.
    let _ = serde_json::to_writer(body, text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn request(body: &str) -> ModelRequest {
        ModelRequest::from_json(Endpoint::ChatCompletions, body.as_bytes()).unwrap()
    }

    /// JSON of any shape, with the words that requests use.
    fn json() -> impl Strategy<Value = serde_json::Value> {
        use serde_json::Value;
        let words = prop_oneof![
            Just("role"),
            Just("content"),
            Just("type"),
            Just("text"),
            Just("user"),
            Just("tool_calls"),
            Just("output"),
            Just("image_url"),
        ];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            words.clone().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::vec((words.clone(), inner), 0..4).prop_map(|pairs| {
                    Value::Object(pairs.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())
                }),
            ]
        })
    }

    fn main_group() -> RuntimeGroup {
        "main".parse().unwrap()
    }

    #[test]
    fn only_the_model_changes_on_the_way_out() {
        let asked = r#"{"messages":[ {"role":"user","content":"hi"} ],"model":"planner","seed":12345678901234567890123,"top_p":0.10,"x_new":{"b":1,"a":2}}"#;
        let sent = request(asked).to_body(&main_group());
        insta::assert_snapshot!(String::from_utf8_lossy(&sent), @r#"{"model":"main","messages":[ {"role":"user","content":"hi"} ],"seed":12345678901234567890123,"top_p":0.10,"x_new":{"b":1,"a":2}}"#);
    }

    #[test]
    fn a_body_that_is_not_a_request_names_what_is_wrong() {
        for (body, param) in [
            ("[]", None),
            ("{", None),
            ("<html>", None),
            (r#"{"messages":[]}"#, Some("model")),
            (r#"{"model":5}"#, Some("model")),
            (r#"{"model":" "}"#, Some("model")),
            (r#"{"model":"a","stream":"yes"}"#, Some("stream")),
            (
                r#"{"model":"a","stream_options":[true]}"#,
                Some("stream_options"),
            ),
        ] {
            assert_eq!(
                ModelRequest::from_json(Endpoint::ChatCompletions, body.as_bytes())
                    .unwrap_err()
                    .param(),
                param,
                "{body}"
            );
        }
    }

    #[test]
    fn a_stream_is_asked_for_with_its_usage_and_keeps_its_other_options() {
        let stream = |body: &str| {
            String::from_utf8(request(body).to_stream_body(&main_group()).to_vec()).unwrap()
        };
        insta::assert_snapshot!(stream(r#"{"model":"planner","messages":[]}"#), @r#"{"model":"main","messages":[],"stream":true,"stream_options":{"include_usage":true}}"#);
        insta::assert_snapshot!(
            stream(r#"{"stream_options":{"include_usage":false,"include_obfuscation": 1.0},"stream":true,"model":"planner","n":2}"#), @r#"{"model":"main","n":2,"stream":true,"stream_options":{"include_obfuscation":1.0,"include_usage":true}}"#);
        let response =
            ModelRequest::from_json(Endpoint::Responses, br#"{"model":"m","input":"hi"}"#).unwrap();
        insta::assert_snapshot!(String::from_utf8_lossy(&response.to_stream_body(&main_group())), @r#"{"model":"main","input":"hi","stream":true}"#);
    }

    #[test]
    fn the_usage_is_for_who_asked_for_it() {
        for (options, wanted) in [
            ("", false),
            (r#","stream_options":null"#, false),
            (r#","stream_options":{}"#, false),
            (r#","stream_options":{"include_usage":null}"#, false),
            (r#","stream_options":{"include_usage":true}"#, true),
        ] {
            let request = request(&format!(r#"{{"model":"m"{options}}}"#));
            assert_eq!(request.wants_usage(), wanted, "{options}");
        }
        let response =
            ModelRequest::from_json(Endpoint::Responses, br#"{"model":"m","input":""}"#).unwrap();
        assert!(response.wants_usage(), "it is part of every one");
    }

    #[test]
    fn what_the_proxy_stumbles_over_is_refused_here() {
        for (endpoint, param) in [
            (Endpoint::Completions, Some("prompt")),
            (Endpoint::Responses, Some("input")),
        ] {
            for body in [
                r#"{"model":"m"}"#,
                r#"{"model":"m","prompt":null,"input":null}"#,
            ] {
                let error = ModelRequest::from_json(endpoint, body.as_bytes()).unwrap_err();
                assert_eq!(error.param(), param);
            }
        }
        assert!(ModelRequest::from_json(Endpoint::ChatCompletions, br#"{"model":"m"}"#).is_ok());
    }

    #[test]
    fn the_summary_says_nothing_of_the_prompt() {
        let summary = ModelRequest::from_prompt("my secret").summary();
        insta::assert_snapshot!(summary, @"chat completion, 1 message, 39 bytes");
        let body = br#"{"model":"m","input":"my secret","stream":true}"#;
        let response = ModelRequest::from_json(Endpoint::Responses, body).unwrap();
        insta::assert_snapshot!(response.summary(), @"response, `input` of 11 bytes, streamed");
    }

    proptest! {
        #[test]
        fn no_messages_make_reading_panic(messages in json()) {
            for endpoint in [Endpoint::ChatCompletions, Endpoint::Responses, Endpoint::Completions, Endpoint::Embeddings] {
                let body = format!(r#"{{"model":"m","{}":{messages}}}"#, endpoint.input_field());
                let request = ModelRequest::from_json(endpoint, body.as_bytes());
                let _ = request.map(|request| (request.prompt(), request.summary()));
            }
        }

        #[test]
        fn no_body_makes_reading_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = ModelRequest::from_json(Endpoint::Responses, &body).map(|request| (request.prompt(), request.summary()));
        }

        #[test]
        fn a_prompt_comes_back_as_it_was(text in ".{0,200}") {
            let prompt = ModelRequest::from_prompt(&text);
            prop_assert_eq!(prompt.last_user_text(), text.clone());
            let sent = prompt.to_body(&main_group());
            prop_assert_eq!(ModelRequest::from_json(Endpoint::ChatCompletions, &sent).unwrap().last_user_text(), text);
        }
    }
}
