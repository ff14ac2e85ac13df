//! Where to go on.

use async_nats::jetstream::stream::{self, LastRawMessageErrorKind};
use event_store::{EventStore, LogQuery};

use crate::connection::unusable;
use crate::message::Published;
use crate::{NatsConfig, RelayError};

/// How often the end of a stream that others write to is asked for.
const END_TRIES: usize = 100;

/// Where the stream and our copy of the log into it end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Start {
    /// Every event of the log up to this position is, or was, in the stream; none after it.
    pub(crate) after: u64,
    /// The stream's last sequence. The next event is taken only if it still is the last.
    pub(crate) sequence: u64,
}

/// The names under which the store keeps how far the copy of the log in one stream has come. A stream that
/// was deleted and made again is another one, so what is kept for the old one does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Readers {
    cursor: String,
    sequence: String,
}

impl Readers {
    fn of(info: &stream::Info) -> Self {
        let (name, made) = (&info.config.name, info.created.unix_timestamp_nanos());
        Self {
            cursor: format!("nats/{name}/{made}/cursor"),
            sequence: format!("nats/{name}/{made}/sequence"),
        }
    }

    /// The sequence first: with a new one and an old cursor, a crash between the two makes us ask the
    /// stream or publish again, never leave out. Another relay that is further is not set back: its cursor
    /// with our sequence would say that the stream has what it may lose.
    pub(crate) async fn save(&self, store: &dyn EventStore, at: Start) -> Result<(), RelayError> {
        if store.cursor(&self.cursor).await? > at.after {
            return Ok(());
        }
        store.save_cursor(&self.sequence, at.sequence).await?;
        store.save_cursor(&self.cursor, at.after).await?;
        Ok(())
    }
}

/// Asks the stream and the store where to go on.
pub(crate) async fn start(
    config: &NatsConfig,
    store: &dyn EventStore,
    stream: &stream::Stream,
) -> Result<(Start, Readers), RelayError> {
    let end = standing_end(config, stream).await?;
    end.held_against(config, store).await
}

/// Asks up to which position of the log the stream has, or had, every event: at the least, since others may publish
/// meanwhile.
pub(crate) async fn published(
    config: &NatsConfig,
    store: &dyn EventStore,
    stream: &stream::Stream,
) -> Result<u64, RelayError> {
    let (start, _) = end(config, stream)
        .await?
        .held_against(config, store)
        .await?;
    Ok(start.after)
}

/// Where the stream ends, and the last of our events in it.
struct End {
    info: stream::Info,
    /// Its place in the stream, and what it says of itself.
    last: Option<(u64, Option<Published>)>,
}

impl End {
    /// True if nothing came between the two questions.
    fn is_of_one_moment(&self) -> bool {
        let last = self.last.as_ref();
        last.is_none_or(|(sequence, _)| *sequence <= self.info.state.last_sequence)
    }

    async fn held_against(
        self,
        config: &NatsConfig,
        store: &dyn EventStore,
    ) -> Result<(Start, Readers), RelayError> {
        let readers = Readers::of(&self.info);
        let published = self.last.and_then(|(_, published)| published);
        if let Some(published) = &published {
            check_ours(config, store, published).await?;
        }
        let facts = Facts {
            sequence: self.info.state.last_sequence,
            published: published.map_or(0, |published| published.cursor),
            saved_sequence: store.cursor(&readers.sequence).await?,
            saved: store.cursor(&readers.cursor).await?,
        };
        let start = Start {
            after: facts.after(),
            sequence: facts.sequence,
        };
        Ok((start, readers))
    }
}

/// The end of the stream at one moment: a sequence that is older than the event would have the events behind it taken
/// at the wrong places.
async fn standing_end(config: &NatsConfig, stream: &stream::Stream) -> Result<End, RelayError> {
    for _ in 0..END_TRIES {
        let end = end(config, stream).await?;
        if end.is_of_one_moment() {
            return Ok(end);
        }
    }
    Err(RelayError::Busy {
        stream: config.stream().to_owned(),
    })
}

