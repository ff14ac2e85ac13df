//! The events of a response, of OpenAI's Responses API.

use std::borrow::Cow;

use provider_core::{Chunk, ProviderError};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use sse_reader::SseEvent;

use super::pieces::{Piece, Written, object, present, text};
use crate::answer::{Answer, response_failure};
use crate::failure::unreadable;
use crate::refusal::broke_off;

/// The answer so far.
#[derive(Default)]
pub(super) struct ResponsePieces {
    own_key: String,
    text: String,
    /// What the model wrote beside the text: reasoning, arguments of tools.
    beside: String,
    has_other_than_text: bool,
    /// Of a response that failed.
    usage: Value,
    whole: Option<Answer>,
}

/// An event, as far as it is read; the rest is in the frame that is handed on.
#[derive(Deserialize)]
struct ResponseEvent<'a> {
    #[serde(borrow, default)]
    r#type: Cow<'a, str>,
    #[serde(borrow, default)]
    delta: Option<&'a RawValue>,
    #[serde(borrow, default)]
    response: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

impl ResponseEvent<'_> {
    /// The response that the event holds.
    fn response(&self) -> Result<Map<String, Value>, ProviderError> {
        let raw = self.response.map_or("{}", RawValue::get);
        serde_json::from_str(raw)
            .map_err(|source| unreadable("its response can not be read", source))
    }
}

impl ResponsePieces {
    pub(super) fn new(own_key: &str) -> Self {
        Self {
            own_key: own_key.to_owned(),
            ..Self::default()
        }
    }

    pub(super) fn read(&mut self, event: &SseEvent) -> Result<Piece, ProviderError> {
        let said: ResponseEvent<'_> = object(&event.data)?;
        let mut chunk = Chunk {
            frame: event.to_frame(),
            text: String::new(),
        };
        let is_token = said.r#type.ends_with(".delta");
        match said.r#type.as_ref() {
            "response.completed" | "response.incomplete" => {
                let mut response = said.response()?;
                // Some leave out at the end what they have sent before.
                response.entry("output").or_insert_with(|| json!([]));
                let mut answer = Answer::of_response(response, &self.own_key)?;
                if answer.contents.iter().all(String::is_empty) {
                    answer.contents = vec![self.text.clone()];
                }
                self.whole = Some(answer);
                return Ok(Piece::Last(chunk.frame));
            }
            "response.failed" => {
                let mut response = said.response()?;
                self.usage = response.remove("usage").unwrap_or_default();
                let error = response_failure(&response, &self.own_key);
                return Ok(Piece::Failed(chunk.frame, error));
            }
            "error" => {
                let error = present(said.error).unwrap_or(&event.data);
                return Err(broke_off(error, &self.own_key));
            }
            "response.audio.delta" | "response.image_generation_call.partial_image" => {
                self.has_other_than_text = true;
            }
            "response.output_text.delta" => {
                chunk.text = text(said.delta).into_owned();
                self.text.push_str(&chunk.text);
            }
            _ if is_token => self.beside.push_str(&text(said.delta)),
            _ => {
                // The proxy's own form of an error, which has no type.
                if let Some(error) = present(said.error) {
                    return Err(broke_off(error, &self.own_key));
                }
            }
        }
        Ok(Piece::Chunk(chunk, is_token))
    }

    pub(super) const fn is_whole(&self) -> bool {
        self.whole.is_some()
    }

    pub(super) fn into_answer(self) -> (Answer, Written) {
        let written = Written {
            texts: vec![self.text.clone(), self.beside],
            has_other_than_text: self.has_other_than_text,
        };
        let so_far = || Answer {
            contents: vec![self.text],
            usage: self.usage,
            ..Answer::default()
        };
        (self.whole.unwrap_or_else(so_far), written)
    }
}
