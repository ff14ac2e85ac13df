//! `octo store info`

use clap::Args;
use event_payloads::Timestamp;
use event_store::Overview;
use serde::Serialize;

use super::Which;
use super::error::StoreCommandError;
use super::place::Access;
use crate::cli::{Exit, output};
use crate::config::Config;

#[derive(Args)]
pub(super) struct InfoArgs {
    #[command(flatten)]
    which: Which,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Info {
    kind: &'static str,
    store: String,
    layout: i64,
    tasks: u64,
    events: u64,
    open_calls: u64,
    artifacts: u64,
    first_position: Option<u64>,
    last_position: Option<u64>,
    last_event_at: Option<Timestamp>,
    database_bytes: u64,
}

pub(super) async fn run(config: &Config, args: &InfoArgs) -> Result<Exit, StoreCommandError> {
    let place = args.which.place(config)?;
    let store = place.open(Access::Read, config).await?;
    let overview = store.overview().await;
    let kind = store.kind();
    store.close().await?;
    let info = Info::new(kind, place.to_string(), overview?);
    if args.json {
        output::json(&info);
    } else {
        output::line(info.show());
    }
    Ok(Exit::Good)
}

impl Info {
    fn new(kind: &'static str, store: String, overview: Overview) -> Self {
        Self {
            kind,
            store,
            layout: overview.layout,
            tasks: overview.tasks,
            events: overview.events,
            open_calls: overview.open_calls,
            artifacts: overview.artifacts,
            first_position: overview.first_position,
            last_position: overview.last_position,
            last_event_at: overview.last_event_at,
            database_bytes: overview.database_bytes,
        }
    }

    fn show(&self) -> String {
        let log = match (self.first_position, self.last_position) {
            (Some(first), Some(last)) => format!("positions {first} to {last}"),
            _ => "empty".to_owned(),
        };
        let last = self
            .last_event_at
            .map_or_else(|| "none".to_owned(), |at| at.to_string());
        let lines = [
            (
                "store",
                format!("{} ({}, layout {})", self.store, self.kind, self.layout),
            ),
            ("tasks", self.tasks.to_string()),
            ("events", format!("{}, {log}", self.events)),
            ("last event", last),
            ("open calls", self.open_calls.to_string()),
            ("artifacts", self.artifacts.to_string()),
            ("database", size(self.database_bytes)),
        ];
        let lines = lines.map(|(name, value)| format!("{name:<10}  {value}"));
        lines.join("\n")
    }
}

/// `1.2 MB (1234567 bytes)`
fn size(bytes: u64) -> String {
    let tenths = bytes / 100_000;
    format!("{}.{} MB ({bytes} bytes)", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn a_size_is_shown_in_megabytes_and_exactly() {
        assert_eq!(size(1_234_567), "1.2 MB (1234567 bytes)");
        assert_eq!(size(4_096), "0.0 MB (4096 bytes)");
    }
}
