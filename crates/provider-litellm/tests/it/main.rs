//! The client against a server that can do anything on the wire.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends where it fails"
)]

mod bodies;
mod broken;
mod cancel;
mod costs;
mod mock;
mod names;
mod probes;
mod random;
mod recorded;
mod recorded_streams;
mod refusals;
mod resend;
mod setup;
mod streams;
mod tls;
