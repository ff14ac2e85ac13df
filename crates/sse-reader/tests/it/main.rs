//! Reading event streams, through the public surface.

#![expect(
    clippy::expect_used,
    reason = "a test may stop at the first thing that is not as it should be"
)]

mod limits;
mod properties;
mod shapes;
mod whatwg;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::FutureExt as _;
use http_body::{Body, Frame};
use sse_reader::{SseEvent, SseReader};

const NO_LIMIT: usize = usize::MAX;

/// A body that comes in these pieces.
struct Pieces {
    pieces: VecDeque<Bytes>,
    /// Whether each piece is waited for once.
    waits: bool,
    is_waited_for: bool,
}

impl Pieces {
    fn new(pieces: impl IntoIterator<Item = Bytes>) -> Self {
        Self {
            pieces: pieces.into_iter().collect(),
            waits: false,
            is_waited_for: false,
        }
    }

    /// `body`, cut at these places.
    fn cut(body: &[u8], places: &[usize]) -> Self {
        let mut places: Vec<usize> = places
            .iter()
            .map(|place| place % (body.len() + 1))
            .collect();
        places.extend([0, body.len()]);
        places.sort_unstable();
        let ranges = places.iter().zip(places.iter().skip(1));
        let pieces = ranges.map(|(from, to)| body.get(*from..*to).expect("places are in order"));
        Self::new(pieces.map(Bytes::copy_from_slice))
    }

    fn bytewise(body: &[u8]) -> Self {
        Self::new(body.chunks(1).map(Bytes::copy_from_slice))
    }

    fn each_waited_for(self) -> Self {
        Self {
            waits: true,
            ..self
        }
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.waits && !self.is_waited_for {
            self.is_waited_for = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.is_waited_for = false;
        Poll::Ready(self.pieces.pop_front().map(|piece| Ok(Frame::data(piece))))
    }
}

/// All that a reader says of a body.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    events: Vec<SseEvent>,
    error: Option<String>,
    ended_inside_an_event: bool,
    bytes_read: u64,
}

/// Reads a body that never makes wait.
fn read(body: Pieces, limit: usize) -> Seen {
    let mut reader = SseReader::new(body, limit);
    let mut events = Vec::new();
    let mut error = None;
    while let Some(next) = reader.next().now_or_never().expect("nothing is waited for") {
        assert_eq!(error, None, "something came after an error");
        match next {
            Ok(event) => events.push(event),
            // Not its cause: where in a piece of text the error is depends on the cuts.
            Err(seen) => error = Some(seen.to_string()),
        }
    }
    Seen {
        events,
        error,
        ended_inside_an_event: reader.ended_inside_an_event(),
        bytes_read: reader.bytes_read(),
    }
}

fn event(name: Option<&str>, data: &str, id: Option<&str>) -> SseEvent {
    SseEvent {
        name: name.map(str::to_owned),
        data: data.to_owned(),
        id: id.map(str::to_owned),
    }
}

fn data(data: &str) -> SseEvent {
    event(None, data, None)
}
