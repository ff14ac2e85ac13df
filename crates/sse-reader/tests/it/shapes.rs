//! The shapes that servers send.

use std::io;

use bytes::Bytes;
use futures_util::{FutureExt as _, stream};
use http_body::Frame;
use http_body_util::StreamBody;
use sse_reader::{SseError, SseEvent, SseReader, data_frame};

use crate::{NO_LIMIT, Pieces, Seen, data, event, read, whatwg};

/// The events of a body, however it is cut.
#[track_caller]
fn check(body: &str, expected: &[SseEvent]) {
    let whole = read(Pieces::cut(body.as_bytes(), &[]), NO_LIMIT);
    assert_eq!(whole.error, None);
    assert_eq!(whole.events, expected);
    assert_eq!(u64::try_from(body.len()), Ok(whole.bytes_read));
    assert_eq!(whatwg::parse(body), expected, "the other parser");
    for place in 0..=body.len() {
        let cut = read(Pieces::cut(body.as_bytes(), &[place]), NO_LIMIT);
        assert_eq!(cut, whole, "cut at {place}");
    }
    assert_eq!(read(Pieces::bytewise(body.as_bytes()), NO_LIMIT), whole);
}

fn ended_inside_an_event(body: &str) -> bool {
    read(Pieces::bytewise(body.as_bytes()), NO_LIMIT).ended_inside_an_event
}

#[test]
fn a_stream_of_chat_chunks() {
    // As LiteLLM Proxy 1.102.4 sends it, shortened.
    let body = concat!(
        r#"data: {"id":"chatcmpl-1","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"Grüße","role":"assistant"}}]}"#,
        "\n\n",
        r#"data: {"id":"chatcmpl-1","object":"chat.completion.chunk","choices":[{"finish_reason":"stop","index":0,"delta":{}}]}"#,
        "\n\ndata: [DONE]\n\n",
    );
    let chunks = body
        .split("\n\n")
        .filter_map(|line| line.strip_prefix("data: "));
    check(body, &chunks.map(data).collect::<Vec<_>>());
}

#[test]
fn lines_end_with_lf_crlf_or_cr() {
    for end in ["\n", "\r\n", "\r"] {
        let body = format!("event: a{end}id: 1{end}data: x{end}{end}data: y{end}{end}");
        check(&body, &[event(Some("a"), "x", Some("1")), data("y")]);
    }
    check("data: x\r\r\ndata: y\n\r\n", &[data("x"), data("y")]);
}

#[test]
fn lines_of_data_are_joined() {
    check("data: a\ndata\ndata:b\ndata:  c\n\n", &[data("a\n\nb\n c")]);
    check("data\n\ndata\ndata\n\ndata:", &[data(""), data("\n")]);
}

#[test]
fn comments_and_blocks_without_data_are_no_events() {
    check(
        ": keep-alive\n\n:\n\nretry: 10\n\nevent: ping\n\nid: 7\n\ndata: x\n: inside\n\n",
        &[data("x")],
    );
    check("event: lost\n\n\n\ndata: x\n\n", &[data("x")]);
    check("", &[]);
}

#[test]
fn a_byte_order_mark_is_skipped_at_the_beginning_alone() {
    check("\u{feff}data: x\n\n", &[data("x")]);
    check("\u{feff}: comment\n\ndata: x\n\n", &[data("x")]);
    check("\u{feff}\u{feff}data: x\n\n", &[]);
    check("\n\u{feff}data: x\n\n", &[]);
    check("data: \u{feff}x\n\n", &[data("\u{feff}x")]);
}

#[test]
fn a_character_may_be_cut_anywhere() {
    check(
        "data: aä€𝄞\ndata: 𝄞\nevent: é\nid: ß\n\n",
        &[event(Some("é"), "aä€𝄞\n𝄞", Some("ß"))],
    );
}

#[test]
fn the_last_of_two_names_or_ids_counts() {
    check(
        "event: a\nevent: b\nid: 1\nid: 2\ndata: x\n\n",
        &[event(Some("b"), "x", Some("2"))],
    );
    check(
        "event: a\nevent\nid: 1\nid\ndata: x\n\n",
        &[event(None, "x", Some(""))],
    );
}

#[test]
fn an_id_with_a_nul_is_none() {
    check("id: 1\0\ndata: x\n\n", &[data("x")]);
    check(
        "id: 1\nid: 2\0\ndata: x\n\n",
        &[event(None, "x", Some("1"))],
    );
    check("data: \0\n\n", &[data("\0")]);
}

#[test]
fn a_field_that_nobody_knows_is_no_data() {
    check(
        "dat: a\ndatax: b\n data: c\nDATA: d\ndata : e\ndata: x\n\n",
        &[data("x")],
    );
}

