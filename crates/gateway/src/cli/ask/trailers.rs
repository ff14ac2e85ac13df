//! Keeps the trailers of a body that somebody else reads.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame};

/// A body whose trailers are kept.
pub(super) struct Trailers<B> {
    body: B,
    kept: Kept,
}

/// The trailers, once they have come.
#[derive(Clone, Default)]
pub(super) struct Kept(Arc<Mutex<HeaderMap>>);

impl Kept {
    /// Empty if none have come.
    pub(super) fn get(&self) -> HeaderMap {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl<B> Trailers<B> {
    pub(super) fn of(body: B) -> (Self, Kept) {
        let kept = Kept::default();
        let body = Self {
            body,
            kept: kept.clone(),
        };
        (body, kept)
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Trailers<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if let Some(Ok(frame)) = &frame
            && let Some(trailers) = frame.trailers_ref()
        {
            let mut kept = self.kept.0.lock().unwrap_or_else(PoisonError::into_inner);
            kept.clone_from(trailers);
        }
        Poll::Ready(frame)
    }
}
