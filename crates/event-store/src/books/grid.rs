//! Hours, days and months as steps of time.

use event_payloads::Timestamp;

use super::kind::Period;

pub(crate) const HOUR: i64 = 3_600_000_000;
pub(crate) const DAY: i64 = 24 * HOUR;
/// Before all moments, and on every grid of steps.
pub(crate) const BEGINNING: i64 = i64::MIN;
/// After all moments, and on every grid of steps.
pub(crate) const END: i64 = i64::MAX;
/// 9999-12-31T23:00:00: no hour, day or month begins later.
const LAST: i64 = 253_402_297_200_000_000;

/// Steps of time that rows of sums are kept over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Grid {
    Hour,
    Day,
    Month,
}

impl Grid {
    pub(crate) const fn coarser(self) -> Option<Self> {
        match self {
            Self::Hour => Some(Self::Day),
            Self::Day => Some(Self::Month),
            Self::Month => None,
        }
    }

    pub(crate) const fn period(self) -> Period {
        match self {
            Self::Hour => Period::Hour,
            Self::Day => Period::Day,
            Self::Month => Period::Month,
        }
    }

    /// The step's beginning that is nearest to a moment.
    pub(crate) fn nearest(self, moment: i64) -> i64 {
        if moment == BEGINNING || moment == END {
            return moment;
        }
        let (before, after) = match self {
            Self::Hour => around(moment, HOUR),
            Self::Day => around(moment, DAY),
            Self::Month => months_around(moment),
        };
        if after - moment < moment - before && after <= LAST {
            after
        } else {
            before
        }
    }
}

/// The multiples of a step before and after a moment.
const fn around(moment: i64, step: i64) -> (i64, i64) {
    let before = moment.div_euclid(step) * step;
    (before, before + step)
}

/// The beginning of a midnight's month, and that of the next.
fn months_around(midnight: i64) -> (i64, i64) {
    let before = first_of_month(midnight);
    // No month has more than 31 days, and none so few that this is the one after the next.
    (before, first_of_month(before + 31 * DAY))
}

fn first_of_month(midnight: i64) -> i64 {
    let date = Timestamp::from_unix_micros(midnight).day();
    let day = date.rsplit('-').next().and_then(|day| day.parse().ok());
    midnight - (day.unwrap_or(1_i64) - 1) * DAY
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nearest(grid: Grid, moment: &str) -> String {
        let moment: Timestamp = moment.parse().unwrap();
        let nearest = Timestamp::from_unix_micros(grid.nearest(moment.unix_micros()));
        nearest.to_string().get(..16).unwrap().to_owned()
    }

    #[test]
    fn the_nearest_step_is_before_or_after() {
        for (grid, moment, step) in [
            (Grid::Hour, "2026-03-01T12:30:00Z", "2026-03-01T12:00"),
            (Grid::Hour, "2026-03-01T12:30:01Z", "2026-03-01T13:00"),
            (Grid::Day, "2026-03-01T12:00:00Z", "2026-03-01T00:00"),
            (Grid::Day, "2026-03-01T13:00:00Z", "2026-03-02T00:00"),
            (Grid::Day, "1969-12-31T13:00:00Z", "1970-01-01T00:00"),
            (Grid::Month, "2026-02-14T00:00:00Z", "2026-02-01T00:00"),
            (Grid::Month, "2026-02-16T00:00:00Z", "2026-03-01T00:00"),
            (Grid::Month, "2024-12-31T00:00:00Z", "2025-01-01T00:00"),
            (Grid::Month, "2026-01-01T00:00:00Z", "2026-01-01T00:00"),
            (Grid::Month, "2024-02-29T00:00:00Z", "2024-03-01T00:00"),
            (Grid::Month, "2025-01-31T00:00:00Z", "2025-02-01T00:00"),
            // After the last step there is none.
            (Grid::Hour, "9999-12-31T23:59:59Z", "9999-12-31T23:00"),
            (Grid::Day, "9999-12-31T23:00:00Z", "9999-12-31T00:00"),
            (Grid::Month, "9999-12-31T00:00:00Z", "9999-12-01T00:00"),
        ] {
            assert_eq!(nearest(grid, moment), step, "{moment}");
        }
    }

    #[test]
    fn before_and_after_all_moments_is_on_every_grid() {
        for grid in [Grid::Hour, Grid::Day, Grid::Month] {
            assert_eq!(grid.nearest(BEGINNING), BEGINNING);
            assert_eq!(grid.nearest(END), END);
        }
    }
}
