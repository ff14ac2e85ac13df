//! Reads any body, whole and in pieces.
//!
//! The first byte says how many bytes of the input are sizes of pieces, in turns; the second gives the
//! limit of an event; what is left is the body.

#![no_main]

use std::convert::Infallible;
use std::future::Future as _;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body::{Body, Frame};
use libfuzzer_sys::fuzz_target;
use sse_reader::{SseEvent, SseReader};

const MOST_SIZES: usize = 16;

fuzz_target!(|input: &[u8]| {
    let Some((&sizes, rest)) = input.split_first() else {
        return;
    };
    let Some((&limit, rest)) = rest.split_first() else {
        return;
    };
    let sizes = usize::from(sizes) % MOST_SIZES;
    let Some((sizes, body)) = rest.split_at_checked(sizes) else {
        return;
    };
    let whole = read(Pieces::new(body, &[]), usize::MAX);
    assert_eq!(read(Pieces::new(body, sizes), usize::MAX), whole);
    assert_eq!(read(Pieces::new(body, &[1]), usize::MAX), whole);
    reads_back(&whole.events);
    // Small limits and large ones.
    let limit = usize::from(limit).pow(2) / 64;
    is_held(limit, &whole, read(Pieces::new(body, sizes), limit));
});

/// Every event by itself, and all of them behind each other.
fn reads_back(events: &[SseEvent]) {
    let mut all = Vec::new();
    for event in events {
        let frame = event.to_frame();
        let seen = read(Pieces::new(&frame, &[]), usize::MAX);
        assert_eq!(seen.events, [event.clone()]);
        assert!(seen.error.is_none() && !seen.ended_inside_an_event);
        all.extend_from_slice(&frame);
    }
    assert_eq!(read(Pieces::new(&all, &[7]), usize::MAX).events, events);
}

/// With a limit, the same events come until one is too large.
fn is_held(limit: usize, whole: &Seen, limited: Seen) {
    assert!(whole.events.starts_with(&limited.events));
    for event in &limited.events {
        let name = event.name.as_deref().unwrap_or_default();
        let id = event.id.as_deref().unwrap_or_default();
        assert!(name.len() + id.len() + event.data.len() <= limit);
    }
    assert!(limited.error.is_some() || limited == *whole);
}

/// All that a reader says of a body.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    events: Vec<SseEvent>,
    error: Option<String>,
    ended_inside_an_event: bool,
}

fn read(body: Pieces<'_>, limit: usize) -> Seen {
    let length = u64::try_from(body.rest.len()).expect("a body is shorter than 2^64 bytes");
    let mut reader = SseReader::new(body, limit);
    let mut seen = Seen {
        events: Vec::new(),
        error: None,
        ended_inside_an_event: false,
    };
    while let Some(next) = now(&mut reader) {
        assert_eq!(seen.error, None, "something came after an error");
        match next {
            Ok(event) => seen.events.push(event),
            Err(error) => seen.error = Some(error.to_string()),
        }
    }
    seen.ended_inside_an_event = reader.ended_inside_an_event();
    assert!(reader.bytes_read() <= length);
    assert!(seen.error.is_some() || reader.bytes_read() == length);
    seen
}

fn now(reader: &mut SseReader<Pieces<'_>>) -> Option<Result<SseEvent, sse_reader::SseError>> {
    match pin!(reader.next()).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(next) => next,
        Poll::Pending => unreachable!("the body never makes wait"),
    }
}

/// A body in pieces of these sizes, in turns; in one without any.
struct Pieces<'a> {
    rest: &'a [u8],
    sizes: std::iter::Cycle<std::slice::Iter<'a, u8>>,
}

impl<'a> Pieces<'a> {
    fn new(rest: &'a [u8], sizes: &'a [u8]) -> Self {
        Self {
            rest,
            sizes: sizes.iter().cycle(),
        }
    }
}

impl Body for Pieces<'_> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        let length = self.rest.len();
        let size = self.sizes.next().map_or(length, |size| usize::from(*size));
        let (piece, rest) = self.rest.split_at(size.clamp(1, length));
        self.rest = rest;
        Poll::Ready(Some(Ok(Frame::data(Bytes::copy_from_slice(piece)))))
    }
}
