//! Publishing over one connection.

use std::future::IntoFuture;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::publish::PublishAck;
use event_payloads::{EventId, LoggedEvent};
use event_store::{EventStore, LogFollow, StoreError};
use futures_util::StreamExt;
use futures_util::future::{BoxFuture, OptionFuture};
use futures_util::stream::FuturesOrdered;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::connection::Connection;
use crate::message::{message, subject};
use crate::progress::Progress;
use crate::start::{Readers, Start, start};
use crate::{NatsConfig, RelayError};

/// Events on their way without an acknowledgement yet.
const WINDOW: usize = 256;
/// How far we are is kept once so many events are acknowledged, or after this time. What is not kept is
/// seen in the stream itself; this is for one that was purged.
const SAVE_EVENTS: u64 = 1024;
const SAVE_AFTER: Duration = Duration::from_secs(2);
/// When the gateway ends: for what is in the log to reach the stream.
const FINISH_LIMIT: Duration = Duration::from_secs(3);
/// When another relay publishes the same log, it is left to do so for this long, longer each time.
const YIELD_FIRST: Duration = Duration::from_millis(50);
const YIELD_LONGEST: Duration = Duration::from_secs(2);

/// What the server says to an event, and which event it is.
type Answer = (EventId, Start, Result<PublishAck, PublishError>);
/// An event on its way.
type Sent = BoxFuture<'static, Answer>;

fn is_overtaken(kind: PublishErrorKind) -> bool {
    matches!(
        kind,
        PublishErrorKind::WrongLastSequence | PublishErrorKind::WrongLastMessageId
    )
}

/// Why publishing stopped although nothing is wrong.
enum Turn {
    /// The gateway ends, or the store is closed.
    Ended,
    /// The stream does not end where we thought: another relay was first.
    Overtaken,
    /// The server says that it had the event at this position before. If it has, the stream's end will show
    /// it. If it has not, the event goes out without its id: a cluster remembers the id of a message that it
    /// refused in the end, and the place that each message asks for keeps doubles out just as well.
    Duplicate(u64),
}

pub(crate) struct Session<'a> {
    pub(crate) config: &'a NatsConfig,
    pub(crate) store: &'a Arc<dyn EventStore>,
    pub(crate) closing: &'a CancellationToken,
    pub(crate) progress: &'a Progress,
    pub(crate) connection: Connection,
}

impl Session<'_> {
    /// Publishes until the gateway ends or something goes wrong.
    pub(crate) async fn run(self) -> Result<(), RelayError> {
        let asked = self.connection.stream(self.config);
        let Some(stream) = self.closing.run_until_cancelled(asked).await else {
            return Ok(());
        };
        let stream = stream?;
        let mut unnamed = 0;
        let mut pause = YIELD_FIRST;
        loop {
            let asked = start(self.config, &**self.store, &stream);
            let Some(started) = self.closing.run_until_cancelled(asked).await else {
                return Ok(());
            };
            let (from, readers) = started?;
            self.progress.connected(from.after);
            let mut window = Window::new(&self, from, readers, unnamed);
            let turn = window.publish().await;
            let acknowledged = window.acknowledged;
            let saved = window.save().await;
            let turn = turn?;
            saved?;
            match turn {
                Turn::Ended => return Ok(()),
                Turn::Duplicate(cursor) => unnamed = cursor + WINDOW as u64,
                Turn::Overtaken => {}
            }
            if acknowledged.after > from.after {
                pause = YIELD_FIRST;
                continue;
            }
            // Nothing is asked any more if the gateway ends meanwhile.
            self.closing.run_until_cancelled(sleep(pause)).await;
            pause = (2 * pause).min(YIELD_LONGEST);
        }
    }
}

/// What comes next while publishing.
enum Next {
    /// The connection is gone.
    Lost,
    /// The gateway ends and has no time left.
    Late,
    /// The server says something to the oldest event on its way.
    Answered(Answer),
    /// The gateway ends.
    Closing,
    /// How far we are was not kept for some time.
    SaveTime,
    /// The log has another event; it has none if the store is closed.
    Logged(Result<Option<LoggedEvent>, StoreError>),
}

/// The gateway ends: what is in the log now goes out, if the server takes it in time.
#[derive(Clone, Copy)]
struct Ending {
    head: u64,
    until: Instant,
}

/// What is on its way. Each event is published for the place right behind the one before it, so when one
/// does not arrive, the server takes none of those after it: the order of the stream is the order of the
/// log, also when several relays publish it at once.
struct Window<'a> {
    session: &'a Session<'a>,
    context: &'a Context,
    readers: Readers,
    log: LogFollow,
    sent: FuturesOrdered<Sent>,
    /// The stream's last sequence once all that was sent is in it.
    sequence: u64,
    /// The event sent last, if it went out with its id.
    before: Option<EventId>,
    acknowledged: Start,
    saved: Start,
    save_at: Instant,
    /// Events up to this position go out without their id, see [`Turn::Duplicate`].
    unnamed: u64,
    ending: Option<Ending>,
}

impl<'a> Window<'a> {
    fn new(session: &'a Session<'a>, from: Start, readers: Readers, unnamed: u64) -> Self {
        Self {
            session,
            context: session.connection.context(),
            readers,
            log: LogFollow::new(session.store.clone(), from.after, Vec::new()),
            sent: FuturesOrdered::new(),
            sequence: from.sequence,
            before: None,
            acknowledged: from,
            saved: from,
            save_at: Instant::now() + SAVE_AFTER,
            unnamed,
            ending: None,
        }
    }

