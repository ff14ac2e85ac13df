//! A list of embeddings.

use provider_core::ProviderError;
use serde_json::Value;

use super::{Answer, Fields, wrong};

/// The vectors themselves go to who asked; the books keep how many there were. They can be made again from
/// the same text, and nobody reads them.
pub(super) fn read(fields: &mut Fields) -> Result<Answer, ProviderError> {
    let Some(Value::Array(vectors)) = fields.get("data") else {
        return Err(wrong("list of embeddings", "data"));
    };
    let count = vectors.len();
    let plural = if count == 1 { "" } else { "s" };
    let dimensions = vectors
        .first()
        .and_then(|vector| vector["embedding"].as_array())
        .map(|vector| format!(" of {} numbers", vector.len()));
    let said = format!(
        "{count} embedding{plural}{}",
        dimensions.unwrap_or_default()
    );
    Ok(Answer {
        contents: vec![said],
        ..Answer::default()
    })
}
