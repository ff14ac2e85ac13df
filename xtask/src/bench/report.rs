//! The figures. Every field says its unit; the JSON form is this, serialised.

use serde::Serialize;

use super::store::{Appends, Growth};
use super::streams::Streams;

/// A whole run.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// False if any call failed or a count does not add up: see the errors and the notes.
    pub(super) clean: bool,
    pub(super) quick: bool,
    pub(super) machine: Machine,
    pub(super) versions: Versions,
    pub(super) plan: Plan,
    pub(super) disk: Disk,
    /// Absent if this part was left out.
    pub(super) prices: Option<Prices>,
    pub(super) client: Vec<ClientLevel>,
    pub(super) gateway: Vec<GatewayLevel>,
    pub(super) commits: Vec<CommitLevel>,
    /// Absent if this part was left out, as the lists are empty then.
    pub(super) streams: Option<Streams>,
    /// Empty if this part was left out.
    pub(super) appends: Vec<Appends>,
    /// Likewise.
    pub(super) growth: Vec<Growth>,
    pub(super) memory: Vec<Memory>,
    pub(super) recorded: Vec<Recorded>,
    pub(super) notes: Vec<String>,
    pub(super) duration_s: f64,
}

impl Report {
    /// Whether calls that are not streamed were measured.
    pub(super) fn has_calls(&self) -> bool {
        !self.gateway.is_empty()
    }
}

#[derive(Debug, Serialize)]
pub(super) struct Machine {
    pub(super) cpu: String,
    pub(super) cores: usize,
    pub(super) kernel: String,
    pub(super) memory_kib: Option<u64>,
    /// Load average over a minute, before we added ours.
    pub(super) load_before: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Versions {
    pub(super) octo: String,
    pub(super) rustc: String,
    pub(super) profile: &'static str,
    /// Absent if the run was without it.
    pub(super) litellm: Option<String>,
}

/// How long and how often each thing is measured.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Plan {
    pub(super) client_rounds: u32,
    pub(super) client_round_s: f64,
    pub(super) gateway_rounds: u32,
    pub(super) gateway_round_s: f64,
    pub(super) warm_up_s: f64,
    pub(super) disk_syncs: u32,
    pub(super) price_rounds: u32,
    pub(super) request_bytes: usize,
    pub(super) answer_bytes: usize,
}

/// The price book, in this process; medians of the rounds.
#[derive(Debug, Serialize)]
pub(super) struct Prices {
    pub(super) entries: usize,
    pub(super) load_ms: f64,
    /// What a loaded book adds to the process.
    pub(super) memory_kib: u64,
    /// How many models were priced, one usage each.
    pub(super) models: usize,
    /// One usage: look-up, rules, exact sum and breakdown.
    pub(super) price_ns: f64,
    /// LiteLLM's `completion_cost` over the same; absent if the run was without it.
    pub(super) litellm_completion_cost_us: Option<f64>,
}

/// Blocks, each followed by `fdatasync` as SQLite does it, where the data is.
#[derive(Debug, Serialize)]
pub(super) struct Disk {
    pub(super) file_system: String,
    pub(super) block_bytes: usize,
    pub(super) appends: Syncs,
    pub(super) overwrites: Syncs,
}

/// How long a block and its sync took.
#[derive(Debug, Serialize)]
pub(super) struct Syncs {
    pub(super) syncs: u64,
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
}

/// What was seen of one thing under one load, all rounds together.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Figures {
    pub(super) calls: u64,
    pub(super) errors: u64,
    pub(super) first_error: Option<String>,
    pub(super) seconds: f64,
    pub(super) requests_per_s: f64,
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
    pub(super) max_us: f64,
    /// Slowest and fastest round: how far to trust the rest.
    pub(super) round_requests_per_s: [f64; 2],
}

/// `provider-litellm` beside a bare hyper client.
#[derive(Debug, Serialize)]
pub(super) struct ClientLevel {
    pub(super) in_flight: usize,
    pub(super) bare: Figures,
    pub(super) provider_litellm: Figures,
    pub(super) added_p50_us: f64,
    pub(super) added_p99_us: f64,
    /// Least and most of the rounds, each with its neighbour.
    pub(super) added_p50_us_of_rounds: [f64; 2],
    /// Processor time of the calling process.
    pub(super) bare_cpu_us_per_call: f64,
    pub(super) provider_litellm_cpu_us_per_call: f64,
}

#[derive(Debug, Serialize)]
pub(super) struct GatewayLevel {
    pub(super) connections: usize,
    pub(super) targets: Vec<TargetFigures>,
}

#[derive(Debug, Serialize)]
pub(super) struct TargetFigures {
    pub(super) target: String,
    pub(super) figures: Figures,
    /// Processor time of the process that is called (without what it calls in turn).
    pub(super) server_cpu_us_per_call: Option<f64>,
    /// Commits on disk; absent for what keeps no books.
    pub(super) durable_commits_per_s: Option<f64>,
}

/// How `octo` groups its commits: measured apart, with a log line a group.
#[derive(Debug, Serialize)]
pub(super) struct CommitLevel {
    pub(super) connections: usize,
    pub(super) figures: Figures,
    /// Transactions, each with one sync of the disk.
    pub(super) transactions: u64,
    pub(super) commits: u64,
    pub(super) transactions_per_s: f64,
    pub(super) commits_per_transaction: f64,
}

/// A process and its children, after its load.
#[derive(Debug, Serialize)]
pub(super) struct Memory {
    pub(super) process: String,
    pub(super) processes: usize,
    pub(super) rss_kib: u64,
    /// The sum of each process's own peak.
    pub(super) peak_kib: u64,
}

/// Whether the books hold what was answered.
#[derive(Debug, Serialize)]
pub(super) struct Recorded {
    pub(super) process: String,
    pub(super) answered: u64,
    /// Calls that were under way when their callers went.
    pub(super) hung_up: u64,
    pub(super) failed: u64,
    pub(super) calls_in_the_books: u64,
    /// Started and not ended.
    pub(super) open_calls: u64,
}
