//! What the proxy says is shown to people: short, and without anything that looks like a key.

/// Longest message that is kept, in characters.
const MAX_CHARS: usize = 500;
/// What stands in for a key.
const MASKED: &str = "[masked]";
/// How the keys of the usual services begin, and how many characters at least follow.
const KEY_STARTS: &[(&str, usize)] = &[
    ("sk-", 4),
    ("sk_", 8),
    ("pk-", 8),
    ("gsk_", 8),
    ("xai-", 8),
    ("hf_", 8),
    ("AIza", 8),
    ("AKIA", 8),
    ("eyJ", 16),
];
/// A hash of a key stands for it: the proxy's messages carry SHA-256 ones.
const MIN_HASH_CHARS: usize = 32;
/// A shorter key of our own would turn up in words that have nothing to do with it.
const MIN_OWN_KEY_BYTES: usize = 4;

/// A message fit for events and logs: one line of it, short, without keys.
pub(crate) fn presentable(message: &str, own_key: &str) -> String {
    let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
    let message = if own_key.len() < MIN_OWN_KEY_BYTES {
        message
    } else {
        message.replace(own_key, MASKED)
    };
    let mut shown = String::with_capacity(message.len().min(2 * MAX_CHARS));
    let mut secret_is_next = false;
    for piece in message.split_inclusive(is_separator) {
        let word = piece.trim_end_matches(is_separator);
        let separator = piece.get(word.len()..).unwrap_or_default();
        if word.is_empty() {
            shown.push_str(separator);
            continue;
        }
        let secret = secret_is_next || looks_like_a_key(word);
        shown.push_str(if secret { MASKED } else { word });
        shown.push_str(separator);
        secret_is_next = announces_a_secret(word, separator);
    }
    shorten(shown)
}

fn is_separator(c: char) -> bool {
    c.is_whitespace() || "\"'`,;:()[]{}<>=&?/\\|".contains(c)
}

/// `Bearer xyz`, and `key=xyz` as in URLs.
fn announces_a_secret(word: &str, separator: &str) -> bool {
    let word = word.to_ascii_lowercase();
    let named = ["key", "token", "secret", "password"]
        .iter()
        .any(|name| word.ends_with(name));
    word == "bearer" || (named && separator == "=")
}

fn looks_like_a_key(word: &str) -> bool {
    let is_hash = word.len() >= MIN_HASH_CHARS && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hash
        || KEY_STARTS
            .iter()
            .any(|(start, rest)| has_key(word, start, *rest))
}

/// True if a key starts somewhere in the word, but not in the middle of a name (`task-force`).
fn has_key(word: &str, start: &str, least: usize) -> bool {
    word.match_indices(start).any(|(at, _)| {
        let before = word.get(..at).and_then(|head| head.chars().next_back());
        let rest = word.get(at + start.len()..).unwrap_or_default();
        before.is_none_or(|c| !c.is_alphanumeric()) && rest.len() >= least
    })
}

fn shorten(text: String) -> String {
    let short = event_payloads::first_chars(&text, MAX_CHARS - 1);
    if short.len() == text.len() {
        return text;
    }
    format!("{short}…")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn keys_are_masked_wherever_they_stand() {
        let hash = "a".repeat(64);
        for (message, shown) in [
            (
                "Incorrect API key provided: sk-abcd1234. Next",
                "Incorrect API key provided: [masked] Next",
            ),
            (
                "Header: Bearer xyz.123, \"sk-or-v1-99\"",
                "Header: Bearer [masked], \"[masked]\"",
            ),
            (
                "https://g.example/v1?key=AIzaSyABCDEF123&alt=json",
                "https://g.example/v1?key=[masked]&alt=json",
            ),
            ("api_key=abc def", "api_key=[masked] def"),
            (
                "Received API Key = sk-...abcd, Key Hash (Token) =HASH.",
                "Received API Key = [masked], Key Hash (Token) =HASH.",
            ),
            ("mykey7 and mykey7x", "[masked] and [masked]x"),
            (
                "a task-force of risk-averse disk-drives",
                "a task-force of risk-averse disk-drives",
            ),
            (
                "the key is wrong, the token too",
                "the key is wrong, the token too",
            ),
        ] {
            assert_eq!(presentable(message, "mykey7"), shown);
        }
        assert_eq!(presentable(&format!("hash {hash}"), ""), "hash [masked]");
        assert_eq!(presentable("a day", "a"), "a day");
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let shown = presentable(&"日".repeat(600), "");
        assert_eq!(shown.chars().count(), 500);
        assert!(shown.ends_with("日…"));
        assert_eq!(presentable(&"日".repeat(499), ""), "日".repeat(499));
    }

    proptest! {
        #[test]
        fn a_message_is_short_and_never_has_the_key(text in ".{0,900}", cut in 0_usize..900) {
            let at = text.floor_char_boundary(cut);
            let message = format!("{}sk-secret99{}", &text[..at], &text[at..]);
            let shown = presentable(&message, "sk-secret99");
            prop_assert!(shown.chars().count() <= 500);
            prop_assert!(!shown.contains("sk-secret99"));
        }
    }
}
