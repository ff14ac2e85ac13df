//! The tokens of an answer that does not state them.

use cost_tracker::{UsageError, count_tokens};
use event_payloads::TokenUsage;
use provider_core::{Endpoint, ModelRequest};

use crate::answer::Counted;
use crate::stream::Written;

/// What holds a message together costs 3 tokens, its role 1, and the answer is begun with 3 more, for OpenAI's
/// chat models ("How to count tokens with tiktoken" in OpenAI's cookbook).
const TOKENS_PER_MESSAGE: u64 = 4;
const TOKENS_OF_AN_ANSWER: u64 = 3;

/// Counts what was asked and what came. Takes ms for megabytes of text: not for an async thread.
///
/// Where the model has written nothing yet, it may have thought for long: that is not 0 tokens.
pub(crate) fn estimate(request: &ModelRequest, written: &Written) -> Counted {
    let prompt = request.prompt();
    let is_empty = written.texts.iter().all(String::is_empty);
    if prompt.has_other_than_text() || written.has_other_than_text || is_empty {
        return Counted {
            usage: Err(UsageError::Uncountable),
            is_estimated: false,
        };
    }
    let texts: u64 = prompt.texts().map(count_tokens).sum();
    let framing = match request.endpoint() {
        Endpoint::ChatCompletions | Endpoint::Responses => {
            let messages = u64::try_from(prompt.messages()).unwrap_or(u64::MAX);
            messages.saturating_mul(TOKENS_PER_MESSAGE) + TOKENS_OF_AN_ANSWER
        }
        _ => 0,
    };
    let completion: u64 = written.texts.iter().map(|text| count_tokens(text)).sum();
    Counted {
        usage: Ok(TokenUsage::new(texts.saturating_add(framing), completion).into()),
        is_estimated: true,
    }
}
