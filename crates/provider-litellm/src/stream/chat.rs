//! The pieces of a chat completion, and of a text completion, which differ in where the text stands.

use std::borrow::Cow;
use std::collections::BTreeMap;

use event_payloads::first_chars;
use indexmap::IndexMap;
use provider_core::{Chunk, ModelRequest, ProviderError};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use sse_reader::data_frame;

use super::pieces::{Piece, Written, object, present, text};
use crate::answer::Answer;
use crate::failure::{unreadable, unusable};
use crate::refusal::broke_off;

/// More choices than any provider gives (OpenAI: 128).
const MAX_CHOICES: usize = 256;
/// More calls of tools than any model makes at once; what is over that is handed on, and not kept.
const MAX_TOOL_CALLS: usize = 256;
/// A reason is a word.
const MAX_REASON_CHARS: usize = 100;

/// The answer so far.
#[derive(Default)]
pub(super) struct ChatPieces {
    wants_usage: bool,
    has_many_choices: bool,
    own_key: String,
    choices: Vec<Choice>,
    usage: Value,
    model: Option<String>,
    taken_over_by: Option<String>,
    has_other_than_text: bool,
    service_tier: Option<String>,
    /// The upstream has said that nothing more comes.
    done: bool,
}

#[derive(Default)]
struct Choice {
    text: String,
    /// What the model wrote beside the text: reasoning, refusals.
    beside: String,
    tool_calls: BTreeMap<usize, ToolCall>,
    finish_reason: Option<String>,
    seen: bool,
}

#[derive(Default)]
struct ToolCall {
    id: String,
    name: String,
    arguments: String,
}

impl ChatPieces {
    pub(super) fn new(request: &ModelRequest, own_key: &str) -> Self {
        Self {
            wants_usage: request.wants_usage(),
            has_many_choices: request.asks_for_many(),
            own_key: own_key.to_owned(),
            ..Self::default()
        }
    }

    pub(super) const fn done(&mut self) {
        self.done = true;
    }

    pub(super) fn read(&mut self, data: &str) -> Result<Piece, ProviderError> {
        let piece: ChatChunk<'_> = object(data)?;
        if let Some(error) = present(piece.error) {
            return Err(broke_off(error, &self.own_key));
        }
        if let Some(model) = piece.model {
            match &self.model {
                None => self.model = Some(model.into_owned()),
                Some(first) if *first == model => self.taken_over_by = None,
                Some(_) => self.taken_over_by = Some(model.into_owned()),
            }
        }
        if let Some(tier) = piece.service_tier {
            self.service_tier = Some(tier.into_owned());
        }
        let usage = present(piece.usage);
        if let Some(usage) = usage {
            let usage = serde_json::from_str(usage)
                .map_err(|source| unreadable("its usage can not be read", source))?;
            // Some write zeros into every piece and the usage into the last, or the other way round.
            if !is_zero(&usage) {
                self.usage = usage;
            }
        }
        let mut said = Said::default();
        for part in piece.choices {
            said.add(&self.choice(part.index)?.add(part)?);
        }
        self.has_other_than_text |= said.other_than_text;
        Ok(self.piece(data, usage.is_some(), said))
    }

    /// A caller who did not ask for the usage sees the stream as if nobody had.
    fn piece(&self, data: &str, has_usage: bool, said: Said) -> Piece {
        let frame = if !has_usage || self.wants_usage {
            data_frame(data)
        } else if said.anything {
            data_frame(&without_usage(data))
        } else {
            return Piece::Hidden;
        };
        let chunk = Chunk {
            frame,
            text: said.text,
        };
        Piece::Chunk(chunk, said.tokens)
    }

    fn choice(&mut self, index: usize) -> Result<&mut Choice, ProviderError> {
        if index >= MAX_CHOICES {
            return Err(unusable(&format!("it has a choice number {index}")));
        }
        if self.choices.len() <= index {
            self.choices.resize_with(index + 1, Choice::default);
        }
        let choice = self.choices.get_mut(index);
        choice.ok_or_else(|| unusable("it has no such choice"))
    }

    pub(super) fn has_usage(&self) -> bool {
        !self.usage.is_null()
    }

    /// The proxy passes the `finish_reason` of only the first choice on that ends, so where it says that it is
    /// done, one has to do. A stream that says nothing of the kind was cut.
    pub(super) fn is_whole(&self) -> bool {
        let mut ends = self.choices.iter().map(|choice| &choice.finish_reason);
        if self.done {
            return ends.any(Option::is_some);
        }
        if self.has_many_choices {
            return false;
        }
        let mut seen = self.choices.iter().filter(|choice| choice.seen).peekable();
        seen.peek().is_some() && seen.all(|choice| choice.finish_reason.is_some())
    }

    pub(super) fn into_answer(mut self) -> (Answer, Written) {
        let texts = self.choices.iter().flat_map(Choice::written);
        let written = Written {
            texts: texts.map(str::to_owned).collect(),
            has_other_than_text: self.has_other_than_text,
        };
        let first = self.choices.first_mut();
        let (finish_reason, tool_calls) = first.map_or_else(Default::default, |choice| {
            let calls = std::mem::take(&mut choice.tool_calls);
            let calls: Vec<Value> = calls.into_values().map(ToolCall::into_json).collect();
            (choice.finish_reason.take(), calls)
        });
        let answer = Answer {
            contents: self.choices.into_iter().map(|choice| choice.text).collect(),
            finish_reason,
            tool_calls,
            usage: self.usage,
            model: self.model,
            taken_over_by: self.taken_over_by,
            service_tier: self.service_tier,
        };
        (answer, written)
    }
}

