//! `octo store prune`

use clap::Args;
use event_payloads::Timestamp;
use event_store::{Clock, EventStore, Progress, PruneQuery, Pruned, SystemClock};
use serde::Serialize;

use super::Which;
use super::error::StoreCommandError;
use super::place::Access;
use super::watch::watch;
use crate::cli::{Exit, output};
use crate::config::{Config, DAY};
use crate::http::parse_cost_query;
use crate::retention::waiting;

#[derive(Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct PruneArgs {
    #[command(flatten)]
    which: Which,
    /// Tasks that ended before this day or moment (UTC), or longer ago than so many days (`90d`).
    #[arg(long, value_name = "WHEN")]
    before: String,
    /// Count what would go, and remove nothing. Works beside a running gateway on SQLite too.
    #[arg(long)]
    dry_run: bool,
    /// Remove also what NATS has not got (OCTO_NATS_URL).
    #[arg(long)]
    without_nats: bool,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

const AFTER_HELP: &str = "\
Of a task that ended before that moment the events, model calls and artifacts are removed. What stays: the task, its \
first events up to the last with an idempotency key, so that the same request still finds the same task; every sum \
of octo costs; and a TASK_PRUNED event that says what was there and ties the hash chain together. Tasks that have \
not ended, or that have an open call, are left alone; with OCTO_NATS_URL also those with events that NATS has not got, whichever store is named.

There is no way back: octo store backup first. A gateway on SQLite has to be stopped, but for --dry-run: one process \
writes to a file. In Postgres it works beside running gateways, some tasks at a time. With storage.retention_days in \
config/octo.toml a gateway does it by itself, every day, without being stopped.

Examples:
  octo store prune --before 90d --dry-run
  octo store prune --before 2026-01-01 --yes
  octo store prune --before 2026-01-01T12:00:00+01:00";

#[derive(Serialize)]
struct Done {
    before: Timestamp,
    dry_run: bool,
    tasks: u64,
    events: u64,
    calls: u64,
    artifacts: u64,
    /// Tasks that stay because NATS has not got all their events; null if it was not asked, or they could not be counted.
    waiting: Option<u64>,
}

pub(super) async fn run(config: &Config, args: &PruneArgs) -> Result<Exit, StoreCommandError> {
    let before = moment(&args.before, SystemClock.now())?;
    let place = args.which.place(config)?;
    let access = if args.dry_run {
        Access::Read
    } else {
        Access::Write
    };
    let store = place.open(access, config).await?;
    let nats = config.nats.as_ref().filter(|_| !args.without_nats);
    let done = async {
        let mut query = PruneQuery::before(before);
        if let Some(nats) = nats {
            let published = event_relay::published(nats, store.as_ref()).await;
            query = query.up_to(published.map_err(StoreCommandError::Nats)?);
        }
        let pruned = prune(store.as_ref(), query, args).await?;
        // What was removed is told, whatever becomes of this.
        let waiting = match nats {
            Some(_) => match waiting(store.as_ref(), query).await {
                Ok(waiting) => Some(waiting),
                Err(error) => {
                    output::note(format!("what waits for NATS could not be counted: {error}"));
                    None
                }
            },
            None => None,
        };
        Ok::<_, StoreCommandError>((pruned, waiting))
    };
    let done = done.await;
    let closed = store.close().await;
    let (Some(pruned), waiting) = done? else {
        output::note("nothing was removed");
        return Ok(Exit::Failed);
    };
    let done = Done {
        before,
        dry_run: args.dry_run,
        tasks: pruned.tasks,
        events: pruned.events,
        calls: pruned.calls,
        artifacts: pruned.artifacts,
        waiting,
    };
    if args.json {
        output::json(&done);
    } else {
        tell(&done, &pruned, store.kind());
    }
    closed?;
    Ok(Exit::Good)
}

/// The same for people.
fn tell(done: &Done, pruned: &Pruned, kind: &str) {
    let verb = if done.dry_run {
        "would remove"
    } else {
        "removed"
    };
    output::line(format!("{verb} {}", shown(pruned, done.before)));
    if let Some(waiting) = done.waiting.filter(|waiting| *waiting > 0) {
        output::line(format!(
            "{waiting} tasks that ended before it too stay: a running octo has to publish their events to NATS first"
        ));
    }
    if !done.dry_run && pruned.events > 0 && kind == "sqlite" {
        output::line(
            "the file keeps its size and uses the space again; octo store backup writes a smaller one",
        );
    }
}

/// `None` if the answer was no.
async fn prune(
    store: &dyn EventStore,
    query: PruneQuery,
    args: &PruneArgs,
) -> Result<Option<Pruned>, StoreCommandError> {
    if args.dry_run {
        return Ok(Some(store.prunable(query).await?));
    }
    if !args.yes {
        let prunable = store.prunable(query).await?;
        if prunable.tasks == 0 {
            return Ok(Some(prunable));
        }
        let question = format!(
            "remove {}? There is no way back",
            shown(&prunable, query.before)
        );
        match output::confirm(&question) {
            Some(true) => {}
            Some(false) => return Ok(None),
            None => {
                return Err(StoreCommandError::Usage(
                    "nobody can be asked here; look with --dry-run, then add --yes".to_owned(),
                ));
            }
        }
    }
    let progress = Progress::default();
    let pruned = watch("pruning", &progress, store.prune(query, &progress)).await?;
    Ok(Some(pruned))
}

fn shown(pruned: &Pruned, before: Timestamp) -> String {
    format!(
        "{} events of {} tasks that ended before {before}, with {} model calls and {} artifacts",
        pruned.events, pruned.tasks, pruned.calls, pruned.artifacts
    )
}

/// A day, a moment, or so many days ago; not one that is still to come.
fn moment(text: &str, now: Timestamp) -> Result<Timestamp, StoreCommandError> {
    let before = match text.strip_suffix('d').map(str::parse::<u32>) {
        Some(Ok(days)) => now - DAY.saturating_mul(days),
        _ => parse_cost_query(Some(text), None, None)
            .ok()
            .and_then(|query| query.from)
            .ok_or_else(|| {
                StoreCommandError::Usage(format!(
                    "--before is `{}`, allowed is a day (2026-01-01), a moment (2026-01-01T12:00:00Z) or a number \
                     of days (90d)",
                    event_payloads::first_chars(text, 40).escape_debug()
                ))
            })?,
    };
    if before > now {
        return Err(StoreCommandError::Usage(format!(
            "--before is {before}, which is still to come; allowed is a moment up to now, {now}"
        )));
    }
    Ok(before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_moments_and_ages_are_read_and_the_future_is_refused() {
        let now: Timestamp = "2026-03-31T12:00:00Z".parse().unwrap();
        for (text, meant) in [
            ("30d", "2026-03-01T12:00:00.000000+00:00"),
            ("0d", "2026-03-31T12:00:00.000000+00:00"),
            ("2026-03-01", "2026-03-01T00:00:00.000000+00:00"),
            (
                "2026-03-31T13:00:00+01:00",
                "2026-03-31T12:00:00.000000+00:00",
            ),
        ] {
            assert_eq!(moment(text, now).unwrap().to_string(), meant, "{text}");
        }
        for (text, told) in [
            ("2026-04-01", "still to come"),
            ("2026-03-31T12:00:01Z", "still to come"),
            ("-1d", "a number of days"),
            ("99999999999d", "a number of days"),
            ("soon", "`soon`"),
            ("", "allowed is a day"),
        ] {
            let error = moment(text, now).unwrap_err();
            assert!(error.to_string().contains(told), "{text}: {error}");
            assert_eq!(error.exit(), Exit::Usage);
        }
    }
}
