//! The reader.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use http_body::Body;
use sse_stream::{Sse, SseStream};

use crate::error::SseError;
use crate::event::SseEvent;
use crate::metered::{Metered, Progress};

/// Reads the events of an HTTP body.
///
/// Memory is bounded: about twice the limit of one event, and one frame of the body. The body is polled
/// only while an event is waited for, so that a slow reader slows the sender down.
pub struct SseReader<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    blocks: SseStream<Metered<B>>,
    progress: Arc<Progress>,
}

impl<B> SseReader<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    /// Reads `body`, and takes no event with more than `max_event_bytes` in its lines (their ends and
    /// comments left out).
    pub fn new(body: B, max_event_bytes: usize) -> Self {
        Self::with_max_bytes(body, max_event_bytes, u64::MAX)
    }

    /// Reads at most so many bytes in all (and the rest of the frame that goes over), comments too.
    pub fn with_max_bytes(body: B, max_event_bytes: usize, max_bytes: u64) -> Self {
        let progress = Arc::new(Progress::default());
        let body = Metered::new(body, max_event_bytes, max_bytes, Arc::clone(&progress));
        Self {
            blocks: SseStream::new(body),
            progress,
        }
    }

    /// The next event that has data, also if that is empty; none at the body's end, and behind an error.
    ///
    /// Comments, and blocks that hold no data (`retry:` alone, for example), are skipped. So is the
    /// rest of a body that ends without the blank line behind an event: see
    /// [`ended_inside_an_event`](Self::ended_inside_an_event).
    ///
    /// The future may be dropped before it is done, for a time limit or another branch of a `select!`:
    /// no event is lost with it.
    ///
    /// # Errors
    ///
    /// The body breaks, an event is too large, or one is not valid UTF-8. Events that were complete
    /// before come out before.
    pub async fn next(&mut self) -> Option<Result<SseEvent, SseError>> {
        loop {
            match self.blocks.next().await? {
                Ok(block) => {
                    if let Some(event) = event(block) {
                        return Some(Ok(event));
                    }
                }
                Err(error) => return Some(Err(why(error))),
            }
        }
    }

    /// Bytes of the body that have come so far, those of comments too.
    ///
    /// It also grows inside a call of [`next`](Self::next) that is waiting, or was dropped: a caller that
    /// limits how long a stream may be silent looks here for keep-alives, which are no events.
    pub fn bytes_read(&self) -> u64 {
        self.progress.bytes_read()
    }

    /// Whether the body has ended, and did so without the blank line behind its last event: that event
    /// was not handed out, as the standard has it, and the answer may have been cut.
    pub fn ended_inside_an_event(&self) -> bool {
        self.progress.ended_inside_an_event()
    }
}

impl<B> fmt::Debug for SseReader<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SseReader")
            .field("progress", &self.progress)
            .finish_non_exhaustive()
    }
}

fn event(block: Sse) -> Option<SseEvent> {
    Some(SseEvent {
        data: block.data?,
        name: block.event.filter(|name| !name.is_empty()),
        id: block.id,
    })
}

fn why(error: sse_stream::Error) -> SseError {
    match error {
        // What `Metered` said, boxed on its way through the parser.
        sse_stream::Error::Body(source) => match source.downcast::<SseError>() {
            Ok(said) => *said,
            Err(source) => SseError::Broken { source },
        },
        sse_stream::Error::Utf8Parse(source) => SseError::NotUtf8 { source },
        other => SseError::Broken {
            source: Box::new(other),
        },
    }
}