#[test]
fn a_value_keeps_all_but_its_first_space() {
    check("data:  a: b \n\n", &[data(" a: b ")]);
    check("data:\ta\n\n", &[data("\ta")]);
}

#[test]
fn an_event_without_the_blank_line_behind_it_is_dropped_and_told() {
    check("data: x\n\ndata: y\n", &[data("x")]);
    check("data: x\n\ndata: y", &[data("x")]);
    for body in [
        "data: x\n",
        "data: x",
        "data: x\n\nd",
        "data: x\r\n",
        "\n\nid",
    ] {
        assert!(ended_inside_an_event(body), "{body:?}");
    }
    for body in [
        "",
        "data: x\n\n",
        "data: x\r\r",
        "data: x\r\n\r\n",
        "data: x\n\n: bye",
        ":\n",
    ] {
        assert!(!ended_inside_an_event(body), "{body:?}");
    }
}

#[test]
fn a_huge_event_is_read_whole() {
    let text = "0123456789äöü".repeat(300_000);
    let frame = data_frame(&text);
    let places: Vec<usize> = (0..frame.len()).step_by(16_381).collect();
    let Seen { events, error, .. } = read(Pieces::cut(&frame, &places), NO_LIMIT);
    assert_eq!(error, None);
    assert!(events == [data(&text)], "it came out changed");
}

#[test]
fn what_is_not_utf_8_is_an_error_unless_nobody_reads_it() {
    let error = Some("an event of the stream is not valid UTF-8".to_owned());
    for body in [
        &b"data: \xff\n\n"[..],
        b"data: x\nevent: \xc3\n\n",
        b"id: \xf0\x9d\n\n",
    ] {
        let body = [b"data: before\n\n", body, b"data: after\n\n"].concat();
        let seen = read(Pieces::bytewise(&body), NO_LIMIT);
        assert_eq!(seen.events, [data("before")]);
        assert_eq!(seen.error, error);
    }
    for body in [
        &b": \xff\ndata: x\n\n"[..],
        b"what: \xff\ndata: x\n\n",
        b"\xff\ndata: x\n\n",
    ] {
        let seen = read(Pieces::bytewise(body), NO_LIMIT);
        assert_eq!((seen.events, seen.error), (vec![data("x")], None));
    }
}

#[test]
fn a_body_that_breaks_is_an_error_with_its_cause() {
    let frames = [
        Ok(Frame::data(Bytes::from_static(b"data: x\n\ndata: y\n"))),
        Err(io::Error::from(io::ErrorKind::ConnectionReset)),
        Ok(Frame::data(Bytes::from_static(b"\ndata: z\n\n"))),
    ];
    let mut reader = SseReader::new(StreamBody::new(stream::iter(frames)), NO_LIMIT);
    let mut next = || reader.next().now_or_never().unwrap();
    assert_eq!(next().unwrap().unwrap(), data("x"));
    match next() {
        Some(Err(SseError::Broken { source })) => {
            let source = source.downcast::<io::Error>().unwrap();
            assert_eq!(source.kind(), io::ErrorKind::ConnectionReset);
        }
        other => panic!("{other:?}"),
    }
    assert!(next().is_none());
    assert!(next().is_none());
}

#[test]
fn trailers_are_not_data() {
    let frames = [
        Ok::<_, io::Error>(Frame::data(Bytes::from_static(b"data: x\n\n"))),
        Ok(Frame::trailers(Default::default())),
    ];
    let mut reader = SseReader::new(StreamBody::new(stream::iter(frames)), NO_LIMIT);
    let mut next = || reader.next().now_or_never().unwrap();
    assert_eq!(next().unwrap().unwrap(), data("x"));
    assert!(next().is_none());
}

#[test]
fn a_call_that_is_dropped_while_it_waits_loses_nothing_and_counts() {
    let body = ": hello\n\nevent: a\ndata: x\n\ndata: y\ndata: z\n\n";
    let expected = read(Pieces::bytewise(body.as_bytes()), NO_LIMIT);
    let pieces = Pieces::bytewise(body.as_bytes()).each_waited_for();
    let mut reader = SseReader::new(pieces, NO_LIMIT);
    let mut events = Vec::new();
    let mut dropped = 0;
    loop {
        let before = reader.bytes_read();
        match reader.next().now_or_never() {
            None => {
                dropped += 1;
                assert!(reader.bytes_read() <= before + 1);
            }
            Some(Some(event)) => events.push(event.unwrap()),
            Some(None) => break,
        }
    }
    assert_eq!(events, expected.events);
    assert_eq!(reader.bytes_read(), expected.bytes_read);
    assert_eq!(dropped, body.len() + 1);
}
