//! When a chunk was written: told in its text, in nanoseconds of the clock that every process shares.

use rustix::time::{ClockId, clock_gettime};

/// Stands before the number, which has as many digits each time.
const MARK: &str = "sent at ";

/// `CLOCK_MONOTONIC`: the same in every process, never set back.
pub(in crate::bench) fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    seconds * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}

/// The text of a chunk.
pub(in crate::bench) fn text(now_ns: u64) -> String {
    format!("{MARK}{now_ns:020}, and some words. ")
}

/// When a chunk was written, out of its JSON as it arrived; none if it holds no such text.
pub(super) fn of_chunk(json: &str) -> Option<u64> {
    let (_, behind) = json.split_once(MARK)?;
    behind.get(..20)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_found_in_a_chunk() {
        let now = now_ns();
        let chunk = serde_json::json!({"choices": [{"delta": {"content": text(now)}}]});
        assert_eq!(of_chunk(&chunk.to_string()), Some(now));
        assert_eq!(of_chunk(r#"{"choices":[{"delta":{}}]}"#), None);
        assert!(now_ns() >= now);
    }
}
