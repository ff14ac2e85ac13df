//! What was done and seen, for the last line.

use std::fmt;

use crate::books::Books;
use crate::told::Record;

/// What was done and seen.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub kills: u64,
    /// Of those, in the middle of a start.
    pub at_start: u64,
    pub folders: u64,
    /// Of those, that began with a database of an older version.
    pub upgrades: u64,
    pub checks: u64,
    pub tasks: usize,
    pub events: usize,
    pub keys: usize,
    pub seen: usize,
    pub answers: usize,
    pub cancelled: usize,
    pub unanswered: u64,
    /// Answers that said that the store does not work, while its server was gone.
    pub refused: usize,
    /// Calls that a kill caught between their start and their end.
    pub interrupted: usize,
    /// How often `octo store verify` looked at the books too.
    pub verified: u64,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} kills ({} in the middle of a start) in {} data folders ({} of an older version), {} checks of the books, {} of them also \
             by octo store verify; acknowledged and found again: {} keys, {} events seen live, {} answers, {} \
             cancellations; {} requests cut off, {} refused, {} calls closed by recovery; {} tasks with {} events",
            self.kills,
            self.at_start,
            self.folders,
            self.upgrades,
            self.checks,
            self.verified,
            self.keys,
            self.seen,
            self.answers,
            self.cancelled,
            self.unanswered,
            self.refused,
            self.interrupted,
            self.tasks,
            self.events,
        )
    }
}

impl Counts {
    /// True if clients were answered, followed and made calls.
    pub(crate) const fn show_work(&self) -> bool {
        self.keys > 0 && self.seen > 0 && self.answers > 0
    }

    /// The books of a data folder that is done with.
    pub(crate) fn add(&mut self, books: &Books, told: &Record) {
        self.folders += 1;
        self.tasks += books.tasks.len();
        self.events += books.count_events();
        self.interrupted += books.interrupted();
        self.keys += told.keys.len();
        self.seen += told.seen.len();
        self.answers += told.answers.len();
        self.cancelled += told.cancelled.len();
        self.unanswered += told.unanswered;
        self.refused += told.refusals.len();
    }
}
