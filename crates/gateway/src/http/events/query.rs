//! What a reader of the log may ask for.

use std::str::FromStr;
use std::time::Duration;

use axum::http::HeaderMap;
use event_payloads::{EventType, first_chars};
use serde::Deserialize;

/// Most events in one page.
const MAX_LIMIT: usize = 1000;
/// Events in one page where nothing is said.
const DEFAULT_LIMIT: usize = 100;
/// Longest wait for a page that has something, in seconds.
const MAX_WAIT_S: u64 = 30;
/// Most types in one filter.
const MAX_TYPES: usize = 32;
/// Longest type, in bytes.
const MAX_TYPE: usize = 64;

/// The words of a URL.
#[derive(Deserialize)]
pub(in crate::http) struct Words {
    after: Option<String>,
    types: Option<String>,
    limit: Option<String>,
    wait: Option<String>,
}

/// Where to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    /// After this position; 0 is the beginning.
    Cursor(u64),
    /// With what is recorded from now on.
    Latest,
}

impl FromStr for After {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "latest" {
            return Ok(Self::Latest);
        }
        number(text).map(Self::Cursor).ok_or_else(|| {
            format!(
                "`after` is `{}`: it is the cursor of an event, 0 for all, or `latest`",
                shown(text)
            )
        })
    }
}

/// A part of the log.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) after: After,
    /// All if empty.
    pub(super) types: Vec<EventType>,
}

/// A part of the log as a page.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PageQuery {
    pub(super) part: Part,
    pub(super) limit: usize,
    pub(super) wait: Duration,
}

/// What a page is to hold. The error is a sentence.
pub(super) fn page(words: &Words) -> Result<PageQuery, String> {
    let limit = words.limit.as_deref().map_or(Ok(DEFAULT_LIMIT), |text| {
        number(text)
            .and_then(|limit| usize::try_from(limit).ok())
            .filter(|limit| (1..=MAX_LIMIT).contains(limit))
            .ok_or_else(|| format!("`limit` is `{}`: it is 1 to {MAX_LIMIT}", shown(text)))
    })?;
    let wait = words.wait.as_deref().map_or(Ok(0), |text| {
        number(text)
            .filter(|seconds| *seconds <= MAX_WAIT_S)
            .ok_or_else(|| {
                format!(
                    "`wait` is `{}`: it is 0 to {MAX_WAIT_S} seconds",
                    shown(text)
                )
            })
    })?;
    Ok(PageQuery {
        part: part(words)?,
        limit,
        wait: Duration::from_secs(wait),
    })
}

/// What a stream is to hold. The error is a sentence.
///
/// `Last-Event-ID` wins over `after`: a client that connects again sends its first URL again.
pub(super) fn stream(words: &Words, headers: &HeaderMap) -> Result<Part, String> {
    if words.limit.is_some() || words.wait.is_some() {
        return Err("`limit` and `wait` are for pages: a stream has neither".to_owned());
    }
    let part = part(words)?;
    let Some(last) = headers.get("last-event-id").filter(|id| !id.is_empty()) else {
        return Ok(part);
    };
    let text = last.to_str().unwrap_or("?");
    let cursor = number(text).ok_or_else(|| {
        format!(
            "`Last-Event-ID` is `{}`: the ids of this stream are cursors, whole numbers",
            shown(text)
        )
    })?;
    Ok(Part {
        after: After::Cursor(cursor),
        ..part
    })
}

fn part(words: &Words) -> Result<Part, String> {
    Ok(Part {
        after: words
            .after
            .as_deref()
            .map_or(Ok(After::Cursor(0)), str::parse)?,
        types: words.types.as_deref().map_or(Ok(Vec::new()), parse_types)?,
    })
}

/// The types of a list with commas. One that nobody knows is taken: the log may hold it.
pub(crate) fn parse_types(list: &str) -> Result<Vec<EventType>, String> {
    let mut types = Vec::new();
    for word in list.split(',').map(str::trim) {
        if !is_type(word) {
            return Err(format!(
                "`types` has `{}`: a type is 1 to {MAX_TYPE} of A-Z, 0-9 and _, and commas stand between; \
                 leave `types` out for all",
                shown(word)
            ));
        }
        if types.len() == MAX_TYPES {
            return Err(format!(
                "`types` has more than {MAX_TYPES}; leave it out for all"
            ));
        }
        types.push(EventType::from(word));
    }
    Ok(types)
}

fn is_type(word: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    (1..=MAX_TYPE).contains(&word.len()) && word.bytes().all(allowed)
}

/// Digits alone: `parse` would take a sign too.
fn number(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// What came, short and without control characters.
fn shown(text: &str) -> String {
    first_chars(text, 40).escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn words(after: Option<&str>, types: Option<&str>) -> Words {
        Words {
            after: after.map(str::to_owned),
            types: types.map(str::to_owned),
            limit: None,
            wait: None,
        }
    }

    #[test]
    fn what_is_left_out_is_all_of_it_in_pages_of_a_hundred() {
        let wanted = page(&words(None, None)).unwrap();
        assert_eq!(
            wanted,
            PageQuery {
                part: Part {
                    after: After::Cursor(0),
                    types: Vec::new()
                },
                limit: 100,
                wait: Duration::ZERO
            }
        );
    }

    #[test]
    fn types_are_words_in_capitals_also_unknown_ones() {
        let types = parse_types("MODEL_CALL_COMPLETED, OF_TOMORROW_2").unwrap();
        assert_eq!(
            types,
            [
                EventType::ModelCallCompleted,
                EventType::from("OF_TOMORROW_2")
            ]
        );
        for bad in ["", "A,", ",A", "a", "A B", "A\nB", &"A".repeat(65)] {
            assert!(
                parse_types(bad).unwrap_err().contains("`types` has"),
                "{bad}"
            );
        }
        assert!(parse_types(&["A"; 32].join(",")).is_ok());
        assert!(parse_types(&["A"; 33].join(",")).is_err());
    }

    #[test]
    fn a_cursor_is_digits_or_latest() {
        assert_eq!("latest".parse(), Ok(After::Latest));
        assert_eq!("18446744073709551615".parse(), Ok(After::Cursor(u64::MAX)));
        for bad in ["", "-1", "+1", "1.0", "0x1", "18446744073709551616", "now"] {
            assert!(bad.parse::<After>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_last_event_that_was_seen_wins_over_the_url() {
        let last = |id: &'static str| {
            let headers = HeaderMap::from_iter([(
                "last-event-id".parse().unwrap(),
                HeaderValue::from_static(id),
            )]);
            stream(&words(Some("3"), None), &headers)
        };
        assert_eq!(last("7").unwrap().after, After::Cursor(7));
        assert_eq!(last("").unwrap().after, After::Cursor(3));
        assert!(last("01JD8V5Q8G3YB1Z2X4W6V8T0RS").is_err());
    }
}
