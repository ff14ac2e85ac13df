//! Cutting text to the sizes that events allow.

/// Longest title of a task, in characters.
pub const MAX_TITLE_CHARS: usize = 100;
/// Longest preview of a user's message, in characters.
pub const MAX_PREVIEW_CHARS: usize = 200;
/// How a shortened summary ends.
pub const TRUNCATION_MARK: &str = "... [truncated, see artifact]";

/// The first `limit` characters of a text.
#[must_use]
pub fn first_chars(text: &str, limit: usize) -> &str {
    text.char_indices()
        .nth(limit)
        .map_or(text, |(end, _)| text.get(..end).unwrap_or(text))
}

/// A text of at most `max_bytes` bytes: the whole, or its start and [`TRUNCATION_MARK`].
///
/// The cut falls between characters. A limit too small for the mark gives the mark alone.
#[must_use]
pub fn summary(text: &str, max_bytes: usize) -> String {
    if text.len() <= max_bytes {
        return text.to_owned();
    }
    let room = max_bytes.saturating_sub(TRUNCATION_MARK.len());
    let kept = text
        .get(..text.floor_char_boundary(room))
        .unwrap_or_default();
    format!("{kept}{TRUNCATION_MARK}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_cut_falls_between_characters() {
        assert_eq!(first_chars("aé日本", 3), "aé日");
        assert_eq!(first_chars("ab", 3), "ab");
        assert_eq!(summary("日本語", 9), "日本語");
    }

    proptest! {
        #[test]
        fn a_summary_fits_and_says_that_it_was_cut(text in ".{0,300}", max in 29_usize..200) {
            let short = summary(&text, max);
            prop_assert!(short.len() <= max);
            prop_assert_eq!(short.ends_with(TRUNCATION_MARK), text.len() > max);
            let kept = short.strip_suffix(TRUNCATION_MARK).unwrap_or(&short);
            prop_assert!(text.starts_with(kept));
        }
    }
}
