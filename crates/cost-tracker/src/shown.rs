//! Foreign values inside our messages: short, on one line.

/// The most characters of a foreign value that a message repeats.
const MAX_CHARS: usize = 40;

/// The text as a message may hold it: no control characters, cut to a readable length.
pub(crate) fn shown(text: &str) -> String {
    let mut short: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MAX_CHARS)
        .collect();
    if text.chars().nth(MAX_CHARS).is_some() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_value_is_cut_and_a_line_break_does_not_survive() {
        assert_eq!(shown("a\nb"), "a b");
        assert_eq!(shown(&"x".repeat(41)), format!("{}…", "x".repeat(40)));
        assert_eq!(shown(&"x".repeat(40)), "x".repeat(40));
    }
}
