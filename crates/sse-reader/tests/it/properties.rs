//! However a body is cut, and whatever is in it.

use proptest::prelude::*;
use sse_reader::{SseEvent, data_frame};

use crate::{NO_LIMIT, Pieces, Seen, data, read, whatwg};

/// A line with or without its end, a few of which make an event.
fn line() -> impl Strategy<Value = String> {
    let field = prop::sample::select(vec![
        "data",
        "data",
        "data",
        "event",
        "id",
        "retry",
        "",
        "dat",
        "datax",
        "what",
        "\u{feff}data",
    ]);
    let colon = prop::sample::select(vec!["", ":", ": ", ":  "]);
    let value = prop_oneof![
        Just(String::new()),
        "[a-c:{}\" \0ä€𝄞\u{feff}]{0,8}",
        "[0-9]{1,3}",
        Just("x".repeat(300)),
    ];
    (field, colon, value, line_end()).prop_map(|(field, colon, value, end)| {
        // Without a colon a value would only make another field's name.
        let value = if colon.is_empty() { "" } else { &value };
        format!("{field}{colon}{value}{end}")
    })
}

fn line_end() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["\n", "\n", "\r\n", "\r"])
}

/// A whole body: lines, blank ones among them, perhaps cut off.
fn body() -> impl Strategy<Value = String> {
    let bom = prop::bool::weighted(0.2).prop_map(|bom| if bom { "\u{feff}" } else { "" });
    let lines = prop_oneof![2 => line(), 1 => line_end().prop_map(str::to_owned)];
    let end = prop::sample::select(vec!["", "\n\n", "data", "data: cut"]);
    let orderly = (bom, prop::collection::vec(lines, 0..24), end)
        .prop_map(|(bom, lines, end)| format!("{bom}{}{end}", lines.concat()));
    prop_oneof![4 => orderly, 1 => "[dat:i \r\nä\u{feff}]{0,60}"]
}

fn cuts() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(any::<usize>(), 0..12)
}

fn text() -> impl Strategy<Value = String> {
    "[a-c: {}\"ä€𝄞\u{feff}]{0,12}"
}

/// An event as a reader can give it.
fn event() -> impl Strategy<Value = SseEvent> {
    let name =
        prop::option::of(text().prop_filter("an empty name is none", |name| !name.is_empty()));
    let data = prop::collection::vec(text(), 1..4).prop_map(|lines| lines.join("\n"));
    (name, data, prop::option::of(text())).prop_map(|(name, data, id)| SseEvent { name, data, id })
}

fn size(event: &SseEvent) -> usize {
    let name = event.name.as_deref().map_or(0, str::len);
    event.data.len() + name + event.id.as_deref().map_or(0, str::len)
}

proptest! {
    #[test]
    fn cuts_change_nothing_and_a_second_parser_agrees(body in body(), cuts in cuts()) {
        let whole = read(Pieces::cut(body.as_bytes(), &[]), NO_LIMIT);
        let cut = read(Pieces::cut(body.as_bytes(), &cuts), NO_LIMIT);
        prop_assert_eq!(&cut, &whole);
        prop_assert_eq!(read(Pieces::bytewise(body.as_bytes()), NO_LIMIT), whole);
        prop_assert_eq!(cut.error, None);
        prop_assert_eq!(cut.events, whatwg::parse(&body));
        prop_assert_eq!(cut.bytes_read, u64::try_from(body.len())?);
    }

    #[test]
    fn a_limit_is_held_wherever_the_cuts_are(body in body(), cuts in cuts(), limit in 0_usize..400) {
        let free = read(Pieces::cut(body.as_bytes(), &[]), NO_LIMIT);
        let Seen { events, error, .. } = read(Pieces::cut(body.as_bytes(), &cuts), limit);
        let whole = read(Pieces::cut(body.as_bytes(), &[]), limit);
        prop_assert_eq!((&events, &error), (&whole.events, &whole.error));
        prop_assert!(events.iter().all(|event| size(event) <= limit));
        prop_assert!(free.events.starts_with(&events));
        prop_assert!(error.is_some() || events == free.events);
    }

    #[test]
    fn bytes_that_are_no_text_are_cut_as_well(
        body in prop::collection::vec(prop::sample::select(b"data:id \r\n\xef\xbb\xbf\xff\xc3\xa4\0".to_vec()), 0..80),
        cuts in cuts(),
    ) {
        let whole = read(Pieces::cut(&body, &[]), NO_LIMIT);
        let cut = read(Pieces::cut(&body, &cuts), NO_LIMIT);
        prop_assert_eq!((cut.events, cut.error), (whole.events, whole.error));
    }

    #[test]
    fn what_is_written_reads_back(events in prop::collection::vec(event(), 0..5), cuts in cuts()) {
        let frames: Vec<_> = events.iter().map(SseEvent::to_frame).collect();
        let seen = read(Pieces::cut(&frames.concat(), &cuts), NO_LIMIT);
        prop_assert_eq!(seen.events, events);
        prop_assert!(!seen.ended_inside_an_event);
    }

    #[test]
    fn any_text_reads_back_as_data_with_its_line_ends_made_lf(text in "[a \r\nä\u{feff}]{0,20}") {
        let seen = read(Pieces::cut(&data_frame(&text), &[]), NO_LIMIT);
        let expected = text.replace("\r\n", "\n").replace('\r', "\n");
        prop_assert_eq!(seen.events, [data(&expected)]);
    }
}
