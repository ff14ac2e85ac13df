//! Events as they are recorded.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use event_payloads::{Event, ModelCallChunk, TaskId};
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::watch;

/// How far a subscriber may fall behind, in events and pieces of answers.
const BACKLOG: usize = 256;

/// By task.
type Channels = HashMap<TaskId, broadcast::Sender<Live>>;

/// Who is told what.
#[derive(Debug, Default)]
struct Audience {
    /// Events, and the pieces of answers between them.
    all: Channels,
    /// Events alone.
    events: Channels,
}

impl Audience {
    fn of(&mut self, pieces: bool) -> &mut Channels {
        if pieces {
            &mut self.all
        } else {
            &mut self.events
        }
    }
}

/// What happens in a task, as it happens.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Live {
    /// An event was recorded.
    Event(Arc<Event>),
    /// A piece of an answer came. It is recorded nowhere.
    Chunk(Arc<ModelCallChunk>),
}

impl Live {
    /// The event, if it is one.
    #[must_use]
    pub fn event(&self) -> Option<&Event> {
        match self {
            Self::Event(event) => Some(event),
            Self::Chunk(_) => None,
        }
    }
}

/// The subscribers of every task. A task without one costs nothing.
#[derive(Debug, Default)]
pub(crate) struct Hub {
    /// `None` once the store is closed, and where nothing is recorded.
    channels: Mutex<Option<Audience>>,
    /// The position of the log's last event; `None` likewise.
    head: Mutex<Option<watch::Sender<u64>>>,
}

impl Hub {
    pub(crate) fn open(head: u64) -> Arc<Self> {
        Arc::new(Self {
            channels: Mutex::new(Some(Audience::default())),
            head: Mutex::new(Some(watch::Sender::new(head))),
        })
    }

    /// The log reaches to this position now. It never goes back.
    pub(crate) fn reach(&self, position: u64) {
        let head = self.head.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(head) = head.as_ref() {
            head.send_if_modified(|head| {
                let grows = position > *head;
                *head = position.max(*head);
                grows
            });
        }
    }

    pub(crate) fn head(&self) -> watch::Receiver<u64> {
        let head = self.head.lock().unwrap_or_else(PoisonError::into_inner);
        // Without a sender it ends at once.
        head.as_ref().map_or_else(
            || watch::Sender::new(0).subscribe(),
            watch::Sender::subscribe,
        )
    }

    fn lock(&self) -> MutexGuard<'_, Option<Audience>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells of the events of a task, with the pieces of its answers or without.
    pub(crate) fn subscribe(self: &Arc<Self>, task_id: &TaskId, pieces: bool) -> Subscription {
        let events = self.lock().as_mut().map(|audience| {
            audience
                .of(pieces)
                .entry(task_id.clone())
                .or_insert_with(|| broadcast::Sender::new(BACKLOG))
                .subscribe()
        });
        Subscription {
            task_id: task_id.clone(),
            pieces,
            events,
            hub: Arc::clone(self),
        }
    }

    /// Hands events of one task on; costs a look if nobody follows it. Called in the order of the commits, after
    /// they are durable: who begins to follow later finds them in the store.
    pub(crate) fn publish(&self, task_id: &TaskId, events: impl FnOnce() -> Vec<Event>) {
        let audience = self.lock();
        let Some(audience) = audience.as_ref() else {
            return;
        };
        let channels = [&audience.all, &audience.events];
        let channels = channels.map(|channels| channels.get(task_id));
        if channels.iter().all(Option::is_none) {
            return;
        }
        for event in events().into_iter().map(Arc::new) {
            for channel in channels.into_iter().flatten() {
                // Fails if the last subscriber has just gone: then there is nobody to tell.
                let _ = channel.send(Live::Event(Arc::clone(&event)));
            }
        }
    }

    /// Hands one event on, see [`publish`](Self::publish).
    pub(crate) fn publish_one(&self, event: Event) {
        let task_id = event.task_id.clone();
        self.publish(&task_id, || vec![event]);
    }

