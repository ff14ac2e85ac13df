//! Why publishing does not go on.

use event_payloads::EventId;
use event_store::StoreError;

/// What an `async-nats` call failed with.
type Source = Box<dyn std::error::Error + Send + Sync>;

/// Publishing has stopped. The relay tries again from where the stream ends; no event is lost by it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RelayError {
    /// No connection.
    #[error("cannot connect to NATS at {servers}: {source}; see that it runs, and OCTO_NATS_URL")]
    Connect {
        /// The servers, without credentials.
        servers: String,
        /// The cause.
        #[source]
        source: Source,
    },
    /// The connection ended, or the server does not answer on it.
    #[error("the connection to NATS was lost")]
    Lost,
    /// The server does not give us the stream.
    #[error(
        "cannot use the NATS stream {stream}: {source}; see that JetStream is on (nats-server -js) and that this user may make and read streams"
    )]
    Stream {
        /// Its name.
        stream: String,
        /// The cause.
        #[source]
        source: Source,
    },
    /// There is a stream of that name, and it is for something else.
    #[error(
        "the NATS stream {stream} takes {found}, not {wanted}; name another stream, or add these subjects to it"
    )]
    Subjects {
        /// Its name.
        stream: String,
        /// Its subjects.
        found: String,
        /// What it would have to take.
        wanted: String,
    },
    /// A stream that acknowledges nothing.
    #[error(
        "the NATS stream {stream} does not acknowledge what it takes (no_ack), so nobody would know what is lost; switch that off"
    )]
    NoAcks {
        /// Its name.
        stream: String,
    },
    /// The stream ends with an event that this log has not.
    #[error(
        "the NATS stream {stream} ends with event {event_id} at {cursor}, which is not in this log: it is the copy of another installation's log, or the store was restored from a backup; name a stream of our own, or delete this one to have the log published anew"
    )]
    OtherLog {
        /// Its name.
        stream: String,
        /// The event at its end.
        event_id: String,
        /// The position that it has in the other log.
        cursor: u64,
    },
    /// Others write to the stream all the time.
    #[error(
        "the end of the NATS stream {stream} moves faster than it can be asked for; another relay publishes the same log"
    )]
    Busy {
        /// Its name.
        stream: String,
    },
    /// The stream does not take an event.
    #[error("the NATS stream {stream} does not take event {event_id}: {source}")]
    Refused {
        /// Its name.
        stream: String,
        /// The event.
        event_id: EventId,
        /// The cause.
        #[source]
        source: Source,
    },
    /// The event can not be written as JSON.
    #[error("cannot write an event as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The log can not be read, or how far we are can not be kept.
    #[error(transparent)]
    Store(#[from] StoreError),
}
