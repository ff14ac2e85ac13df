//! How many commits share one transaction, and so one sync of the disk, at each load.
//!
//! The store says so at its finest log level. Those lines cost time, so this is measured apart.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::gateway_load::{LEVELS, Target};
use super::load::float;
use super::report::{CommitLevel, Plan};
use crate::steps;

/// What `octo` has to log for this.
pub(super) const LOG: &str = "warn,event_store=trace";

/// Load on an `octo` that logs its groups to this file.
pub(super) async fn measure(
    target: &mut Target,
    log: &Path,
    plan: &Plan,
) -> Result<Vec<CommitLevel>> {
    let mut levels = Vec::new();
    for connections in LEVELS {
        let name = format!("commits of octo, connections: {connections}");
        let step = steps::Step::begin(&name);
        let level = level(target, log, connections, plan).await;
        step.end(&level);
        levels.push(level?);
    }
    Ok(levels)
}

async fn level(
    target: &mut Target,
    log: &Path,
    connections: usize,
    plan: &Plan,
) -> Result<CommitLevel> {
    target.round(connections, plan.warm_up_s).await?;
    let from = std::fs::metadata(log)?.len();
    let seen = target.round(connections, plan.gateway_round_s).await?;
    let (transactions, commits) = groups(log, from)?;
    let figures = seen.figures();
    Ok(CommitLevel {
        connections,
        transactions,
        commits,
        transactions_per_s: float(transactions) / figures.seconds,
        commits_per_transaction: float(commits) / float(transactions.max(1)),
        figures,
    })
}

/// The groups that were logged behind a place in the file: how many, and the commits in them.
fn groups(log: &Path, from: u64) -> Result<(u64, u64)> {
    let mut file = std::fs::File::open(log)?;
    file.seek(SeekFrom::Start(from))?;
    let mut lines = String::new();
    file.read_to_string(&mut lines)
        .with_context(|| format!("cannot read {}", log.display()))?;
    let sizes = lines.lines().filter_map(group);
    Ok(sizes.fold((0, 0), |(groups, commits), size| {
        (groups + 1, commits + size)
    }))
}

/// The commits of the group that a line tells of.
fn group(line: &str) -> Option<u64> {
    let line: Value = serde_json::from_str(line).ok()?;
    let fields = line.get("fields")?;
    let is_group = fields.get("message")?.as_str()? == "recording a group";
    is_group.then(|| fields.get("commits")?.as_u64()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_counted_from_a_place_on() {
        let line = |commits| {
            let fields = serde_json::json!({"message": "recording a group", "commits": commits});
            serde_json::json!({"level": "TRACE", "fields": fields}).to_string()
        };
        let before = line(100) + "\n";
        let text = format!("{before}{}\nnot a log line\n{}\n", line(3), line(1));
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let from = u64::try_from(before.len()).unwrap();
        assert_eq!(groups(file.path(), from).unwrap(), (2, 4));
    }
}
