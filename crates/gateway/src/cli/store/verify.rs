//! `octo store verify`

use clap::Args;
use event_store::Progress;

use super::Which;
use super::checked::Checked;
use super::error::StoreCommandError;
use super::place::Access;
use super::watch::watch;
use crate::cli::{Exit, output};
use crate::config::Config;

#[derive(Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct VerifyArgs {
    #[command(flatten)]
    which: Which,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

const AFTER_HELP: &str = "\
Reads the whole store as it is at one moment: that each task's events stand one after the other and carry the hash \
of those before them, that tasks, model calls and every sum are what the events add up to, and that each artifact \
has the size and the hash that were recorded. Changes nothing.

Examples:
  octo store verify                              the gateway's own store, which may be running
  octo store verify --store backups/monday       a backup
  octo store verify --json | jq .problems

Exit codes: 0 good, 4 something is wrong, 1 it could not be checked, 2 wrong usage or settings.";

pub(super) async fn run(config: &Config, args: &VerifyArgs) -> Result<Exit, StoreCommandError> {
    let place = args.which.place(config)?;
    let store = place.open(Access::Read, config).await?;
    let progress = Progress::default();
    let verified = watch("checking", &progress, store.verify(&progress)).await;
    store.close().await?;
    let verified = verified?;
    let checked = Checked::new(&place, &verified);
    if args.json {
        output::json(&checked);
    } else {
        checked.print();
    }
    Ok(checked.exit())
}
