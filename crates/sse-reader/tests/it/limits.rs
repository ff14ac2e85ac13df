//! No event is larger than the limit.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use http_body::Frame;
use http_body_util::StreamBody;
use sse_reader::{SseError, SseReader};

use crate::{Pieces, data, read};

const TOO_LARGE: &str = "an event of the stream is larger than the limit of 10 bytes";

#[track_caller]
fn check(body: &str, events: &[&str], error: Option<&str>) {
    for place in 0..=body.len() {
        let seen = read(Pieces::cut(body.as_bytes(), &[place]), 10);
        let expected: Vec<_> = events.iter().map(|text| data(text)).collect();
        assert_eq!(seen.events, expected, "cut at {place}");
        assert_eq!(seen.error.as_deref(), error, "cut at {place}");
    }
}

#[test]
fn an_event_may_fill_the_limit_and_not_a_byte_more() {
    check("data: 1234\n\ndata: 5678\r\n\r\n", &["1234", "5678"], None);
    check("data: 1234\n\ndata: 56789\n\n", &["1234"], Some(TOO_LARGE));
    check("data:1\ndata\n\n", &["1\n"], None);
    check("data:1\ndata:\n\n", &[], Some(TOO_LARGE));
    check("id: 12345678\n", &[], Some(TOO_LARGE));
}

#[test]
fn comments_and_keep_alives_do_not_add_up() {
    let body = ": a long comment\n\n".repeat(3) + ": another\ndata: 1234\n\n";
    check(&body, &["1234"], None);
    check(
        ": a long comment\n: and another\ndata: 1234\n\n",
        &["1234"],
        None,
    );
}

#[test]
fn an_endless_line_ends_in_an_error_soon_after_the_limit() {
    for (beginning, piece) in [
        ("data: ", "x"),
        ("", "x"),
        ("id:", "x"),
        ("", "x\n"),
        ("", "data:\n"),
    ] {
        let limit = 1 << 20;
        let piece = Bytes::from(piece.repeat(4096 / piece.len()));
        let endless = stream::repeat(piece.clone());
        let body = stream::iter([Bytes::from(beginning)]).chain(endless);
        let body = body.map(|piece| Ok::<_, Infallible>(Frame::data(piece)));
        let mut reader = SseReader::new(StreamBody::new(body), limit);
        match reader.next().now_or_never().unwrap() {
            Some(Err(SseError::EventTooLarge { limit: told })) => assert_eq!(told, limit),
            other => panic!("{other:?}"),
        }
        // Line ends do not count: at most as many again.
        assert!(reader.bytes_read() < 2 * u64::try_from(limit + 4096).unwrap());
        assert!(reader.next().now_or_never().unwrap().is_none());
    }
}
