//! `octo costs`: what was spent, read beside a running gateway.

mod reprice;

use clap::{Args, Subcommand};
use event_payloads::TaskId;
use event_store::{CostQuery, EventStore, StoreError, must_be_whole};
use provider_service::{CostGroup, CostReport, CostSum, TaskCost, report, task_cost};

use super::table::table;
use super::{Exit, output};
use crate::config::Config;
use crate::http::parse_cost_query;
use crate::storage;

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct CostsArgs {
    #[command(subcommand)]
    action: Option<Action>,
    /// One task: by alias, category, model, provider, and every call.
    #[arg(long, value_name = "ID", conflicts_with_all = ["from", "to", "group_by"])]
    task: Option<TaskId>,
    /// From this day or moment (UTC), inclusive.
    #[arg(long, value_name = "DAY")]
    from: Option<String>,
    /// Until this day or moment (UTC), exclusive.
    #[arg(long, value_name = "DAY")]
    to: Option<String>,
    /// One or more of day, alias, category, model, provider, with commas between.
    #[arg(long, value_name = "LIST")]
    group_by: Option<String>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Subcommand)]
enum Action {
    /// Compute past costs anew by the prices of today, and append corrections.
    Reprice(reprice::RepriceArgs),
}

pub(super) async fn costs(config: Config, args: CostsArgs) -> Exit {
    if let Some(Action::Reprice(args)) = &args.action {
        return reprice::run(&config, args).await;
    }
    let query = parse_cost_query(
        args.from.as_deref(),
        args.to.as_deref(),
        args.group_by.as_deref(),
    );
    let query = match query {
        Ok(query) => query,
        Err(message) => {
            output::note(format!("error: {message}"));
            return Exit::Usage;
        }
    };
    let store = match storage::open_read_only(&config.storage).await {
        Ok(store) => store,
        Err(error) => {
            output::error(&error);
            return Exit::Failed;
        }
    };
    if let Err(error) = must_be_whole(store.as_ref()).await {
        return refused(&error);
    }
    match &args.task {
        Some(task_id) => of_task(store.as_ref(), task_id, args.json).await,
        None => of_all(store.as_ref(), query, args.json).await,
    }
}

async fn of_all(store: &dyn EventStore, query: CostQuery, json: bool) -> Exit {
    match report(store, query).await {
        Ok(report) if json => output::json(&report),
        Ok(report) => output::line(show_report(&report)),
        Err(error) => return refused(&error),
    }
    Exit::Good
}

async fn of_task(store: &dyn EventStore, task_id: &TaskId, json: bool) -> Exit {
    match task_cost(store, task_id).await {
        Ok(Some(cost)) if json => output::json(&cost),
        Ok(Some(cost)) => output::line(show_task(&cost)),
        Ok(None) => {
            output::note(format!("error: there is no task {task_id}"));
            return Exit::Failed;
        }
        Err(error) => return refused(&error),
    }
    Exit::Good
}

/// A question that only calls which were pruned could answer is for the asker to change.
fn refused(error: &StoreError) -> Exit {
    output::error(error);
    match error {
        StoreError::Pruned { .. } => Exit::Usage,
        _ => Exit::Failed,
    }
}

const SUM_HEADER: [&str; 5] = ["calls", "no cost", "tokens in", "tokens out", "USD"];

fn sum_cells(sum: &CostSum) -> Vec<String> {
    vec![
        sum.calls.to_string(),
        (sum.calls_without_cost + sum.open_calls).to_string(),
        sum.prompt_tokens.to_string(),
        sum.completion_tokens.to_string(),
        sum.cost_usd.to_string(),
    ]
}

fn group_cells(group: &CostGroup) -> Vec<String> {
    let named = |value: &str| {
        if value.is_empty() {
            "(unknown)".to_owned()
        } else {
            value.to_owned()
        }
    };
    group
        .key
        .iter()
        .map(|(_, value)| named(value))
        .chain(sum_cells(&group.sum))
        .collect()
}

fn show_report(report: &CostReport) -> String {
    let mut header: Vec<&str> = report
        .group_by
        .iter()
        .map(|dimension| dimension.as_str())
        .collect();
    let mut rows: Vec<Vec<String>> = report.rows.iter().map(group_cells).collect();
    if header.is_empty() {
        rows.push(sum_cells(&report.total));
    } else {
        let label = std::iter::once("total".to_owned())
            .chain(std::iter::repeat_n(String::new(), header.len() - 1));
        rows.push(label.chain(sum_cells(&report.total)).collect());
    }
    header.extend(SUM_HEADER);
    format!(
        "{}{}",
        table(&header, &rows, SUM_HEADER.len()),
        caveats(&report.total)
    )
}

fn show_task(cost: &TaskCost) -> String {
    let groups = [
        ("alias", &cost.by_alias),
        ("category", &cost.by_category),
        ("model", &cost.by_model),
        ("provider", &cost.by_provider),
    ];
    let sections = groups.map(|(name, groups)| {
        let header: Vec<&str> = std::iter::once(name).chain(SUM_HEADER).collect();
        let rows: Vec<Vec<String>> = groups.iter().map(group_cells).collect();
        table(&header, &rows, SUM_HEADER.len())
    });
    let total = &cost.total;
    format!(
        "task {}: {} USD in {} calls{}\n\n{}",
        cost.task_id,
        total.cost_usd,
        total.calls,
        caveats(total),
        sections.join("\n\n"),
    )
}

/// A sum that leaves calls out, or is another than was recorded, says so.
fn caveats(sum: &CostSum) -> String {
    let missing = sum.calls_without_cost + sum.open_calls;
    let mut text = String::new();
    if missing > 0 {
        text = format!(
            "\n{missing} of {} calls have no known cost: the sum is a lower bound",
            sum.calls
        );
    }
    if let Some(recorded) = sum.recorded_cost_usd {
        text.push_str(&format!(
            "\n{} calls were corrected since: {recorded} USD as recorded first",
            sum.corrected_calls
        ));
    }
    text
}
