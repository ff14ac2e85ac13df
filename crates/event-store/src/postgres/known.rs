//! What is known from one group of commits to the next: then a group takes one round trip and not two.

use std::time::{Duration, Instant};

use super::facts::Found;
use super::write::Task;
use crate::books::plan::Writes;
use crate::prepared::Prepared;

/// After guesses in vain, no more than two to the power of this many groups go without one.
const MOST_MISSES: u32 = 6;

/// What a connection's last group left on record, which is still so if nobody has written anything since: if the
/// server gives the next transaction the next number.
///
/// Every transaction that writes takes a number, and all commits of all programs take theirs under the lock of
/// all writers. So it is enough to make the rows of the next group depend on that number.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) found: Found,
    /// When something was looked up last.
    since: Instant,
}

/// Remembers it, and tries it less and less often where others write too.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    known: Option<Known>,
    /// Groups in a row for which it did not do.
    misses: u32,
    /// Groups that look everything up.
    skips: u32,
}

impl Known {
    /// The number of the transaction that follows, if nobody else writes.
    pub(crate) const fn next(&self) -> i64 {
        self.found.transaction + 1
    }

    /// What is known once some writes, planned on this, are on record: in the transaction with a number, or in the
    /// one that looked up.
    pub(crate) fn after<'a>(
        mut self,
        writes: &Writes,
        tasks: impl Iterator<Item = &'a Task<'a>>,
        transaction: Option<i64>,
    ) -> Self {
        let Found {
            facts,
            pointers,
            alive,
            transaction: last,
        } = &mut self.found;
        *alive = true;
        *last = transaction.unwrap_or(*last);
        *facts = std::mem::take(facts).after(writes);
        if facts.tasks.is_empty() {
            pointers.clear();
        } else {
            for task in tasks {
                match pointers.get_mut(task.id) {
                    Some(known) => known.clone_from(&task.pointers),
                    None => {
                        pointers.insert(task.id.clone(), task.pointers.clone());
                    }
                }
            }
        }
        self
    }
}

impl Memory {
    /// What is known, where that is enough to plan some commits, was looked up within a time, and is likely to
    /// be so still.
    pub(crate) fn recall(&mut self, commits: &[&Prepared], within: Duration) -> Option<Known> {
        let known = self.known.as_ref()?;
        if known.since.elapsed() > within || !known.found.facts.suffice(commits) {
            return None;
        }
        if self.skips > 0 {
            self.skips -= 1;
            return None;
        }
        self.known.take()
    }

    /// What a look-up found, with what was known before if nobody else has written since.
    pub(crate) fn found(&mut self, found: Found) -> Known {
        let before = self.known.take();
        let before = before.filter(|known| known.next() == found.transaction);
        let found = match before {
            Some(known) => known.found.and(found),
            None => found,
        };
        Known {
            found,
            since: Instant::now(),
        }
    }

    /// This is on record.
    pub(crate) fn keep(&mut self, known: Known) {
        self.known = Some(known);
    }

    /// It was so.
    pub(crate) fn hit(&mut self) {
        self.misses = 0;
    }

    /// Somebody else had written, or could have: all commits of a group were refused for what was known.
    pub(crate) fn missed(&mut self) {
        self.skips = 1 << self.misses;
        self.misses = (self.misses + 1).min(MOST_MISSES);
    }
}

#[cfg(test)]
mod tests {
    use event_payloads::{Actor, Payload, TaskCreated, TaskId, UserMessage};

    use super::*;
    use crate::books::task::TaskRow;
    use crate::prepared::ArtifactLimits;
    use crate::{Commit, NewEvent};

    const LONG: Duration = Duration::from_secs(3_600);

    fn prepared(event: NewEvent) -> Prepared {
        let commit = Commit::new("task".parse().unwrap()).event(event);
        let limits = ArtifactLimits { inline: 0, max: 0 };
        Prepared::new(commit, limits, None).unwrap()
    }

    fn created() -> NewEvent {
        let created = TaskCreated {
            title: "Hi".to_owned(),
            thread_id: "default".to_owned(),
            scope_id: "chat:web:default".to_owned(),
            channel: "web".to_owned(),
            sender_id: "owner".to_owned(),
            risk_level: "low".to_owned(),
        };
        NewEvent::new(Actor::System, Payload::TaskCreated(created))
    }

    fn message() -> NewEvent {
        let message = UserMessage {
            text_preview: "Hi".to_owned(),
            text_length: 2,
            attachment_count: 0,
        };
        NewEvent::new(Actor::User, Payload::UserMessage(message))
    }

    /// A memory of a database without anything in it.
    fn of_nothing() -> Memory {
        let mut memory = Memory::default();
        let known = memory.found(Found::default());
        memory.keep(known);
        memory
    }

    #[test]
    fn what_could_be_on_record_unknown_to_us_is_looked_up() {
        let is_enough = |event: NewEvent| of_nothing().recall(&[&prepared(event)], LONG).is_some();
        assert!(is_enough(created()), "nobody has the name of a new task");
        assert!(!is_enough(message()), "of which task?");
        assert!(!is_enough(created().key("key")), "it can be a repetition");
    }

    #[test]
    fn what_was_looked_up_long_ago_is_looked_up_again() {
        let new = prepared(created());
        assert!(of_nothing().recall(&[&new], Duration::ZERO).is_none());
    }

    #[test]
    fn what_is_found_adds_to_what_is_known_unless_others_have_written() {
        let task = |name: &str, transaction: i64| {
            let task_id: TaskId = name.parse().unwrap();
            let mut found = Found {
                transaction,
                ..Found::default()
            };
            found.pointers.insert(task_id.clone(), "{}".to_owned());
            found.facts.tasks.insert(task_id, TaskRow::default());
            found
        };
        let mut memory = Memory::default();
        let mut known_after = |found: Found| {
            let known = memory.found(found);
            let (tasks, next) = (known.found.facts.tasks.len(), known.next());
            assert_eq!(known.found.pointers.len(), tasks);
            memory.keep(known);
            (tasks, next)
        };
        assert_eq!(known_after(task("a", 7)), (1, 8));
        assert_eq!(known_after(task("b", 8)), (2, 9));
        assert_eq!(known_after(task("b", 9)), (2, 10));
        assert_eq!(known_after(task("c", 11)), (1, 12));
    }

    #[test]
    fn guesses_in_vain_become_rare_and_come_back_when_one_is_right() {
        let mut memory = Memory::default();
        let new = prepared(created());
        let mut guesses = |groups: usize, is_right: bool| {
            let mut count = 0;
            for _ in 0..groups {
                let known = memory.found(Found::default());
                memory.keep(known);
                if memory.recall(&[&new], LONG).is_some() {
                    count += 1;
                    if is_right {
                        memory.hit();
                    } else {
                        memory.missed();
                    }
                }
            }
            count
        };
        assert_eq!(guesses(2 + 3 + 5, false), 3, "one, two and four go without");
        assert_eq!(guesses(9 + 17 + 33, false), 3);
        assert_eq!(guesses(65 * 10, false), 10, "at last one of 65");
        assert_eq!(guesses(10, true), 10);
    }
}
