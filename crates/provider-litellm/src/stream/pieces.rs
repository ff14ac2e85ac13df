//! What the pieces of an answer come to, whatever kind of answer it is.

use std::borrow::Cow;

use bytes::Bytes;
use provider_core::{Chunk, Endpoint, ModelRequest, ProviderError};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use sse_reader::SseEvent;

use super::chat::ChatPieces;
use super::responses::ResponsePieces;
use crate::answer::Answer;
use crate::failure::{unreadable, unusable};

/// All that the model wrote.
#[derive(Default)]
pub(crate) struct Written {
    pub(crate) texts: Vec<String>,
    /// Sound or images came too: how many tokens that is, only the provider knows.
    pub(crate) has_other_than_text: bool,
}

/// What one event is to the caller.
pub(super) enum Piece {
    /// To be handed on; true if it is a part of what the model wrote.
    Chunk(Chunk, bool),
    /// Not what the caller asked for.
    Hidden,
    /// The end of the answer, to be handed on when its books are closed.
    Last(Bytes),
    /// The answer breaks off, and the upstream's own words for that.
    Failed(Bytes, ProviderError),
}

/// The answer so far.
pub(super) enum Pieces {
    Chat(ChatPieces),
    Response(ResponsePieces),
}

impl Pieces {
    pub(super) fn of(request: &ModelRequest, own_key: &str) -> Self {
        if request.endpoint() == Endpoint::Responses {
            return Self::Response(ResponsePieces::new(own_key));
        }
        Self::Chat(ChatPieces::new(request, own_key))
    }

    pub(super) fn read(&mut self, event: &SseEvent) -> Result<Piece, ProviderError> {
        match self {
            Self::Chat(pieces) => pieces.read(&event.data),
            Self::Response(pieces) => pieces.read(event),
        }
    }

    /// The upstream has said that nothing more comes.
    pub(super) const fn done(&mut self) {
        match self {
            Self::Chat(pieces) => pieces.done(),
            // Its last event has said so before.
            Self::Response(_) => {}
        }
    }

    /// True once the model has said that it is done.
    pub(super) fn is_whole(&self) -> bool {
        match self {
            Self::Chat(pieces) => pieces.is_whole(),
            Self::Response(pieces) => pieces.is_whole(),
        }
    }

    /// True if the answer has stated what it used.
    pub(super) fn has_usage(&self) -> bool {
        match self {
            Self::Chat(pieces) => pieces.has_usage(),
            // Its last event has it.
            Self::Response(pieces) => pieces.is_whole(),
        }
    }

    /// What there is, and all that the model wrote, for counting.
    pub(super) fn into_answer(self) -> (Answer, Written) {
        match self {
            Self::Chat(pieces) => pieces.into_answer(),
            Self::Response(pieces) => pieces.into_answer(),
        }
    }
}

/// Reads the parts of an object. A list would pass for one otherwise, field by field.
pub(super) fn object<'a, T: Deserialize<'a>>(data: &'a str) -> Result<T, ProviderError> {
    if !data.trim_start().starts_with('{') {
        return Err(unusable("a piece of it can not be read: it is no object"));
    }
    serde_json::from_str(data).map_err(|source| unreadable("a piece of it can not be read", source))
}

/// A value that is there and not `null`.
pub(super) fn present(raw: Option<&RawValue>) -> Option<&str> {
    raw.map(RawValue::get).filter(|raw| *raw != "null")
}

/// A text, or the text parts of a list; anything else has none.
pub(super) fn text(raw: Option<&RawValue>) -> Cow<'_, str> {
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    let Some(raw) = raw else {
        return Cow::Borrowed("");
    };
    if let Ok(Text(text)) = serde_json::from_str(raw.get()) {
        return text;
    }
    let parts: Vec<Value> = serde_json::from_str(raw.get()).unwrap_or_default();
    let texts = parts.iter().filter_map(|part| part["text"].as_str());
    Cow::Owned(texts.collect())
}
