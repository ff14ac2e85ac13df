//! `octo events`: the log of all tasks, read beside a running gateway or followed through it.

mod follow;
mod line;

use clap::Args;
use event_payloads::{EventType, LoggedEvent};
use event_store::{EventStore, LogQuery, StoreError};

use super::{Exit, output};
use crate::config::Config;
use crate::http::{After, parse_types};
use crate::storage;

/// Events that are read at once.
const PAGE: u64 = 500;

#[derive(Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct EventsArgs {
    /// Go on with what is recorded, through the running gateway, until Ctrl-C.
    #[arg(long, short)]
    follow: bool,
    /// Begin after this cursor; with --follow also `latest`: only what comes from now on.
    #[arg(long, value_name = "CURSOR", default_value = "0")]
    after: String,
    /// Only these types, with commas between: MODEL_CALL_COMPLETED,MODEL_CALL_FAILED.
    #[arg(long, value_name = "LIST")]
    types: Option<String>,
    /// End after so many events.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// Print one JSON object a line: {"cursor": …, "event": …}.
    #[arg(long)]
    json: bool,
}

const AFTER_HELP: &str = "\
Each line begins with the event's cursor. To go on later, hand the last one to --after.

  octo events --limit 20
  octo events --follow --after latest --types MODEL_CALL_COMPLETED,MODEL_CALL_FAILED
  octo events --json | jq -r 'select(.event.type == \"MODEL_CALL_FAILED\") | .event.payload.error_message'

Programs follow the log at GET /api/events, as pages or as Server-Sent Events.";

pub(super) async fn events(config: Config, args: EventsArgs) -> Exit {
    let types = args.types.as_deref().map_or(Ok(Vec::new()), parse_types);
    let asked = types.and_then(|types| Ok((args.after.parse::<After>()?, types)));
    let (after, types) = match asked {
        Ok(asked) => asked,
        Err(message) => {
            output::note(format!("error: {message}"));
            return Exit::Usage;
        }
    };
    let mut printer = Printer {
        json: args.json,
        left: args.limit.unwrap_or(u64::MAX),
    };
    let after = match after {
        _ if args.follow => return follow::follow(&config, after, &types, &mut printer).await,
        After::Cursor(after) => after,
        After::Latest => {
            output::note("error: nothing is after `latest` yet: it goes with --follow");
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
    match read(store.as_ref(), after, types, &mut printer).await {
        Ok(exit) => exit,
        Err(error) => {
            output::error(&error);
            Exit::Failed
        }
    }
}

async fn read(
    store: &dyn EventStore,
    after: u64,
    types: Vec<EventType>,
    printer: &mut Printer,
) -> Result<Exit, StoreError> {
    let mut asked = LogQuery {
        after: after.saturating_sub(1),
        types: Vec::new(),
        limit: 1,
    };
    if after > 0 && store.log(asked.clone()).await?.events.is_empty() {
        output::note(format!("error: the log does not reach to cursor {after}"));
        return Ok(Exit::Failed);
    }
    (asked.after, asked.types) = (after, types);
    loop {
        asked.limit = usize::try_from(printer.left.min(PAGE)).unwrap_or(usize::MAX);
        let page = store.log(asked.clone()).await?;
        asked.after = page.next;
        for event in &page.events {
            if !printer.print(event) {
                return Ok(Exit::Good);
            }
        }
        if page.caught_up {
            return Ok(Exit::Good);
        }
    }
}

/// Prints events until it is enough.
struct Printer {
    json: bool,
    left: u64,
}

impl Printer {
    /// False if no more is wanted: so many were asked for, or the reader has gone.
    fn print(&mut self, event: &LoggedEvent) -> bool {
        let text = if self.json {
            // Every field has a JSON form.
            serde_json::to_string(event).unwrap_or_default()
        } else {
            line::of(event)
        };
        self.left = self.left.saturating_sub(1);
        output::is_read(text) && self.left > 0
    }
}
