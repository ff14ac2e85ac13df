//! Identifiers that sort by the order in which they were made.

use std::sync::{Arc, Mutex, PoisonError};

use event_payloads::{ArtifactId, TaskId, Timestamp};
use ulid::Ulid;

use crate::Clock;

/// Makes identifiers for what callers create. One for a whole program.
#[derive(Debug)]
pub struct IdSource {
    clock: Arc<dyn Clock>,
    ulids: Mutex<Monotonic>,
}

impl IdSource {
    /// A source whose identifiers carry this clock's time.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            ulids: Mutex::default(),
        }
    }

    /// A name for a new task.
    #[must_use]
    pub fn task_id(&self) -> TaskId {
        self.next().into()
    }

    /// A name for a new artifact.
    #[must_use]
    pub fn artifact_id(&self) -> ArtifactId {
        self.next().into()
    }

    fn next(&self) -> Ulid {
        let mut ulids = self.ulids.lock().unwrap_or_else(PoisonError::into_inner);
        ulids.next(self.clock.now())
    }
}

/// ULIDs that only ever grow, also when the clock stands still or jumps back.
#[derive(Debug, Default)]
pub(crate) struct Monotonic {
    last: Ulid,
}

impl Monotonic {
    /// Continues after an identifier that exists already.
    pub(crate) const fn after(last: Ulid) -> Self {
        Self { last }
    }

    pub(crate) fn next(&mut self, now: Timestamp) -> Ulid {
        // Only the random part: the time is the caller's clock.
        let random = Ulid::generate().random();
        let fresh = Ulid::from_parts(now.unix_millis(), random);
        self.last = if fresh > self.last {
            fresh
        } else {
            // The random part is full once in 2^80: the next millisecond then.
            self.last
                .increment()
                .unwrap_or_else(|_| Ulid::from_parts(self.last.timestamp_ms() + 1, random))
        };
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ManualClock;

    #[test]
    fn identifiers_grow_although_the_clock_jumps_back() {
        let clock = Arc::new(ManualClock::at_unix_micros(2_000_000));
        let ids = IdSource::new(Arc::clone(&clock) as Arc<dyn Clock>);
        let mut last = ids.task_id();
        for micros in [2_000_000, 2_000_000, 1_000_000, 0, 2_000_000, 3_000_000] {
            clock.set_unix_micros(micros);
            let next = ids.task_id();
            assert!(next > last, "{next} after {last}");
            last = next;
        }
        assert!(ids.artifact_id().as_str() > last.as_str());
    }

    #[test]
    fn a_full_random_part_carries_into_the_next_millisecond() {
        let mut ulids = Monotonic::after(Ulid::from_parts(7, u128::MAX));
        assert_eq!(ulids.next(Timestamp::UNIX_EPOCH).timestamp_ms(), 8);
    }
}
