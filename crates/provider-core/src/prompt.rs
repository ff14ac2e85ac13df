//! The text of what is asked: for a title, for the echo, and for counting tokens where nobody else did.

use std::cell::Cell;

use serde_json::Value;

use crate::Endpoint;

/// The parts of a content that hold its text, by their `type`.
const TEXT_TYPES: [&str; 4] = ["text", "input_text", "output_text", "refusal"];

/// The text of what is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prompt {
    turns: Vec<Turn>,
    /// Definitions of tools and of the answer's form, which the model reads too.
    definitions: Vec<String>,
    has_other_than_text: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Turn {
    role: String,
    text: String,
}

impl Prompt {
    /// Reads what a request asks; what has another form than OpenAI's counts as not text.
    pub(crate) fn read<'a>(endpoint: Endpoint, field: impl Fn(&str) -> Option<&'a str>) -> Self {
        let mut prompt = Self::default();
        let unreadable = Cell::new(false);
        // What serde can not read (a lone surrogate, a deep nest), the proxy may.
        let value = |name: &str| -> Value {
            let raw = field(name).unwrap_or("null");
            serde_json::from_str(raw).unwrap_or_else(|_| {
                unreadable.set(true);
                Value::Null
            })
        };
        match endpoint {
            Endpoint::ChatCompletions => prompt.add_messages(value("messages")),
            Endpoint::Responses => {
                if let Value::String(text) = value("instructions") {
                    prompt.add("system", text);
                }
                match value("input") {
                    Value::String(text) => prompt.add("user", text),
                    items => prompt.add_messages(items),
                }
                // What was said before, and the prompt's template, are with the provider.
                let elsewhere = ["previous_response_id", "conversation", "prompt"];
                prompt.has_other_than_text |= elsewhere.iter().any(|name| !value(name).is_null());
            }
            Endpoint::Completions | Endpoint::Embeddings => {
                prompt.add_texts(value(endpoint.input_field()));
            }
        }
        // A tool that the provider runs itself is charged by what it does.
        let tools = value("tools");
        let mut kinds = tools.as_array().into_iter().flatten();
        prompt.has_other_than_text |= kinds.any(|tool| text_at(tool, "type") != Some("function"));
        prompt.has_other_than_text |= unreadable.get();
        for name in ["tools", "functions", "response_format", "text"] {
            let raw = field(name).filter(|raw| *raw != "null");
            prompt.definitions.extend(raw.map(str::to_owned));
        }
        prompt
    }

    /// How many messages, items or texts it has.
    #[must_use]
    pub fn messages(&self) -> usize {
        self.turns.len()
    }

    /// Every text in it: what is said, and the definitions of tools.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        let said = self.turns.iter().map(|turn| &turn.text);
        said.chain(&self.definitions).map(String::as_str)
    }

    /// True if there is more to it than text that can be read here: images, audio, files, tokens, a conversation
    /// that the provider keeps, tools that it runs. How many tokens that is, only the provider knows.
    #[must_use]
    pub const fn has_other_than_text(&self) -> bool {
        self.has_other_than_text
    }

    /// The text of the last user message, or nothing if there is none.
    #[must_use]
    pub fn last_user_text(&self) -> &str {
        let users = self.turns.iter().rev().find(|turn| turn.role == "user");
        users.map_or("", |turn| &turn.text)
    }

    fn add(&mut self, role: &str, text: String) {
        self.turns.push(Turn {
            role: role.to_owned(),
            text,
        });
    }

    fn add_messages(&mut self, messages: Value) {
        let Value::Array(messages) = messages else {
            self.has_other_than_text |= !messages.is_null();
            return;
        };
        for mut message in messages {
            let role = text_at(&message, "role").unwrap_or_default().to_owned();
            let mut text = self.content(take(&mut message, "content"));
            for called in ["tool_calls", "function_call", "arguments", "output"] {
                match take(&mut message, called) {
                    Value::Null => {}
                    Value::String(said) => text.push_str(&said),
                    said => text.push_str(&said.to_string()),
                }
            }
            self.add(&role, text);
        }
    }

    /// A text, or the text parts of a list.
    fn content(&mut self, content: Value) -> String {
        match content {
            Value::Null => String::new(),
            Value::String(text) => text,
            Value::Array(parts) => {
                let texts: Vec<String> = parts
                    .into_iter()
                    .filter_map(|part| self.part(part))
                    .collect();
                texts.join("\n")
            }
            _ => {
                self.has_other_than_text = true;
                String::new()
            }
        }
    }

    fn part(&mut self, mut part: Value) -> Option<String> {
        let kind = text_at(&part, "type").unwrap_or("text").to_owned();
        let name = if kind == "refusal" { "refusal" } else { "text" };
        if let (true, Value::String(text)) =
            (TEXT_TYPES.contains(&kind.as_str()), take(&mut part, name))
        {
            return Some(text).filter(|text| !text.is_empty());
        }
        self.has_other_than_text = true;
        None
    }

    /// A text, or a list of texts. A list of tokens is no text.
    fn add_texts(&mut self, texts: Value) {
        match texts {
            Value::Null => {}
            Value::String(text) => self.add("user", text),
            Value::Array(texts) => {
                for text in texts {
                    match text {
                        Value::String(text) => self.add("user", text),
                        _ => self.has_other_than_text = true,
                    }
                }
            }
            _ => self.has_other_than_text = true,
        }
    }
}