    async fn publish(&mut self) -> Result<Turn, RelayError> {
        while !self.is_done() {
            match self.next().await {
                Next::Lost => return Err(RelayError::Lost),
                Next::Late => break,
                Next::Answered(answer) => {
                    if let Some(turn) = self.take(answer)? {
                        return Ok(turn);
                    }
                    self.save_if_many().await?;
                }
                Next::Closing => self.ending = Some(self.end()),
                Next::SaveTime => self.save().await?,
                Next::Logged(logged) => {
                    let Some(logged) = logged? else { break };
                    if let Err(error) = self.send(&logged).await {
                        return self.stopped(error).await;
                    }
                }
            }
        }
        Ok(Turn::Ended)
    }

    /// In this order: answers before new events, and an end keeps its limit however fast answers come.
    async fn next(&mut self) -> Next {
        let late = self.ending.map(|ending| sleep_until(ending.until));
        let open = self.ending.is_none();
        let room = self.sent.len() < WINDOW;
        tokio::select! {
            biased;
            () = self.session.connection.lost.cancelled() => Next::Lost,
            Some(()) = OptionFuture::from(late) => Next::Late,
            Some(answer) = self.sent.next() => Next::Answered(answer),
            () = self.session.closing.cancelled(), if open => Next::Closing,
            () = sleep_until(self.save_at), if open => Next::SaveTime,
            logged = self.log.next(), if room => Next::Logged(logged),
        }
    }

    /// From now on.
    fn end(&self) -> Ending {
        Ending {
            head: *self.session.store.head().borrow(),
            until: Instant::now() + FINISH_LIMIT,
        }
    }

    fn is_done(&self) -> bool {
        self.ending
            .is_some_and(|ending| self.acknowledged.after >= ending.head)
    }

    /// An event can not be sent. The connection goes with what it has not written yet, so those before it are
    /// waited for: they would be dropped each time, and never arrive.
    async fn stopped(&mut self, error: RelayError) -> Result<Turn, RelayError> {
        let until = self.ending.unwrap_or_else(|| self.end()).until;
        loop {
            let answer = tokio::select! {
                biased;
                () = self.session.connection.lost.cancelled() => return Err(RelayError::Lost),
                answer = timeout_at(until, self.sent.next()) => answer,
            };
            let Ok(Some(answer)) = answer else {
                return Err(error);
            };
            if let Some(turn) = self.take(answer)? {
                return Ok(turn);
            }
        }
    }

    async fn send(&mut self, logged: &LoggedEvent) -> Result<(), RelayError> {
        let config = self.session.config;
        let event_id = logged.event.event_id.clone();
        let subject = subject(config.subjects(), logged);
        let message = message(logged, config.stream(), self.sequence)?;
        // Where others write to the stream too, a place alone is not enough: theirs may fill the one of an
        // event that was refused.
        let message = match self.before.take() {
            Some(before) => message.expected_last_message_id(before.as_str()),
            None => message,
        };
        let message = if logged.cursor > self.unnamed {
            self.before = Some(event_id.clone());
            message.message_id(event_id.as_str())
        } else {
            message
        };
        let acknowledged = match self.context.send_publish(subject, message).await {
            Ok(acknowledged) => acknowledged.into_future(),
            Err(error) => return Err(self.refused(event_id, error)),
        };
        self.sequence += 1;
        let place = Start {
            after: logged.cursor,
            sequence: self.sequence,
        };
        self.sent.push_back(Box::pin(
            async move { (event_id, place, acknowledged.await) },
        ));
        Ok(())
    }

    /// What the server says to the oldest event on its way.
    fn take(&mut self, answer: Answer) -> Result<Option<Turn>, RelayError> {
        let (event_id, place, answer) = answer;
        match answer {
            Ok(ack) if !ack.duplicate && ack.sequence == place.sequence => {
                self.acknowledged = place;
                self.session.progress.reached(place.after);
                Ok(None)
            }
            Ok(_) => {
                tracing::debug!(cursor = place.after, "NATS says it had this event before");
                Ok(Some(Turn::Duplicate(place.after)))
            }
            Err(error) if is_overtaken(error.kind()) => {
                tracing::debug!(cursor = place.after, "another was first in the NATS stream");
                Ok(Some(Turn::Overtaken))
            }
            Err(error) => Err(self.refused(event_id, error)),
        }
    }

    fn refused(&self, event_id: EventId, error: PublishError) -> RelayError {
        match error.kind() {
            PublishErrorKind::TimedOut | PublishErrorKind::BrokenPipe => RelayError::Lost,
            _ => RelayError::Refused {
                stream: self.session.config.stream().to_owned(),
                event_id,
                source: error.into(),
            },
        }
    }

    async fn save_if_many(&mut self) -> Result<(), RelayError> {
        // An end is followed by one save.
        let many = self.acknowledged.after >= self.saved.after + SAVE_EVENTS;
        if many && self.ending.is_none() {
            self.save().await?;
        }
        Ok(())
    }

    async fn save(&mut self) -> Result<(), RelayError> {
        self.save_at = Instant::now() + SAVE_AFTER;
        if self.acknowledged == self.saved {
            return Ok(());
        }
        let store = &**self.session.store;
        self.readers.save(store, self.acknowledged).await?;
        self.saved = self.acknowledged;
        Ok(())
    }
}
