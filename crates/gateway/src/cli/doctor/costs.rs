//! What the books say about the costs in them.

use event_store::{CostQuery, CostRow};

use super::{Finding, Level, finding};
use crate::config::Config;
use crate::storage;

const CHECK: &str = "costs";

/// Costs that are not known, and costs that two sources differ on. Nothing without a store to read.
pub(super) async fn findings(config: &Config) -> Vec<Finding> {
    if config.storage.database_url.is_none() && !config.storage.db_path.exists() {
        return Vec::new();
    }
    // What is wrong with the store has a finding of its own.
    let Ok(store) = storage::open_read_only(&config.storage).await else {
        return Vec::new();
    };
    match store.cost_rollup(CostQuery::default()).await {
        Ok(rows) => rows.iter().flat_map(of_calls).collect(),
        Err(error) => vec![finding(
            CHECK,
            Level::Problem,
            error.to_string(),
            "see the store's finding above",
        )],
    }
}

fn of_calls(row: &CostRow) -> Vec<Finding> {
    let mut findings = Vec::new();
    if row.drift_calls > 0 {
        findings.push(finding(
            CHECK,
            Level::Warning,
            format!(
                "{} of {} calls: the proxy's cost and ours differ by more than the threshold",
                row.drift_calls, row.calls
            ),
            "octo costs --task ID --json shows both; correct the price at the proxy, or in config/prices.toml",
        ));
    }
    if row.calls_without_cost > 0 {
        findings.push(finding(
            CHECK,
            Level::Warning,
            format!(
                "{} of {} calls have no known cost",
                row.calls_without_cost, row.calls
            ),
            "add the missing prices to config/prices.toml, then octo costs reprice --dry-run",
        ));
    }
    if findings.is_empty() {
        let message = format!("{} calls, none without a cost or in doubt", row.calls);
        findings.push(finding(CHECK, Level::Ok, message, ""));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubtful_and_missing_costs_are_warnings_with_a_way_out() {
        let of = |drift_calls, calls_without_cost| {
            let row = CostRow {
                calls: 9,
                drift_calls,
                calls_without_cost,
                ..CostRow::default()
            };
            of_calls(&row)
        };
        let found = of(2, 3);
        assert!(
            found
                .iter()
                .all(|each| each.level == Level::Warning && !each.hint.is_empty())
        );
        assert!(found[0].message.starts_with("2 of 9 calls"));
        assert!(found[1].message.starts_with("3 of 9 calls"));
        assert_eq!(of(0, 0)[0].level, Level::Ok);
    }
}
