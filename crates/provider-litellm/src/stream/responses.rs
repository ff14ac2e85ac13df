//! The events of a response, of OpenAI's Responses API.

use std::borrow::Cow;

use provider_core::{Chunk, ProviderError};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use sse_reader::SseEvent;

use super::pieces::{Piece, object, present, text};
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
                self.whole = Some(Answer::of_response(said.response()?)?);
                return Ok(Piece::Last(chunk.frame));
            }
            "response.failed" => {
                let error = response_failure(&said.response()?);
                return Ok(Piece::Failed(chunk.frame, error));
            }
            "error" => return Err(broke_off(&event.data, &self.own_key)),
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

    pub(super) fn into_answer(self) -> (Answer, Vec<String>) {
        let written = vec![self.text.clone(), self.beside];
        let so_far = || Answer {
            contents: vec![self.text],
            ..Answer::default()
        };
        (self.whole.unwrap_or_else(so_far), written)
    }
}
