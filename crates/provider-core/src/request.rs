//! What a caller asks: an OpenAI chat request whose fields we do not rewrite.

use std::borrow::Cow;

use bytes::Bytes;
use event_payloads::RuntimeGroup;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

/// A chat request. Every field stays the bytes that the caller sent; only `model` is replaced when
/// it goes out, so that what we do not know passes through untouched.
#[derive(Clone, Debug)]
pub struct ChatRequest {
    fields: IndexMap<String, Box<RawValue>>,
}

/// A body that is not a chat request.
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

impl ChatRequest {
    /// Reads a request body.
    ///
    /// # Errors
    /// Not a JSON object; `model` missing or not a text; `stream` not a boolean. Everything else is
    /// for the proxy to judge.
    pub fn from_json(body: &[u8]) -> Result<Self, InvalidRequest> {
        let fields = serde_json::from_slice(body).map_err(|source| InvalidRequest {
            message: format!("the body is not a JSON object: {source}"),
            param: None,
            source: Some(source),
        })?;
        let request = Self { fields };
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
        Ok(request)
    }

    /// A single user message.
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
            fields: messages
                .into_iter()
                .map(|raw| ("messages".to_owned(), raw))
                .collect(),
        }
    }

    /// What `model` says, if it is a text.
    #[must_use]
    pub fn model(&self) -> Option<String> {
        serde_json::from_str(self.raw("model")?).ok()
    }

    /// True if the caller wants the answer in pieces.
    #[must_use]
    pub fn is_stream(&self) -> bool {
        self.raw("stream") == Some("true")
    }

    /// The text of the last user message, or nothing if there is none.
    #[must_use]
    pub fn last_user_text(&self) -> String {
        self.messages()
            .iter()
            .rev()
            .find(|message| message.role == "user")
            .and_then(|message| message.content)
            .map(|raw| content_text(raw.get()))
            .unwrap_or_default()
    }

    /// What is asked, in a few words and without any of its text.
    #[must_use]
    pub fn summary(&self) -> String {
        let count = self.messages().len();
        let bytes = self.raw("messages").map_or(0, str::len);
        let plural = if count == 1 { "" } else { "s" };
        format!("chat completion, {count} message{plural}, {bytes} bytes")
    }

    /// The body to send: the caller's fields, with `model` naming the group.
    #[must_use]
    pub fn to_body(&self, group: &RuntimeGroup) -> Bytes {
        let mut body = Vec::with_capacity(
            self.fields
                .iter()
                .map(|(k, v)| k.len() + v.get().len() + 8)
                .sum(),
        );
        body.extend_from_slice(b"{\"model\":");
        push_json(&mut body, group.as_str());
        for (key, value) in self.fields.iter().filter(|(key, _)| *key != "model") {
            body.push(b',');
            push_json(&mut body, key);
            body.push(b':');
            body.extend_from_slice(value.get().as_bytes());
        }
        body.push(b'}');
        body.into()
    }

    fn raw(&self, field: &str) -> Option<&str> {
        self.fields.get(field).map(|raw| raw.get())
    }

    fn messages(&self) -> Vec<Message<'_>> {
        self.raw("messages")
            .and_then(|raw| serde_json::from_str(raw).ok())
            .unwrap_or_default()
    }
}

/// Appends a text as a JSON string.
fn push_json(body: &mut Vec<u8>, text: &str) {
    // Writing to a `Vec` cannot fail, and a text always has a JSON form.
    let _ = serde_json::to_writer(body, text);
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    role: Cow<'a, str>,
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
}

/// The text of `content`: a text, or the text parts of a list.
fn content_text(raw: &str) -> String {
    #[derive(Deserialize)]
    struct Part {
        #[serde(default)]
        text: String,
    }
    if let Ok(text) = serde_json::from_str::<String>(raw) {
        return text;
    }
    let parts: Vec<Part> = serde_json::from_str(raw).unwrap_or_default();
    parts
        .into_iter()
        .map(|part| part.text)
        .filter(|text| !text.is_empty())
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn request(body: &str) -> ChatRequest {
        ChatRequest::from_json(body.as_bytes()).unwrap()
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
        ] {
            assert_eq!(
                ChatRequest::from_json(body.as_bytes()).unwrap_err().param(),
                param,
                "{body}"
            );
        }
    }

    #[test]
    fn the_last_user_text_is_found_in_texts_and_in_parts() {
        let text = request(
            r#"{"model":"m","messages":[{"role":"user","content":"one"},{"role":"assistant","content":"two"}]}"#,
        );
        assert_eq!(text.last_user_text(), "one");
        let parts = request(
            r#"{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{}},{"type":"text","text":"b"}]}]}"#,
        );
        assert_eq!(parts.last_user_text(), "a\nb");
        let odd = request(r#"{"model":"m","messages":"none"}"#);
        assert_eq!(odd.last_user_text(), "");
    }

    #[test]
    fn the_summary_says_nothing_of_the_prompt() {
        let summary = ChatRequest::from_prompt("my secret").summary();
        insta::assert_snapshot!(summary, @"chat completion, 1 message, 39 bytes");
    }

    proptest! {
        #[test]
        fn no_body_makes_reading_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = ChatRequest::from_json(&body);
        }

        #[test]
        fn a_prompt_comes_back_as_it_was(text in ".{0,200}") {
            let prompt = ChatRequest::from_prompt(&text);
            prop_assert_eq!(prompt.last_user_text(), text.clone());
            let sent = prompt.to_body(&main_group());
            prop_assert_eq!(ChatRequest::from_json(&sent).unwrap().last_user_text(), text);
        }
    }
}
