//! Why a stream of events can not be read on.

use std::str::Utf8Error;

/// The source of an error.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a stream of events can not be read on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SseError {
    /// The body broke: the connection closed before its end, for example.
    #[error("the event stream broke")]
    Broken {
        /// What the body said.
        #[source]
        source: BoxError,
    },

    /// An event is larger than the reader was told to take.
    #[error("an event of the stream is larger than the limit of {limit} bytes")]
    EventTooLarge {
        /// The limit.
        limit: usize,
    },

    /// The body is larger than the reader was told to take.
    #[error("the event stream is larger than the limit of {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: u64,
    },

    /// A name, an id or data is not text.
    #[error("an event of the stream is not valid UTF-8")]
    NotUtf8 {
        /// Where.
        #[source]
        source: Utf8Error,
    },
}