    /// Hands a piece of an answer on; costs a look if nobody follows the task.
    pub(crate) fn announce(&self, task_id: &TaskId, chunk: impl FnOnce() -> ModelCallChunk) {
        let audience = self.lock();
        let channel = audience
            .as_ref()
            .and_then(|audience| audience.all.get(task_id));
        if let Some(channel) = channel {
            let _ = channel.send(Live::Chunk(Arc::new(chunk())));
        }
    }

    /// The tasks that somebody follows.
    pub(crate) fn followed(&self) -> Vec<TaskId> {
        let audience = self.lock();
        let tasks = audience.as_ref().map(|audience| {
            let once = |task: &&TaskId| !audience.all.contains_key(*task);
            let alone = audience.events.keys().filter(once);
            audience.all.keys().chain(alone).cloned().collect()
        });
        tasks.unwrap_or_default()
    }

    /// Ends every subscription, after what it still has to read.
    pub(crate) fn close(&self) {
        *self.lock() = None;
        *self.head.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn leave(&self, task_id: &TaskId, pieces: bool) {
        let mut audience = self.lock();
        let Some(audience) = audience.as_mut() else {
            return;
        };
        let channels = audience.of(pieces);
        if channels
            .get(task_id)
            .is_some_and(|channel| channel.receiver_count() == 0)
        {
            channels.remove(task_id);
        }
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.lock()
            .as_ref()
            .map_or(0, |audience| audience.all.len() + audience.events.len())
    }
}

/// The events of one task from the moment of subscribing, in order, after they are durable, and the pieces
/// of its answers between them.
///
/// To see all of a task: subscribe first, then read [`events`](crate::EventStore::events), then go on
/// with those here whose position is higher. [`Follow`](crate::Follow) does that.
#[derive(Debug)]
pub struct Subscription {
    task_id: TaskId,
    pieces: bool,
    events: Option<broadcast::Receiver<Live>>,
    hub: Arc<Hub>,
}

/// The subscriber was too slow: so many events are no longer here. The store has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{missed} events came too fast for this subscriber, read them from the store")]
pub struct Lagged {
    /// How many.
    pub missed: u64,
}

impl Subscription {
    /// The next event or piece; `None` when the store is closed. Can be dropped and called again without
    /// losing one.
    pub async fn next(&mut self) -> Option<Result<Live, Lagged>> {
        match self.events.as_mut()?.recv().await {
            Ok(live) => Some(Ok(live)),
            Err(RecvError::Lagged(missed)) => Some(Err(Lagged { missed })),
            Err(RecvError::Closed) => None,
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        // First the receiver, so that the count tells whether it was the last.
        self.events = None;
        self.hub.leave(&self.task_id, self.pieces);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_goes_with_its_last_subscriber() {
        let hub = Hub::open(0);
        let task_id: TaskId = "a".parse().unwrap();
        let one = hub.subscribe(&task_id, true);
        let two = hub.subscribe(&task_id, true);
        assert_eq!(hub.len(), 1);
        drop(one);
        assert_eq!(hub.len(), 1);
        drop(two);
        assert_eq!(hub.len(), 0);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn who_wants_events_alone_makes_nobody_make_a_piece() {
        let hub = Hub::open(0);
        let task_id: TaskId = "a".parse().unwrap();
        let watching = hub.subscribe(&task_id, false);
        hub.announce(&task_id, || panic!("nobody wants it"));
        assert_eq!(hub.followed(), std::slice::from_ref(&task_id));
        let following = hub.subscribe(&task_id, true);
        assert_eq!(hub.followed(), [task_id]);
        drop((watching, following));
        assert_eq!(hub.len(), 0);
    }

    #[test]
    fn leaving_a_closed_hub_is_quiet() {
        let hub = Hub::open(0);
        let subscription = hub.subscribe(&"a".parse().unwrap(), true);
        hub.close();
        drop(subscription);
        assert_eq!(hub.len(), 0);
    }
}
