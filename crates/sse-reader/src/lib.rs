//! Reading Server-Sent Events from an HTTP body, within limits.
//!
//! [`SseReader`] takes the body of an answer and hands out its events as they come, each as soon as the
//! blank line behind it is there. How the bytes were cut into pieces on their way makes no difference,
//! not even inside a character. The parsing is [`sse_stream`]'s; this crate adds what a client needs
//! that does not trust the other side:
//!
//! - no event is larger than the limit that the caller sets, so that an endless line can not fill memory;
//! - every byte that comes is counted, also those of comments: a stream that sends nothing but
//!   keep-alives is alive;
//! - an answer that ends in the middle of an event can be told from one that ends behind one.
//!
//! [`SseEvent::to_frame`] and [`data_frame`] go the other way.
//!
//! ```
//! use http_body_util::Full;
//! use sse_reader::{SseReader, data_frame};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), sse_reader::SseError> {
//! let body = Full::from(": hello\n\nevent: delta\ndata: {\"n\":1}\r\n\r\ndata: [DONE]\n\n");
//! let mut events = SseReader::new(body, 64 * 1024);
//! let first = events.next().await.transpose()?.unwrap();
//! assert_eq!((first.name.as_deref(), first.data.as_str()), (Some("delta"), "{\"n\":1}"));
//! let last = events.next().await.transpose()?.unwrap();
//! assert_eq!(last.to_frame(), data_frame("[DONE]"));
//! assert!(events.next().await.is_none());
//! # Ok(())
//! # }
//! ```

mod error;
mod event;
mod meter;
mod metered;
mod reader;

pub use error::{BoxError, SseError};
pub use event::{SseEvent, data_frame};
pub use reader::SseReader;
