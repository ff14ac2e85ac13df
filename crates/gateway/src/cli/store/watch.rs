//! Where long work stands, for whoever watches.

use std::time::Duration;

use event_store::Progress;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::cli::output;

/// Between two looks.
const PERIOD: Duration = Duration::from_millis(250);

/// Does the work, and says on a terminal how far it is; elsewhere nothing.
pub(super) async fn watch<T>(doing: &str, progress: &Progress, work: impl Future<Output = T>) -> T {
    if !output::is_watched() {
        return work.await;
    }
    let started = Instant::now();
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    // The first tick comes at once.
    ticks.tick().await;
    tokio::pin!(work);
    let done = loop {
        tokio::select! {
            done = &mut work => break done,
            _ = ticks.tick() => output::status(&line(doing, progress.done(), started.elapsed())),
        }
    };
    output::status("");
    done
}

fn line(doing: &str, events: u64, elapsed: Duration) -> String {
    let seconds = elapsed.as_secs();
    if events == 0 {
        return format!("{doing}: {seconds} s");
    }
    let millis = u64::try_from(elapsed.as_millis())
        .unwrap_or(u64::MAX)
        .max(1);
    let rate = events.saturating_mul(1_000) / millis;
    format!("{doing}: {events} events, {rate} a second, {seconds} s")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_much_how_fast_and_how_long() {
        let elapsed = Duration::from_millis(2_500);
        assert_eq!(
            line("checking", 5_000, elapsed),
            "checking: 5000 events, 2000 a second, 2 s"
        );
        assert_eq!(line("rebuilding", 0, elapsed), "rebuilding: 2 s");
        line("checking", u64::MAX, Duration::ZERO);
    }
}
