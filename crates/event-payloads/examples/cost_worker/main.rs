//! A worker that totals what model calls cost, by alias and by day.
//!
//! It is built from `event-payloads` and the standard library: no async, no HTTP crate. It asks the gateway
//! for the events after its cursor (`GET /api/events`, which waits until there are some), adds them to its
//! books, and writes books and cursor in one file before it asks for more. Killed at any moment, it goes on
//! from that file: an event may come twice, and is counted once. Of a task whose events were removed
//! (`octo store prune`) the log keeps the sums: they take the place of what the worker saw of it, all or a
//! part. Its limit: the file holds every call that the log still has, and is written anew for each page of
//! events, so it is for some hundred thousand calls; `examples/python-worker` keeps its books in a database.
//!
//!     cargo run -p event-payloads --example cost_worker -- --state costs.json
//!
//! `--url` says where the gateway is (`http://127.0.0.1:8000`), `--once` ends the worker when it has read all
//! there is, and `OCTO_GATEWAY_KEY` is the gateway's key if it has one.

mod books;
mod http;
mod state;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use event_payloads::EventPage;

use books::Books;
use http::{Gateway, HttpError};

/// What is added up. The gateway leaves all other types out.
const TYPES: &str =
    "MODEL_CALL_STARTED,MODEL_CALL_COMPLETED,MODEL_CALL_FAILED,COST_CORRECTED,TASK_PRUNED";
/// Between two tries at a gateway that does not answer.
const PAUSE: Duration = Duration::from_secs(1);
/// How long the gateway is asked to wait for an event, in seconds.
const WAIT_S: u64 = 20;

/// What the command line says.
struct Settings {
    url: String,
    state: PathBuf,
    once: bool,
}

fn main() -> ExitCode {
    let worked = settings(std::env::args().skip(1)).and_then(|settings| work(&settings));
    match worked {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            note(&format!("error: {message}"));
            ExitCode::FAILURE
        }
    }
}

fn settings(mut words: impl Iterator<Item = String>) -> Result<Settings, String> {
    let mut settings = Settings {
        url: "http://127.0.0.1:8000".to_owned(),
        state: PathBuf::from("costs.json"),
        once: false,
    };
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("{word} needs a value"));
        match word.as_str() {
            "--url" => settings.url = value()?,
            "--state" => settings.state = value()?.into(),
            "--once" => settings.once = true,
            _ => return Err(format!("{word} is not --url, --state or --once")),
        }
    }
    Ok(settings)
}

fn work(settings: &Settings) -> Result<(), String> {
    let key = std::env::var("OCTO_GATEWAY_KEY").ok();
    let gateway = Gateway::at(&settings.url, key)?;
    let mut books = state::load(&settings.state)?.unwrap_or_default();
    loop {
        let Some(page) = next_page(&gateway, &books, settings.once)? else {
            std::thread::sleep(PAUSE);
            continue;
        };
        let news = !page.events.is_empty();
        for logged in &page.events {
            books.add(&logged.event)?;
        }
        if page.next != books.cursor {
            books.cursor = page.next;
            // Only now are the events dealt with.
            state::save(&settings.state, &books)?;
        }
        if page.caught_up && (news || settings.once) {
            print(&books.report());
        }
        if page.caught_up && settings.once {
            return Ok(());
        }
    }
}

/// What follows in the log; `None` if the gateway can not say now.
fn next_page(gateway: &Gateway, books: &Books, once: bool) -> Result<Option<EventPage>, String> {
    let after = books.cursor;
    let wait = if once { 0 } else { WAIT_S };
    let path = format!("/api/events?after={after}&types={TYPES}&limit=500&wait={wait}");
    let body = match gateway.get(&path) {
        Ok(body) => body,
        // It will be back; no event is lost meanwhile.
        Err(HttpError::NotNow(why)) => {
            note(&format!("trying again: {why}"));
            return Ok(None);
        }
        Err(HttpError::Refused(why)) => return Err(why),
    };
    let page = serde_json::from_slice(&body);
    page.map(Some)
        .map_err(|error| format!("the gateway's answer is no page of events: {error}"))
}

#[expect(clippy::print_stdout, reason = "the worker's output")]
fn print(text: &str) {
    println!("{text}");
}

#[expect(clippy::print_stderr, reason = "for who watches the worker")]
fn note(text: &str) {
    eprintln!("{text}");
}
