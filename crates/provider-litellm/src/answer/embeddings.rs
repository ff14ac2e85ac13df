//! A list of embeddings.

use provider_core::ProviderError;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::{Answer, wrong};
use crate::failure::{unreadable, unusable};

const WHAT: &str = "list of embeddings";

#[derive(Deserialize)]
struct Embeddings<'a> {
    #[serde(borrow)]
    data: Option<Vec<Embedding<'a>>>,
    #[serde(default)]
    usage: Value,
    #[serde(default)]
    model: Value,
    #[serde(default)]
    error: Value,
}

/// The numbers are not taken apart: there may be millions.
#[derive(Deserialize)]
struct Embedding<'a> {
    #[serde(borrow, default)]
    embedding: Option<&'a RawValue>,
}

/// The vectors themselves go to who asked; the books keep how many there were. They can be made again from
/// the same text, and nobody reads them.
pub(super) fn read(body: &[u8]) -> Result<Answer, ProviderError> {
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(unusable(&format!("it is not a {WHAT}")));
    }
    let read: Embeddings<'_> = serde_json::from_slice(body)
        .map_err(|source| unreadable(&format!("it is not a {WHAT}"), source))?;
    if !read.error.is_null() {
        return Err(unusable("it is an error with the status of a success"));
    }
    let vectors = read.data.ok_or_else(|| wrong(WHAT, "data"))?;
    let count = vectors.len();
    let plural = if count == 1 { "" } else { "s" };
    let numbers = vectors
        .first()
        .and_then(|vector| numbers(vector.embedding?));
    let numbers = numbers.map(|count| format!(" of {count} numbers"));
    let said = format!("{count} embedding{plural}{}", numbers.unwrap_or_default());
    Ok(Answer {
        contents: vec![said],
        model: read.model.as_str().map(str::to_owned),
        usage: read.usage,
        ..Answer::default()
    })
}

/// How many numbers a list has; a text (base64) is none.
fn numbers(vector: &RawValue) -> Option<usize> {
    let list = vector.get().strip_prefix('[')?;
    Some(list.matches(',').count() + 1)
}
