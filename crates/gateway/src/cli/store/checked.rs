//! What a check saw, for people and for programs.

use event_store::Verified;
use serde::Serialize;

use super::place::Place;
use crate::cli::{Exit, output};

/// What a check saw.
#[derive(Serialize)]
pub(super) struct Checked<'a> {
    store: String,
    good: bool,
    events: u64,
    tasks: u64,
    calls: u64,
    sums: u64,
    artifacts: u64,
    undecodable: u64,
    problem_count: u64,
    problems: &'a [String],
}

impl<'a> Checked<'a> {
    pub(super) fn new(place: &Place, verified: &'a Verified) -> Self {
        Self {
            store: place.to_string(),
            good: verified.is_good(),
            events: verified.events,
            tasks: verified.tasks,
            calls: verified.calls,
            sums: verified.sums,
            artifacts: verified.artifacts,
            undecodable: verified.undecodable,
            problem_count: verified.problem_count,
            problems: &verified.problems,
        }
    }

    pub(super) const fn exit(&self) -> Exit {
        if self.good {
            Exit::Good
        } else {
            Exit::BadBooks
        }
    }

    /// One line a problem, then the counts.
    pub(super) fn print(&self) {
        for problem in self.problems {
            output::line(format!("{}  {problem}", output::paint("problem", "31;1")));
        }
        let told = u64::try_from(self.problems.len()).unwrap_or(u64::MAX);
        if let Some(more @ 1..) = self.problem_count.checked_sub(told) {
            output::line(format!("         and {more} more"));
        }
        let verdict = if self.good {
            output::paint("good", "32")
        } else {
            let plural = if self.problem_count == 1 { "" } else { "s" };
            output::paint(&format!("{} problem{plural}", self.problem_count), "31;1")
        };
        output::line(format!(
            "{verdict}: {} events in {} tasks, {} model calls, {} rows of sums, {} artifacts in {}",
            self.events, self.tasks, self.calls, self.sums, self.artifacts, self.store
        ));
        if self.undecodable > 0 {
            output::line(format!(
                "{} events have not the shape of their type; they are kept as they are",
                self.undecodable
            ));
        }
        if !self.good {
            output::line(
                "octo store rebuild mends tasks, model calls and sums; events and artifacts that were \
                 changed come back from a backup alone",
            );
        }
    }
}
