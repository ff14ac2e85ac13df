//! History first, then live.

use std::collections::VecDeque;
use std::sync::Arc;

use event_payloads::{Event, ModelCallChunk, TaskId};

use crate::{EventStore, Live, StoreError, Subscription};

/// How many events of the history are read at once.
const PAGE: usize = 128;

/// What a follower of a task sees next.
#[derive(Clone, Debug)]
pub enum Followed {
    /// A recorded event.
    Event(Box<Event>),
    /// A piece of an answer. Who follows too late or too slowly misses some.
    Chunk(Arc<ModelCallChunk>),
}

impl Followed {
    /// The event, if it is one.
    #[must_use]
    pub fn event(&self) -> Option<&Event> {
        match self {
            Self::Event(event) => Some(event),
            Self::Chunk(_) => None,
        }
    }
}

/// All events of a task after a position, recorded ones first, then as they come: each once, in
/// order, without a gap; and between them the pieces of answers that come meanwhile.
#[derive(Debug)]
pub struct Follow {
    store: Arc<dyn EventStore>,
    task_id: TaskId,
    live: Subscription,
    /// The last position handed out.
    seq: u64,
    /// Read from the store and not handed out yet.
    read: VecDeque<Event>,
    /// True while the store may have more than was read.
    behind: bool,
}

impl Follow {
    /// Follows a task after a position; 0 for all of it.
    #[must_use]
    pub fn new(store: Arc<dyn EventStore>, task_id: TaskId, after_seq: u64) -> Self {
        Self {
            live: store.subscribe(&task_id),
            store,
            task_id,
            seq: after_seq,
            read: VecDeque::new(),
            behind: true,
        }
    }

    /// The next event or piece; waits for it if there is none yet. `None` when the store is closed. Can be
    /// dropped and called again without losing one.
    ///
    /// # Errors
    /// The history could not be read.
    pub async fn next(&mut self) -> Result<Option<Followed>, StoreError> {
        loop {
            if let Some(event) = self.read.pop_front() {
                self.seq = event.task_seq;
                return Ok(Some(Followed::Event(Box::new(event))));
            }
            if self.behind {
                match self.read_on().await {
                    Err(error) if error.is_closed() => return Ok(None),
                    read => read?,
                }
                continue;
            }
            match self.live.next().await {
                None => return Ok(None),
                Some(Ok(Live::Chunk(chunk))) => return Ok(Some(Followed::Chunk(chunk))),
                Some(Ok(Live::Event(event))) if event.task_seq <= self.seq => {}
                Some(Ok(Live::Event(event))) if event.task_seq == self.seq + 1 => {
                    self.seq = event.task_seq;
                    let event = Arc::unwrap_or_clone(event);
                    return Ok(Some(Followed::Event(Box::new(event))));
                }
                // Too slow, or one is missing: the store has it.
                Some(Ok(Live::Event(_)) | Err(_)) => self.behind = true,
            }
        }
    }

    async fn read_on(&mut self) -> Result<(), StoreError> {
        let page = self.store.events(&self.task_id, self.seq, PAGE).await?;
        self.behind = page.len() == PAGE;
        self.read = page.into();
        Ok(())
    }
}