async fn end(config: &NatsConfig, stream: &stream::Stream) -> Result<End, RelayError> {
    let ours = format!("{}.>", config.subjects());
    let info = stream.get_info().await;
    let info = info.map_err(|error| unusable(config, error))?;
    let last = match stream.get_last_raw_message_by_subject(&ours).await {
        Ok(message) => Some((message.sequence, Published::of(&message.headers))),
        Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => None,
        Err(error) => return Err(unusable(config, error)),
    };
    Ok(End { info, last })
}

/// Positions of another log say nothing about ours: going on after one would leave events out.
async fn check_ours(
    config: &NatsConfig,
    store: &dyn EventStore,
    published: &Published,
) -> Result<(), RelayError> {
    let query = LogQuery {
        after: published.cursor.saturating_sub(1),
        limit: 1,
        ..LogQuery::default()
    };
    let page = store.log(query).await?;
    // The event may have been removed from the log since; then a later one is there.
    let ours = page.events.first().is_some_and(|found| {
        found.cursor > published.cursor || found.event.event_id.as_str() == published.event_id
    });
    if ours {
        return Ok(());
    }
    Err(RelayError::OtherLog {
        stream: config.stream().to_owned(),
        event_id: published.event_id.clone(),
        cursor: published.cursor,
    })
}

struct Facts {
    /// The stream's last sequence; it stays when messages are removed.
    sequence: u64,
    /// The position of the last of our events that is in the stream; 0 if there is none.
    published: u64,
    /// The stream's last sequence when we last kept how far we are, and how far that was.
    saved_sequence: u64,
    saved: u64,
}

impl Facts {
    fn after(&self) -> u64 {
        if self.sequence < self.saved_sequence {
            // It has lost what it had acknowledged: a power cut (NATS syncs its files every two minutes),
            // or an old backup of it. It gets that again.
            return self.published;
        }
        // What is no longer there was removed by a limit or its operator, and stays away.
        self.published.max(self.saved)
    }
}

#[cfg(test)]
mod tests {
    use event_store::{SqliteOptions, SqliteStore};

    use super::*;

    fn at(after: u64, sequence: u64) -> Start {
        Start { after, sequence }
    }

    #[tokio::test]
    async fn a_relay_that_is_further_is_not_set_back_by_another() {
        let dir = tempfile::tempdir().unwrap();
        let options = SqliteOptions::new(dir.path().join("octo.db"), dir.path().join("artifacts"));
        let store = SqliteStore::open(options).await.unwrap();
        let readers = Readers {
            cursor: "cursor".into(),
            sequence: "sequence".into(),
        };
        for (saved, kept) in [(10, 10), (30, 30), (20, 30), (31, 31)] {
            readers.save(&store, at(saved, 100 + saved)).await.unwrap();
            let cursor = store.cursor("cursor").await.unwrap();
            let sequence = store.cursor("sequence").await.unwrap();
            assert_eq!(at(cursor, sequence), at(kept, 100 + kept));
        }
    }

    fn after(sequence: u64, published: u64, saved_sequence: u64, saved: u64) -> u64 {
        Facts {
            sequence,
            published,
            saved_sequence,
            saved,
        }
        .after()
    }

    #[test]
    fn a_new_stream_gets_the_whole_log() {
        assert_eq!(after(0, 0, 0, 0), 0);
    }

    #[test]
    fn what_was_published_after_the_last_save_is_seen_in_the_stream() {
        assert_eq!(after(30, 31, 20, 21), 31);
    }

    #[test]
    fn a_purged_stream_does_not_get_everything_again() {
        assert_eq!(after(20, 0, 20, 21), 21);
        assert_eq!(after(20, 4, 20, 21), 21);
    }

    #[test]
    fn a_stream_that_lost_its_end_gets_it_again() {
        assert_eq!(after(10, 11, 20, 21), 11);
        assert_eq!(after(0, 0, 20, 21), 0);
    }
}
