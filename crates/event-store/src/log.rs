//! The log of all tasks, in the order of its commits.

use std::collections::VecDeque;
use std::sync::Arc;

use event_payloads::{EventType, LoggedEvent};
use tokio::sync::watch;

use crate::{EventStore, StoreError};

/// How many events a follower reads at once.
const PAGE: usize = 256;

/// Which part of the log to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogQuery {
    /// Events after this position; 0 for all.
    pub after: u64,
    /// Only these types; all if empty.
    pub types: Vec<EventType>,
    /// At most so many.
    pub limit: usize,
}

impl LogQuery {
    /// True if events of this type are asked for.
    pub(crate) fn wants(&self, word: &str) -> bool {
        self.types.is_empty() || self.types.iter().any(|wanted| wanted.as_str() == word)
    }
}

/// Follows the log after a position: each event once, in the order of the commits, and none left out;
/// what is recorded later comes as it is.
#[derive(Debug)]
pub struct LogFollow {
    store: Arc<dyn EventStore>,
    query: LogQuery,
    head: watch::Receiver<u64>,
    read: VecDeque<LoggedEvent>,
}

impl LogFollow {
    /// Follows what comes after a position, 0 for all of it; only some types unless that is empty.
    #[must_use]
    pub fn new(store: Arc<dyn EventStore>, after: u64, types: Vec<EventType>) -> Self {
        let query = LogQuery {
            after,
            types,
            limit: PAGE,
        };
        Self {
            head: store.head(),
            store,
            query,
            read: VecDeque::new(),
        }
    }

    /// Up to where the log was looked at: all before it was handed out, or has another type.
    #[must_use]
    pub fn cursor(&self) -> u64 {
        self.read
            .front()
            .map_or(self.query.after, |first| first.cursor - 1)
    }

    /// The next event; waits for it if there is none yet. `None` when the store is closed. Can be dropped
    /// and called again without losing one.
    ///
    /// # Errors
    /// The log could not be read; asking again goes on where it was.
    pub async fn next(&mut self) -> Result<Option<LoggedEvent>, StoreError> {
        loop {
            if let Some(event) = self.read.pop_front() {
                return Ok(Some(event));
            }
            // Seen before it is read: what is recorded meanwhile wakes this again.
            self.head.mark_unchanged();
            let page = match self.store.log(self.query.clone()).await {
                Err(error) if error.is_closed() => return Ok(None),
                page => page?,
            };
            self.query.after = page.next;
            self.read = page.events.into();
            if self.read.is_empty() && page.caught_up && self.head.changed().await.is_err() {
                return Ok(None);
            }
        }
    }
}
