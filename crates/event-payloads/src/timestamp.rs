//! Moments in UTC.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

/// A moment in UTC, to the microsecond.
///
/// Printed as RFC 3339 with six decimals and `+00:00` (`2026-03-01T12:00:00.250000+00:00`): the text
/// that existing databases hold, so that sorting the column as text sorts by time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(OffsetDateTime);

/// A text that is not an RFC 3339 moment.
#[derive(Debug, thiserror::Error)]
#[error("`{text}` is not an RFC 3339 time such as 2026-03-01T12:00:00+00:00")]
pub struct InvalidTimestamp {
    text: String,
    #[source]
    source: time::error::Parse,
}

impl Timestamp {
    /// 1970-01-01T00:00:00 UTC.
    pub const UNIX_EPOCH: Self = Self(OffsetDateTime::UNIX_EPOCH);

    /// From microseconds since 1970 (UTC). Beyond the years ±9999 it is the epoch.
    #[must_use]
    pub fn from_unix_micros(micros: i64) -> Self {
        let nanos = i128::from(micros) * 1_000;
        Self(OffsetDateTime::from_unix_timestamp_nanos(nanos).unwrap_or(OffsetDateTime::UNIX_EPOCH))
    }

    /// Microseconds since 1970 (UTC); negative before it.
    #[must_use]
    pub fn unix_micros(self) -> i64 {
        // Years beyond ±9999 do not exist, so it fits.
        i64::try_from(self.0.unix_timestamp_nanos() / 1_000).unwrap_or(i64::MAX)
    }

    /// Milliseconds since 1970 (UTC), 0 before it: the time part of a ULID.
    #[must_use]
    pub fn unix_millis(self) -> u64 {
        u64::try_from(self.0.unix_timestamp_nanos() / 1_000_000).unwrap_or(0)
    }

    /// The calendar day, `2026-03-01`.
    #[must_use]
    pub fn day(self) -> String {
        let date = self.0.date();
        format!(
            "{:04}-{:02}-{:02}",
            date.year(),
            u8::from(date.month()),
            date.day()
        )
    }
}

/// A moment so long before; the earliest there is, where that would be before it.
impl std::ops::Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, time: Duration) -> Self {
        let micros = i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
        Self::from_unix_micros(self.unix_micros().saturating_sub(micros))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (hour, minute, second, micro) = self.0.to_hms_micro();
        let date = self.0.date();
        let (year, month, day) = (date.year(), u8::from(date.month()), date.day());
        if !(0..=9999).contains(&year) {
            return write!(
                f,
                "{}T{hour:02}:{minute:02}:{second:02}.{micro:06}+00:00",
                self.day()
            );
        }
        // Every event has one: digits by hand are several times as fast as `write!`.
        let mut text = *b"0000-00-00T00:00:00.000000+00:00";
        digits(&mut text, 0..4, year.unsigned_abs());
        for (place, number) in [(5, month), (8, day), (11, hour), (14, minute), (17, second)] {
            digits(&mut text, place..place + 2, u32::from(number));
        }
        digits(&mut text, 20..26, micro);
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

/// Writes a number into its places, zeros before it.
fn digits(text: &mut [u8], places: std::ops::Range<usize>, mut number: u32) {
    for digit in text.get_mut(places).into_iter().flatten().rev() {
        *digit = b"0123456789"
            .get(usize::try_from(number % 10).unwrap_or(0))
            .copied()
            .unwrap_or(b'0');
        number /= 10;
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Timestamp {
    type Err = InvalidTimestamp;

    fn from_str(text: &str) -> Result<Self, InvalidTimestamp> {
        let moment = OffsetDateTime::parse(text, &Rfc3339).map_err(|source| InvalidTimestamp {
            text: crate::first_chars(text, 40).to_owned(),
            source,
        })?;
        let utc = moment.to_offset(UtcOffset::UTC);
        let whole_micros = utc.nanosecond() / 1_000 * 1_000;
        Ok(Self(utc.replace_nanosecond(whole_micros).unwrap_or(utc)))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Timestamp {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Timestamp".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date-time", "description": "RFC 3339, UTC." })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_time_before_is_taken_away_to_the_microsecond() {
        let day = Duration::from_secs(86_400);
        let moment: Timestamp = "2026-03-01T00:00:00.000001Z".parse().unwrap();
        assert_eq!(
            (moment - day).to_string(),
            "2026-02-28T00:00:00.000001+00:00"
        );
        assert_eq!(
            moment - Duration::from_micros(1),
            "2026-03-01T00:00:00Z".parse().unwrap()
        );
        assert!(moment - Duration::MAX < moment);
    }

    #[test]
    fn what_python_writes_is_read_and_printed_the_same() {
        let python = "2026-03-01T12:00:00.250000+00:00";
        assert_eq!(python.parse::<Timestamp>().unwrap().to_string(), python);
    }

    #[test]
    fn other_offsets_and_precisions_become_utc_microseconds() {
        let moment: Timestamp = "2026-03-01T13:30:00.123456789+01:30".parse().unwrap();
        assert_eq!(moment.to_string(), "2026-03-01T12:00:00.123456+00:00");
        assert_eq!(moment.day(), "2026-03-01");
        assert_eq!(format!("{moment:?}"), moment.to_string());
        assert!("yesterday".parse::<Timestamp>().is_err());
    }

    proptest! {
        #[test]
        fn text_order_is_time_order(a in 0_i64..4_102_444_800_000_000, b in 0_i64..4_102_444_800_000_000) {
            let (a, b) = (Timestamp::from_unix_micros(a), Timestamp::from_unix_micros(b));
            prop_assert_eq!(a.to_string().cmp(&b.to_string()), a.cmp(&b));
            prop_assert_eq!(a.to_string().parse::<Timestamp>().unwrap(), a);
        }
    }
}
