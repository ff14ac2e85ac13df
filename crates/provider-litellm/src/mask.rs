//! What the proxy says is shown to people: short, and without anything that looks like a key.

/// Longest message that is kept, in bytes.
const MAX_BYTES: usize = 500;
/// What stands in for a key.
const MASKED: &str = "[masked]";

/// A message fit for events and logs.
pub(crate) fn presentable(message: &str, own_key: &str) -> String {
    let message = if own_key.is_empty() {
        message.to_owned()
    } else {
        message.replace(own_key, MASKED)
    };
    let mut shown = String::with_capacity(message.len().min(MAX_BYTES));
    let mut after_bearer = false;
    for piece in
        message.split_inclusive(|c: char| c.is_whitespace() || "\"'`,;()[]{}<>=".contains(c))
    {
        let word =
            piece.trim_end_matches(|c: char| c.is_whitespace() || "\"'`,;()[]{}<>=".contains(c));
        let secret = !word.is_empty() && (after_bearer || looks_like_a_key(word));
        if secret {
            shown.push_str(MASKED);
            shown.push_str(piece.get(word.len()..).unwrap_or_default());
        } else {
            shown.push_str(piece);
        }
        after_bearer = !word.is_empty() && word.eq_ignore_ascii_case("bearer");
        if shown.len() > MAX_BYTES {
            break;
        }
    }
    shorten(shown)
}

/// `sk-…` in any place of a word, as OpenAI, Anthropic and LiteLLM write them.
fn looks_like_a_key(word: &str) -> bool {
    word.find("sk-").is_some_and(|at| {
        let before = word.get(..at).and_then(|head| head.chars().next_back());
        let rest = word.get(at + 3..).unwrap_or_default();
        before.is_none_or(|c| !c.is_alphanumeric()) && rest.len() >= 4
    })
}

fn shorten(mut text: String) -> String {
    if text.len() > MAX_BYTES {
        text.truncate(text.floor_char_boundary(MAX_BYTES));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn keys_are_masked_wherever_they_stand() {
        let message = "Incorrect API key provided: sk-abcd1234. Header: Bearer xyz.123, \"sk-or-v1-99\" mykey7 task-force";
        assert_eq!(
            presentable(message, "mykey7"),
            "Incorrect API key provided: [masked] Header: Bearer [masked], \"[masked]\" [masked] task-force"
        );
    }

    proptest! {
        #[test]
        fn a_message_is_short_and_never_has_the_key(text in ".{0,900}", cut in 0_usize..900) {
            let at = text.floor_char_boundary(cut);
            let message = format!("{}sk-secret99{}", &text[..at], &text[at..]);
            let shown = presentable(&message, "sk-secret99");
            prop_assert!(shown.len() <= MAX_BYTES + '…'.len_utf8());
            prop_assert!(!shown.contains("sk-secret99"));
        }
    }
}
