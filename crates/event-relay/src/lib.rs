//! Copies the log of events into a NATS JetStream stream, for workers on other machines: every event at
//! least once, each event id once, in the order of the log.
//!
//! The log itself is the outbox. [`NatsRelay::run`] follows it, so an event waits in the store until the
//! server has acknowledged it, however long NATS is down; nothing that a call does waits for NATS.
//!
//! ```no_run
//! use std::sync::Arc;
//! use event_relay::{NatsConfig, NatsRelay};
//! use event_store::EventStore;
//! use tokio_util::sync::CancellationToken;
//!
//! async fn relay(store: Arc<dyn EventStore>, closing: CancellationToken) -> Result<(), event_relay::InvalidNats> {
//!     let config = NatsConfig::new("nats://localhost:4222")?;
//!     NatsRelay::new(config, store).run(closing).await;
//!     Ok(())
//! }
//! ```
//!
//! # Messages
//!
//! - subject: `octo.events.<type>.<task>`, so that a reader can ask for one type
//!   (`octo.events.MODEL_CALL_COMPLETED.*`) or one task (`octo.events.*.<task>`); what a token of a subject
//!   can not hold is percent-encoded (`.` in a task's name is `%2E`)
//! - payload: [`LoggedEvent`](event_payloads::LoggedEvent) as JSON
//! - `Nats-Msg-Id`: the event id, by which the server drops what comes twice. It is left out where the server
//!   takes an event for a duplicate that it does not have
//! - `Octo-Event-Id`: the event id, always
//! - `Octo-Cursor`: the event's position in the log
//!
//! # Order
//!
//! Events are published without waiting for each acknowledgement. If the server lost one and took those
//! behind it, publishing that one again would put it behind them. So each message says at which sequence
//! the stream has to end for it to be taken (`Nats-Expected-Last-Sequence`), and behind which event
//! (`Nats-Expected-Last-Msg-Id`): after one that did not arrive none is taken, and of several relays on one
//! store only one can be right. Whoever is refused asks the stream for its last message and goes on after
//! that one's cursor. Neither is enough alone: messages of others can fill the sequence of an event that was
//! refused, and a restarted server forgets the last id once the duplicate window is over, so the first
//! message after each question asks for the sequence only.
//!
//! A stream that others write to as well is in order too, but each of their messages makes the relay ask
//! anew: give it a stream of its own.
//!
//! # Which part of the log a stream gets
//!
//! All of it. A stream that is new, or was deleted and made again, gets the log from its first event; one
//! that lost its end (a power cut at the server, an old backup) gets that again; one that its limits or its
//! operator emptied does not get the same events again. A stream that ends with an event of another log is
//! left alone: each installation needs its own.

mod config;
mod connection;
mod error;
mod message;
mod progress;
mod relay;
mod session;
mod start;
mod status;

pub use config::{InvalidNats, NatsConfig};
pub use error::RelayError;
pub use relay::NatsRelay;
pub use status::{NatsStatus, published};
