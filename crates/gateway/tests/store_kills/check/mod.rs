//! What the books must say, whatever was killed.

mod artifacts;
mod calls;
mod chains;
mod recount;
mod rollups;
mod sums;
mod told;

use std::fmt;
use std::fmt::Write as _;

use crate::books::Books;
use crate::told::Record;

pub(crate) use recount::recount;
pub(crate) use rollups::rollups;
pub(crate) use told::mark;

/// A rule of the books.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rule {
    /// What was acknowledged is there.
    NothingLost,
    /// An event is to the letter what a client saw.
    AsItWasSeen,
    /// The same key is the same task, and there is exactly one.
    OneTaskPerKey,
    /// The events of a task are 1, 2, 3 …
    NoGap,
    /// Every event has a place of its own in the log, in the order of its task.
    OrderOfTheLog,
    /// The hash of every event covers it and all before it.
    Chain,
    /// Every call has exactly one end, an answer is recorded once, at its own cost.
    OneEndPerCall,
    /// A task that nobody works on has ended.
    NothingHangs,
    /// A task's row says what its events say.
    TaskRow,
    /// A call's row says what its events say.
    CallRow,
    /// Sums are what the events add up to.
    Sums,
    /// An artifact has its event, its row and its whole content, and no file is left that has none.
    WholeArtifacts,
    /// What the API shows is what the database holds.
    ApiShowsTheBooks,
    /// `octo store verify` finds nothing.
    Verified,
    /// octo starts and ends by itself, and does not refuse what it can do.
    Runs,
}

/// A rule that was broken, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    pub rule: Rule,
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.rule, self.what)
    }
}

/// What is broken, one after the other.
#[derive(Debug, Default)]
pub(crate) struct Findings(pub Vec<Violation>);

impl Findings {
    pub(crate) fn add(&mut self, rule: Rule, what: impl Into<String>) {
        let what = what.into();
        self.0.push(Violation { rule, what });
    }

    pub(crate) fn unless(&mut self, holds: bool, rule: Rule, what: impl FnOnce() -> String) {
        if !holds {
            self.add(rule, what());
        }
    }
}

/// Whether somebody may still be working.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Calls may be open: nobody has cleaned up after the last kill yet.
    Open,
    /// Nobody works, and what the last kill left open is closed.
    Settled,
}

/// Holds the books against every rule, and against all that was told.
pub(crate) fn check(books: &Books, told: &Record, moment: Moment) -> Vec<Violation> {
    let mut found = Findings(told.complaints.clone());
    chains::check(books, moment, &mut found);
    let recount = recount(books);
    calls::check(books, &recount, moment, &mut found);
    sums::check(books, &recount, &mut found);
    artifacts::check(books, moment, &mut found);
    told::check(books, told, &mut found);
    found.0
}

fn hex(bytes: &[u8]) -> String {
    let mut hex = String::new();
    for byte in bytes {
        write!(hex, "{byte:02x}").unwrap();
    }
    hex
}
