//! `octo store`: check, mend, thin out, save and move the books.

mod backup;
mod checked;
mod copy;
mod error;
mod info;
mod place;
mod prune;
mod rebuild;
mod verify;
mod watch;

use clap::{Args, Subcommand};

use self::error::StoreCommandError;
use self::place::Place;
pub(super) use self::place::without_secrets;
use super::{Exit, output};
use crate::config::Config;

#[derive(Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct StoreArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// What the store holds, at a glance. Works beside a running gateway.
    Info(info::InfoArgs),
    /// Check every event, chain, sum and artifact. Works beside a running gateway.
    Verify(verify::VerifyArgs),
    /// Compute tasks, model calls and sums anew from the events, then check everything.
    Rebuild(rebuild::RebuildArgs),
    /// Remove the events of tasks that ended long ago; what they cost stays.
    Prune(prune::PruneArgs),
    /// Write a checked copy into a data folder of its own. Works beside a running gateway.
    Backup(backup::BackupArgs),
    /// Move the books into another store: from SQLite to Postgres, or back.
    Copy(copy::CopyArgs),
}

const AFTER_HELP: &str = "\
Examples:
  octo store info
  octo store verify && octo store backup --to backups/monday
  octo store verify --store backups/monday
  octo store prune --before 90d --dry-run
  octo store copy --from data --to postgres://octo@db/octo

A store is named by its database file, by its data folder (which holds sqlite/octoagent.db and artifacts/), \
or by a postgres:// URL. Without a name it is the one of the settings.

Exit codes: 0 good, 1 failed, 2 wrong usage or settings, 4 the books are not as they should be.";

/// Which store a command is about.
#[derive(Args)]
struct Which {
    /// A database file, a data folder or a postgres:// URL [default: the store of the settings].
    #[arg(long, value_name = "PLACE")]
    store: Option<String>,
}

impl Which {
    fn place(&self, config: &Config) -> Result<Place, StoreCommandError> {
        match &self.store {
            Some(name) => Place::named(name),
            None => Ok(Place::configured(&config.storage)),
        }
    }
}

/// Runs the command.
pub(super) async fn store(config: Config, args: StoreArgs) -> Exit {
    let done = match args.action {
        Action::Info(args) => info::run(&config, &args).await,
        Action::Verify(args) => verify::run(&config, &args).await,
        Action::Rebuild(args) => rebuild::run(&config, &args).await,
        Action::Prune(args) => prune::run(&config, &args).await,
        Action::Backup(args) => backup::run(&config, &args).await,
        Action::Copy(args) => copy::run(&config, &args).await,
    };
    match done {
        Ok(exit) => exit,
        Err(error) => {
            output::error(&error);
            error.exit()
        }
    }
}
