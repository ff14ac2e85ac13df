//! `octo store copy`

use clap::Args;
use event_store::{Copied, EventStore, Progress, copy};
use serde::Serialize;

use super::checked::Checked;
use super::error::StoreCommandError;
use super::place::{Access, Place};
use super::watch::watch;
use crate::cli::{Exit, output};
use crate::config::Config;

#[derive(Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct CopyArgs {
    /// A database file, a data folder or a postgres:// URL [default: the store of the settings].
    #[arg(long, value_name = "PLACE")]
    from: Option<String>,
    /// Where to; made if there is nothing yet.
    #[arg(long, value_name = "PLACE")]
    to: String,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

const AFTER_HELP: &str = "\
Copies events with their positions and hashes, tasks, artifacts, and how far readers of the log have come, then \
computes the projections at the copy and checks all of it. Nothing is written to the source. A copy that was broken \
off goes on where it was when the same command is given again, if the source was not pruned since. A target that \
holds another log is refused. No gateway may run on either of the two: what it records would be missing.

Examples:
  octo store copy --from data --to postgres://octo@db/octo
  octo store copy --from postgres://octo@db/octo --to data-back

Exit codes: 0 copied and good, 4 copied and something is wrong, so that no gateway opens the copy, 1 failed, 2 wrong usage or settings.";

#[derive(Serialize)]
struct Done<'a> {
    from: String,
    events_copied: u64,
    artifacts_copied: u64,
    check: &'a Checked<'a>,
}

pub(super) async fn run(config: &Config, args: &CopyArgs) -> Result<Exit, StoreCommandError> {
    let from = match &args.from {
        Some(name) => Place::named(name)?,
        None => Place::configured(&config.storage),
    };
    let to = Place::named(&args.to)?;
    if from.is(&to) {
        return Err(StoreCommandError::Usage(format!(
            "{from} is the source and the target; name another with --to"
        )));
    }
    let source = from.open(Access::AtRest, config).await?;
    let target = match to.open(Access::Make, config).await {
        Ok(target) => target,
        Err(error) => {
            source.close().await?;
            return Err(error);
        }
    };
    let copied = between(source.as_ref(), target.as_ref()).await;
    source.close().await?;
    target.close().await?;
    let copied = copied?;
    let checked = Checked::new(&to, &copied.verified);
    if args.json {
        output::json(&Done {
            from: from.to_string(),
            events_copied: copied.events,
            artifacts_copied: copied.artifacts,
            check: &checked,
        });
    } else {
        output::line(format!(
            "copied {} events and {} artifacts from {from}",
            copied.events, copied.artifacts
        ));
        checked.print();
    }
    Ok(checked.exit())
}

async fn between(
    source: &dyn EventStore,
    target: &dyn EventStore,
) -> Result<Copied, StoreCommandError> {
    let progress = Progress::default();
    Ok(watch("copying", &progress, copy(source, target, &progress)).await?)
}
