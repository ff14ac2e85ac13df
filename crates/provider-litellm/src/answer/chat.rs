//! A chat completion.

use provider_core::ProviderError;
use serde_json::Value;

use super::{Answer, Fields, choices, string, wrong};

const WHAT: &str = "chat completion";

pub(super) fn read(fields: &mut Fields) -> Result<Answer, ProviderError> {
    let mut answer = Answer::default();
    for (index, mut choice) in choices(fields, WHAT)?.into_iter().enumerate() {
        let message = choice.get_mut("message").and_then(Value::as_object_mut);
        let message = message.ok_or_else(|| wrong(WHAT, "choices[0].message"))?;
        answer.contents.push(text(message.get("content"))?);
        if index > 0 {
            continue;
        }
        answer.tool_calls = match message.remove("tool_calls") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(calls)) => calls,
            Some(_) => return Err(wrong(WHAT, "choices[0].message.tool_calls")),
        };
        answer.finish_reason = string(choice.get("finish_reason"));
    }
    Ok(answer)
}

/// The text of a message: a text, the text parts of a list, or none.
fn text(content: Option<&Value>) -> Result<String, ProviderError> {
    match content {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Array(parts)) => Ok(parts
            .iter()
            .filter_map(|part| part.get("text")?.as_str())
            .collect()),
        Some(_) => Err(wrong(WHAT, "choices[0].message.content")),
    }
}