/// What one piece adds to an answer.
#[derive(Default)]
struct Said {
    /// Text of the first choice.
    text: String,
    /// Part of what the model wrote.
    tokens: bool,
    /// Anything that a caller would miss.
    anything: bool,
    /// Sound or an image.
    other_than_text: bool,
}

impl Said {
    fn add(&mut self, other: &Self) {
        self.text.push_str(&other.text);
        self.tokens |= other.tokens;
        self.anything |= other.anything;
        self.other_than_text |= other.other_than_text;
    }
}

impl Choice {
    fn add(&mut self, part: ChoicePart<'_>) -> Result<Said, ProviderError> {
        self.seen = true;
        let mut said = Said::default();
        if let Some(reason) = part.finish_reason {
            self.finish_reason = Some(first_chars(&reason, MAX_REASON_CHARS).to_owned());
            said.anything = true;
        }
        let raw = present(part.delta).filter(|raw| *raw != "{}");
        said.anything |= raw.is_some();
        let delta: Delta<'_> = raw.map_or_else(|| Ok(Delta::default()), object)?;
        said.other_than_text = delta.audio.is_some() || delta.images.is_some();
        let content = text(delta.content.or(part.text));
        let beside = [delta.reasoning_content, delta.reasoning, delta.refusal];
        let before = self.beside.len();
        for part in beside {
            self.beside.push_str(&text(part));
        }
        let calls = delta.tool_calls.unwrap_or_default();
        said.tokens = !content.is_empty() || self.beside.len() > before || !calls.is_empty();
        said.anything |= said.tokens;
        for (position, call) in calls.into_iter().enumerate() {
            self.add_call(call, position);
        }
        self.text.push_str(&content);
        if part.index == 0 {
            said.text = content.into_owned();
        }
        Ok(said)
    }

    fn add_call(&mut self, part: ToolCallPart<'_>, position: usize) {
        let index = part.index.unwrap_or(position);
        let known = self.tool_calls.contains_key(&index);
        if !known && self.tool_calls.len() >= MAX_TOOL_CALLS {
            return;
        }
        let call = self.tool_calls.entry(index).or_default();
        if let Some(id) = part.id {
            call.id = id.into_owned();
        }
        let function = part.function.unwrap_or_default();
        call.name.push_str(&function.name.unwrap_or_default());
        call.arguments
            .push_str(&function.arguments.unwrap_or_default());
    }

    fn written(&self) -> impl Iterator<Item = &str> {
        let calls = self.tool_calls.values();
        let calls = calls.flat_map(|call| [call.name.as_str(), call.arguments.as_str()]);
        [self.text.as_str(), self.beside.as_str()]
            .into_iter()
            .chain(calls)
    }
}

impl ToolCall {
    fn into_json(self) -> Value {
        json!({
            "id": self.id,
            "type": "function",
            "function": {"name": self.name, "arguments": self.arguments},
        })
    }
}

/// A chunk, as far as it is read; the rest is in the frame that is handed on.
#[derive(Deserialize)]
struct ChatChunk<'a> {
    #[serde(borrow, default)]
    choices: Vec<ChoicePart<'a>>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
    #[serde(borrow, default)]
    model: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    service_tier: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct ChoicePart<'a> {
    #[serde(default)]
    index: usize,
    #[serde(borrow, default)]
    delta: Option<&'a RawValue>,
    /// Of a text completion.
    #[serde(borrow, default)]
    text: Option<&'a RawValue>,
    #[serde(borrow, default)]
    finish_reason: Option<Cow<'a, str>>,
}

#[derive(Default, Deserialize)]
struct Delta<'a> {
    #[serde(borrow, default)]
    audio: Option<&'a RawValue>,
    #[serde(borrow, default)]
    images: Option<&'a RawValue>,
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    reasoning_content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    reasoning: Option<&'a RawValue>,
    #[serde(borrow, default)]
    refusal: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tool_calls: Option<Vec<ToolCallPart<'a>>>,
}

#[derive(Deserialize)]
struct ToolCallPart<'a> {
    #[serde(default)]
    index: Option<usize>,
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    function: Option<FunctionPart<'a>>,
}

#[derive(Default, Deserialize)]
struct FunctionPart<'a> {
    #[serde(borrow, default)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    arguments: Option<Cow<'a, str>>,
}

/// A usage that counts nothing: a form that nobody filled in. An answer has at least a prompt.
fn is_zero(usage: &Value) -> bool {
    let zero = |name: &str| usage.get(name).and_then(Value::as_u64) == Some(0);
    let costs = usage.get("cost").and_then(Value::as_f64);
    zero("prompt_tokens") && zero("completion_tokens") && costs.is_none_or(|cost| cost == 0.0)
}

/// The chunk with everything else as it was.
fn without_usage(data: &str) -> String {
    let fields: Result<IndexMap<String, &RawValue>, _> = serde_json::from_str(data);
    let rest = fields.and_then(|mut fields| {
        fields.shift_remove("usage");
        serde_json::to_string(&fields)
    });
    // It was an object a moment ago.
    rest.unwrap_or_else(|_| data.to_owned())
}
