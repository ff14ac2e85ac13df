//! Calls over a store that fails, is away, or is written to by other gateways.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops where something is missing"
)]

mod elsewhere;
#[path = "../shared/gate.rs"]
mod gate;
mod house;
mod left_over;
mod settle;
mod starts;
mod store;
