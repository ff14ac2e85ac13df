//! `octo costs reprice`: past costs by the prices of today.

use clap::Args;
use cost_tracker::CostTracker;
use event_store::StoreError;
use provider_service::{RepriceQuery, Repriced, reprice};

use super::super::table::table;
use super::super::{Exit, output};
use crate::app::price_book;
use crate::config::Config;
use crate::http::parse_cost_query;
use crate::storage;

#[derive(Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct RepriceArgs {
    /// Calls from this day or moment (UTC), inclusive.
    #[arg(long, value_name = "DAY")]
    from: Option<String>,
    /// Calls until this day or moment (UTC), exclusive.
    #[arg(long, value_name = "DAY")]
    to: Option<String>,
    /// Calls that this model answered, by its name in `octo costs --group-by model`.
    #[arg(long)]
    model: Option<String>,
    /// Show what would change, and record nothing. Works beside a running gateway on SQLite too.
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

const AFTER_HELP: &str = "\
Looks at calls that our price book priced or that have no cost; what the proxy stated stays. Nothing is \
rewritten: a correction is an event of its own, sums follow it, and what was recorded first stays visible.
A gateway on SQLite has to be stopped, but for --dry-run: one process writes to a file.";

pub(super) async fn run(config: &Config, args: &RepriceArgs) -> Exit {
    let range = match parse_cost_query(args.from.as_deref(), args.to.as_deref(), None) {
        Ok(range) => range,
        Err(message) => {
            output::note(format!("error: {message}"));
            return Exit::Usage;
        }
    };
    let tracker = match price_book(&config.cost) {
        Ok(book) => CostTracker::new(book),
        Err(error) => {
            output::error(&error);
            return Exit::Usage;
        }
    };
    let query = RepriceQuery {
        from: range.from,
        to: range.to,
        model: args.model.clone(),
        dry_run: args.dry_run,
    };
    match in_store(config, &tracker, &query).await {
        Ok(repriced) if args.json => output::json(&repriced),
        Ok(repriced) => output::line(show(&repriced)),
        Err(error) => {
            output::error(&error);
            return Exit::Failed;
        }
    }
    Exit::Good
}

async fn in_store(
    config: &Config,
    tracker: &CostTracker,
    query: &RepriceQuery,
) -> Result<Repriced, StoreError> {
    let store = if query.dry_run {
        storage::open_read_only(&config.storage).await?
    } else {
        storage::open(&config.storage).await?
    };
    let repriced = reprice(store.as_ref(), tracker, query).await;
    store.close().await?;
    repriced
}

fn show(repriced: &Repriced) -> String {
    let verb = if repriced.dry_run {
        "would be corrected"
    } else {
        "corrected"
    };
    let mut text = format!(
        "{} calls {verb}, from {} to {} USD; {} unchanged, {} without a price, {} left alone",
        repriced.corrections.len(),
        repriced.before_usd,
        repriced.after_usd,
        repriced.unchanged,
        repriced.not_priced,
        repriced.left_alone,
    );
    if repriced.corrections.is_empty() {
        return text;
    }
    let rows: Vec<Vec<String>> = repriced
        .corrections
        .iter()
        .map(|correction| {
            vec![
                correction.task_id.to_string(),
                correction.model_name.clone(),
                if correction.before_unavailable {
                    "not known".to_owned()
                } else {
                    correction.before_usd.to_string()
                },
                correction.after_usd.to_string(),
            ]
        })
        .collect();
    text.push_str("\n\n");
    text.push_str(&table(&["task", "model", "before", "now"], &rows, 2));
    text
}
