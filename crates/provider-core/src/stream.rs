//! An answer that comes in pieces.

use std::collections::VecDeque;

use async_trait::async_trait;
use bytes::Bytes;

use crate::{FallbackReason, ModelCallResult, ProviderError};

/// An answer that comes in pieces. It exists once the first piece is there: until then a fallback can
/// still answer, from then on nobody else can.
pub type ModelStream = Box<dyn AnswerStream>;

/// One piece.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chunk {
    /// One Server-Sent Event, ready to be handed on, in the shape of the call's
    /// [`Endpoint`](crate::Endpoint).
    pub frame: Bytes,
    /// The text that it adds to the answer; empty for everything else.
    pub text: String,
}

/// What is left to say when a stream is over, however it came to its end.
#[derive(Clone, Debug)]
pub struct Closed {
    /// What the call gave and cost: all of it, or what there was when the stream broke or was left.
    pub result: ModelCallResult,
    /// True if the model had said that it is done, also where the caller did not wait for the end.
    pub is_whole: bool,
    /// The frames that end a whole answer. To be handed on after the end is recorded, so that who has seen the
    /// end can rely on the books; and never after an answer that broke off.
    pub tail: Bytes,
    /// The upstream's own words for breaking off, if it had any that the caller's client reads.
    pub last_words: Bytes,
}

impl Closed {
    /// A whole answer, and the frames that end it.
    #[must_use]
    pub const fn whole(result: ModelCallResult, tail: Bytes) -> Self {
        Self {
            result,
            is_whole: true,
            tail,
            last_words: Bytes::new(),
        }
    }
}

/// Gives an answer piece by piece.
#[async_trait]
pub trait AnswerStream: Send {
    /// The model that answers; empty if nobody has said so yet.
    fn model_name(&self) -> &str;

    /// Why a fallback answers, if one does.
    fn fallback(&self) -> Option<&FallbackReason> {
        None
    }

    /// The next piece, or `None` once the answer is whole. Waits within the client's own limits.
    ///
    /// Can be dropped and called again without losing a piece. Not to be called again after `None` or an
    /// error.
    ///
    /// # Errors
    /// The answer broke off; see [`ProviderError`].
    async fn next(&mut self) -> Result<Option<Chunk>, ProviderError>;

    /// Ends the stream, wherever it is, and with it the call upstream if that still goes on.
    async fn close(self: Box<Self>) -> Closed;
}

/// An answer that is all there already, in pieces.
#[derive(Debug)]
pub struct ReadyStream {
    chunks: VecDeque<Chunk>,
    closed: Closed,
}

impl ReadyStream {
    /// These pieces, and what they come to.
    #[must_use]
    pub fn new(chunks: impl IntoIterator<Item = Chunk>, closed: Closed) -> Self {
        Self {
            chunks: chunks.into_iter().collect(),
            closed,
        }
    }
}

#[async_trait]
impl AnswerStream for ReadyStream {
    fn model_name(&self) -> &str {
        &self.closed.result.model_name
    }

    async fn next(&mut self) -> Result<Option<Chunk>, ProviderError> {
        Ok(self.chunks.pop_front())
    }

    async fn close(self: Box<Self>) -> Closed {
        self.closed
    }
}
