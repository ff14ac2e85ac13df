//! Time, passed in.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use event_payloads::Timestamp;

/// Tells the time.
pub trait Clock: fmt::Debug + Send + Sync {
    /// This moment.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the one place that reads the machine's clock"
        )]
        let now = SystemTime::now();
        // A clock before 1970 is one that was never set: the epoch says so.
        let micros = now
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_micros());
        Timestamp::from_unix_micros(i64::try_from(micros).unwrap_or(i64::MAX))
    }
}

/// A clock that stands still until it is set: for tests.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that stands at so many microseconds after 1970 (UTC).
    #[must_use]
    pub const fn at_unix_micros(micros: i64) -> Self {
        Self(AtomicI64::new(micros))
    }

    /// Sets it, forward or back.
    pub fn set_unix_micros(&self, micros: i64) {
        self.0.store(micros, Ordering::Relaxed);
    }

    /// Moves it on by so many microseconds; back, if negative.
    pub fn advance_micros(&self, micros: i64) {
        self.0.fetch_add(micros, Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_micros(self.0.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_goes_both_ways_and_the_system_clock_is_past_2025() {
        let clock = ManualClock::at_unix_micros(5);
        clock.advance_micros(-3);
        assert_eq!(clock.now(), Timestamp::from_unix_micros(2));
        clock.set_unix_micros(9);
        assert_eq!(clock.now(), Timestamp::from_unix_micros(9));
        assert!(SystemClock.now() > Timestamp::from_unix_micros(1_735_689_600_000_000));
    }
}
