//! `octo store rebuild`

use clap::Args;
use event_store::Progress;
use serde::Serialize;

use super::Which;
use super::checked::Checked;
use super::error::StoreCommandError;
use super::place::Access;
use super::watch::watch;
use crate::cli::{Exit, output};
use crate::config::Config;

#[derive(Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct RebuildArgs {
    #[command(flatten)]
    which: Which,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

const AFTER_HELP: &str = "\
Tasks, model calls and sums are computed from the events alone; no event is changed, and none is made up. No \
gateway may run meanwhile, on Postgres neither: none could record anything until it is done.

Exit codes: 0 rebuilt and good, 4 rebuilt and something else is wrong, 1 failed, 2 wrong usage or settings.";

#[derive(Serialize)]
struct Done<'a> {
    events_read: u64,
    calls_found: u64,
    check: &'a Checked<'a>,
}

pub(super) async fn run(config: &Config, args: &RebuildArgs) -> Result<Exit, StoreCommandError> {
    let place = args.which.place(config)?;
    let store = place.open(Access::Alone, config).await?;
    let progress = Progress::default();
    let work = async {
        let rebuilt = watch("rebuilding", &progress, store.rebuild()).await?;
        let verified = watch("checking", &progress, store.verify(&progress)).await?;
        Ok::<_, StoreCommandError>((rebuilt, verified))
    };
    let done = work.await;
    store.close().await?;
    let (rebuilt, verified) = done?;
    let checked = Checked::new(&place, &verified);
    if args.json {
        output::json(&Done {
            events_read: rebuilt.events,
            calls_found: rebuilt.calls,
            check: &checked,
        });
    } else {
        output::line(format!(
            "rebuilt {} model calls and their tasks and sums from {} events",
            rebuilt.calls, rebuilt.events
        ));
        checked.print();
    }
    Ok(checked.exit())
}
