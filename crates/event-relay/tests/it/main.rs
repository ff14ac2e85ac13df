//! On the real server: `cargo xtask test` says where its program is.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops where something is missing"
)]

mod answers;
mod books;
mod faults;
mod order;
mod reader;
mod running;
mod server;
mod stalls;
mod streams;
mod told;

use std::time::Duration;

/// No test waits longer for anything.
const LIMIT: Duration = Duration::from_secs(60);
