//! A text completion.

use provider_core::ProviderError;

use super::{Answer, Fields, choices, string, wrong};

const WHAT: &str = "text completion";

pub(super) fn read(fields: &mut Fields) -> Result<Answer, ProviderError> {
    let mut answer = Answer::default();
    for (index, choice) in choices(fields, WHAT)?.into_iter().enumerate() {
        let text = string(choice.get("text"));
        let text = text.ok_or_else(|| wrong(WHAT, "choices[0].text"))?;
        answer.contents.push(text);
        if index == 0 {
            answer.finish_reason = string(choice.get("finish_reason"));
        }
    }
    Ok(answer)
}
