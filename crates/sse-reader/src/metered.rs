//! The body on its way to the parser: counted, and stopped where an event gets too large.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame};

use crate::error::SseError;
use crate::meter::Meter;

/// What is known of a body while the parser owns it. Written by [`Metered`], read by the reader.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    bytes_read: AtomicU64,
    ended_inside_an_event: AtomicBool,
}

impl Progress {
    /// Whether more has come than `limit`.
    fn is_over(&self, limit: u64) -> bool {
        self.bytes_read() > limit
    }

    pub(crate) fn bytes_read(&self) -> u64 {
        self.bytes_read.load(Ordering::Relaxed)
    }

    pub(crate) fn ended_inside_an_event(&self) -> bool {
        self.ended_inside_an_event.load(Ordering::Relaxed)
    }

    fn read(&self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.bytes_read.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// A body that counts what comes, and fails where an event gets too large.
pub(crate) struct Metered<B> {
    body: B,
    meter: Meter,
    progress: Arc<Progress>,
    /// The most that is read in all.
    max_bytes: u64,
    /// The beginning of the frame in which an event got too large is out; the error is next.
    too_large: bool,
}

impl<B> Metered<B> {
    pub(crate) fn new(body: B, limit: usize, max_bytes: u64, progress: Arc<Progress>) -> Self {
        Self {
            body,
            meter: Meter::new(limit),
            progress,
            max_bytes,
            too_large: false,
        }
    }

    /// As much of the data as the parser may have.
    fn take(&mut self, mut data: Bytes) -> Bytes {
        self.progress.read(data.len());
        if let Err(fit) = self.meter.take(&data) {
            self.too_large = true;
            data.truncate(fit);
        }
        data
    }
}

impl<B> Body for Metered<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    type Data = Bytes;
    type Error = SseError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, SseError>>> {
        let this = self.get_mut();
        if this.too_large {
            let limit = this.meter.limit();
            return Poll::Ready(Some(Err(SseError::EventTooLarge { limit })));
        }
        if this.progress.is_over(this.max_bytes) {
            let limit = this.max_bytes;
            return Poll::Ready(Some(Err(SseError::TooLarge { limit })));
        }
        match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
            Some(Ok(frame)) => Poll::Ready(Some(Ok(frame.map_data(|data| this.take(data))))),
            Some(Err(source)) => Poll::Ready(Some(Err(SseError::Broken {
                source: Box::new(source),
            }))),
            None => {
                let inside = this.meter.is_inside_an_event();
                let progress = &this.progress;
                progress
                    .ended_inside_an_event
                    .store(inside, Ordering::Relaxed);
                Poll::Ready(None)
            }
        }
    }
}