fn text_at<'a>(value: &'a Value, field: &str) -> Option<&'a str> {
    value.get(field).and_then(Value::as_str)
}

/// A field, or `null` where there is none.
fn take(value: &mut Value, field: &str) -> Value {
    value.get_mut(field).map(Value::take).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ModelRequest;

    fn prompt(endpoint: Endpoint, body: &str) -> Prompt {
        ModelRequest::from_json(endpoint, body.as_bytes())
            .unwrap()
            .prompt()
    }

    #[test]
    fn the_last_user_text_is_found_in_texts_and_in_parts() {
        let chat = |body| prompt(Endpoint::ChatCompletions, body);
        let text = chat(
            r#"{"model":"m","messages":[{"role":"user","content":"one"},{"role":"assistant","content":"two"}]}"#,
        );
        assert_eq!(text.last_user_text(), "one");
        assert!(!text.has_other_than_text());
        let parts = chat(
            r#"{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{}},{"type":"text","text":"b"}]}]}"#,
        );
        assert_eq!(parts.last_user_text(), "a\nb");
        assert!(parts.has_other_than_text(), "an image");
        let odd = chat(r#"{"model":"m","messages":"none"}"#);
        assert_eq!(odd.last_user_text(), "");
        assert!(odd.has_other_than_text());
    }

    #[test]
    fn every_endpoint_has_its_own_field() {
        for (endpoint, body, last, texts) in [
            (Endpoint::Completions, r#""prompt":"a b""#, "a b", 1),
            (Endpoint::Embeddings, r#""input":["a","b"]"#, "b", 2),
            (
                Endpoint::Responses,
                r#""instructions":"be kind","input":"hi""#,
                "hi",
                2,
            ),
            (
                Endpoint::Responses,
                r#""input":[{"role":"user","content":[{"type":"input_text","text":"hi"}]},{"type":"function_call_output","output":"4"}]"#,
                "hi",
                2,
            ),
            (
                Endpoint::ChatCompletions,
                r#""messages":[{"role":"user","content":"hi"}],"tools":[{"type":"function"}]"#,
                "hi",
                2,
            ),
        ] {
            let prompt = prompt(endpoint, &format!(r#"{{"model":"m",{body}}}"#));
            assert_eq!(prompt.last_user_text(), last, "{body}");
            assert_eq!(prompt.texts().count(), texts, "{body}");
            assert!(!prompt.has_other_than_text(), "{body}");
        }
    }

    #[test]
    fn what_is_no_message_is_none_and_stops_nobody() {
        for messages in [
            r#"["text"]"#,
            "[1,null]",
            r#"[{"content":[1,"a",{}]}]"#,
            "{}",
            "7",
        ] {
            let body = format!(r#"{{"model":"m","messages":{messages}}}"#);
            let prompt = prompt(Endpoint::ChatCompletions, &body);
            assert_eq!(prompt.last_user_text(), "", "{messages}");
        }
    }

    #[test]
    fn what_only_the_provider_can_count_is_seen() {
        for (endpoint, body) in [
            (Endpoint::Embeddings, r#""input":[[1,2],[3]]"#),
            (Endpoint::Completions, r#""prompt":[1,2]"#),
            (
                Endpoint::Responses,
                r#""input":"go on","previous_response_id":"resp_1""#,
            ),
            (
                Endpoint::Responses,
                r#""input":[{"role":"user","content":[{"type":"input_image","image_url":"x"}]}]"#,
            ),
        ] {
            let prompt = prompt(endpoint, &format!(r#"{{"model":"m",{body}}}"#));
            assert!(prompt.has_other_than_text(), "{body}");
        }
    }
}
