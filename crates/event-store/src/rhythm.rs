//! When a writer begins the next group of commits.

use std::time::{Duration, Instant};

/// The most commits of one transaction: bounds how long the first of them waits for the others.
pub(crate) const MAX_GROUP: usize = 256;
/// The longest wait for more of them.
const LONGEST_WAIT: Duration = Duration::from_millis(1);
/// After waits in vain, no more than two to the power of this many groups go without one.
const MOST_MISSES: u32 = 6;

/// Waits a moment for those who were just answered.
///
/// Callers that commit one event after the other fall into two halves if a writer always takes what is
/// there: while it records one half, the other half queues, and every sync of the disk serves half of them.
/// So after a group it gives those callers a third of the time that the group took to come back. Where
/// they do not, because they have other things to do first, it tries that less and less often.
#[derive(Debug)]
pub(crate) struct Rhythm {
    /// No more than these can wait.
    most: usize,
    /// Those who were answered last, and those who came meanwhile.
    expected: usize,
    patience: Duration,
    /// Waits in a row in which not even half of them came.
    misses: u32,
    /// Groups that go without a wait.
    skips: u32,
}

/// A wait that has begun.
#[derive(Debug)]
pub(crate) struct Wait {
    expected: usize,
    before: usize,
    since: Instant,
    patience: Duration,
}

impl Rhythm {
    /// For a queue with room for so many commits.
    pub(crate) fn new(queue: usize) -> Self {
        Self {
            most: queue.min(MAX_GROUP),
            expected: 0,
            patience: Duration::ZERO,
            misses: 0,
            skips: 0,
        }
    }

    /// A group is recorded and about to be answered; so many commits came meanwhile.
    pub(crate) fn recorded(&mut self, group: usize, took: Duration, waiting: usize) {
        self.expected = (group + waiting).min(self.most);
        self.patience = (took / 3).min(LONGEST_WAIT);
    }

    /// Begins to wait, if that is worth it, where so many commits wait already.
    pub(crate) fn begin(&mut self, waiting: usize) -> Option<Wait> {
        let expected = std::mem::take(&mut self.expected);
        if waiting >= expected {
            return None;
        }
        if self.skips > 0 {
            self.skips -= 1;
            return None;
        }
        Some(Wait {
            expected,
            before: waiting,
            since: Instant::now(),
            patience: self.patience,
        })
    }

    /// Learns from a wait that is over.
    pub(crate) fn end(&mut self, wait: &Wait, waiting: usize) {
        // Callers of their own rhythm come too: those that were answered are back if half of them are.
        if 2 * (waiting - wait.before.min(waiting)) >= wait.expected - wait.before {
            self.misses = 0;
        } else {
            self.skips = 1 << self.misses;
            self.misses = (self.misses + 1).min(MOST_MISSES);
        }
    }
}

impl Wait {
    /// How many are waited for.
    pub(crate) const fn expected(&self) -> usize {
        self.expected
    }

    /// False once all are there, or it has taken too long.
    pub(crate) fn goes_on(&self, waiting: usize) -> bool {
        waiting < self.expected && self.since.elapsed() < self.patience
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3_600);

    /// So long a wait that no test ends by time.
    fn after(group: usize, waiting: usize) -> Rhythm {
        let mut rhythm = Rhythm::new(1_000);
        rhythm.recorded(group, LONG, waiting);
        rhythm.patience = LONG;
        rhythm
    }

    #[test]
    fn a_wait_ends_when_all_are_back() {
        let wait = after(5, 3).begin(3).unwrap();
        assert!(wait.goes_on(7));
        assert!(!wait.goes_on(8));
    }

    #[test]
    fn a_wait_ends_when_it_takes_too_long() {
        let mut rhythm = Rhythm::new(1_000);
        rhythm.recorded(2, Duration::ZERO, 0);
        assert!(!rhythm.begin(0).unwrap().goes_on(0));
        rhythm.recorded(2, LONG, 0);
        assert_eq!(rhythm.begin(0).unwrap().patience, LONGEST_WAIT);
    }

    #[test]
    fn there_is_no_wait_when_all_are_here_or_nobody_was() {
        assert!(after(5, 3).begin(8).is_none());
        assert!(Rhythm::new(1_000).begin(0).is_none());
        assert!(after(MAX_GROUP, 44).begin(MAX_GROUP).is_none());
        let mut short = Rhythm::new(4);
        short.recorded(4, LONG, 4);
        assert!(short.begin(4).is_none(), "more have no place to wait in");
    }

    #[test]
    fn a_wait_follows_a_group_once() {
        let mut rhythm = after(2, 0);
        let wait = rhythm.begin(0).unwrap();
        rhythm.end(&wait, 2);
        assert!(rhythm.begin(0).is_none());
    }

    #[test]
    fn waits_in_vain_become_rare_and_come_back_when_they_help() {
        let mut rhythm = Rhythm::new(1_000);
        let mut waits = |groups: usize, come: usize| {
            let mut count = 0;
            for _ in 0..groups {
                rhythm.recorded(1, LONG, 0);
                if let Some(wait) = rhythm.begin(0) {
                    count += 1;
                    rhythm.end(&wait, come);
                }
            }
            count
        };
        assert_eq!(
            waits(2 + 3 + 5, 0),
            3,
            "one, two and four groups go without"
        );
        assert_eq!(waits(9 + 17 + 33, 0), 3);
        assert_eq!(waits(65 * 100, 0), 100, "at last one of 65");
        assert_eq!(waits(10, 1), 10, "from the first that helps, each does");
    }

    #[test]
    fn a_wait_for_many_that_brings_few_is_in_vain() {
        let mut rhythm = after(10, 0);
        let wait = rhythm.begin(0).unwrap();
        rhythm.end(&wait, 4);
        assert_eq!(rhythm.misses, 1);
        let wait = Wait { before: 2, ..wait };
        rhythm.end(&wait, 6);
        assert_eq!(rhythm.misses, 0);
    }
}
