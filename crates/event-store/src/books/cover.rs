//! Which rows of sums a question about costs needs.
//!
//! An answer is a way from one moment to another: from where the question begins to the nearest full hour, on
//! to the nearest midnight and the nearest first of a month, from month to month, and down again likewise. What
//! a step back goes over is taken away. So the rest of a month after its second day is the month without two
//! days, and no answer reads more than half an hour of single calls, half a day of hours and half a month of
//! days at either end, wherever it begins and ends.

use std::cmp::Ordering;

use event_payloads::Timestamp;

use super::grid::{BEGINNING, END, Grid};
use super::kind::{Detail, Kind, Period};
use super::sums::hour;
use crate::{CostQuery, Dimension};

/// A part of the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) of: Source,
    /// How often it counts: once, or -1 times where another part has it too much.
    pub(crate) times: i64,
}

/// Where a part is read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Rows of sums: those from the first scope up to the second, or one scope.
    Sums {
        kind: Kind,
        from: Option<String>,
        until: Option<String>,
    },
    /// The sums of a task.
    Task,
    /// Ended calls themselves: less than an hour of them, or a part of one task's.
    Calls {
        from: Option<Timestamp>,
        until: Option<Timestamp>,
    },
}

/// The parts that a question adds up from: together they count every call of it once, and no other.
pub(crate) fn cover(query: &CostQuery) -> Vec<Part> {
    let by_day = query.group_by.contains(&Dimension::Day);
    let bounded = query.from.is_some() || query.to.is_some();
    if query.task.is_some() {
        let calls = Source::Calls {
            from: query.from,
            until: query.to,
        };
        return whole(if bounded || by_day {
            calls
        } else {
            Source::Task
        });
    }
    let detail = Detail::of(&query.group_by);
    if !bounded {
        let period = if by_day { Period::Day } else { Period::All };
        return whole(Source::Sums {
            kind: Kind::coarsest(period, detail),
            from: None,
            until: None,
        });
    }
    let mut way = Way {
        parts: Vec::new(),
        detail,
        coarsest: if by_day { Grid::Day } else { Grid::Month },
    };
    let from = query.from.map_or(BEGINNING, Timestamp::unix_micros);
    let until = query.to.map_or(END, Timestamp::unix_micros);
    if from < until {
        way.calls(from, until);
    }
    way.parts
}

fn whole(of: Source) -> Vec<Part> {
    vec![Part { of, times: 1 }]
}

/// A way from one moment to another, in microseconds since 1970.
struct Way {
    parts: Vec<Part>,
    /// How far apart the rows have to tell calls.
    detail: Detail,
    /// The longest steps that tell days apart if the question does.
    coarsest: Grid,
}

impl Way {
    /// From any moment to a later one.
    fn calls(&mut self, from: i64, until: i64) {
        let (first, last) = (Grid::Hour.nearest(from), Grid::Hour.nearest(until));
        // A way over full hours that is as long stops at each: `sql::witness` wants calls of one hour.
        if until.saturating_sub(from) < detour(from, first, last, until) {
            return self.push_calls(from, until);
        }
        self.push_calls(from, first);
        self.steps(Grid::Hour, first, last);
        self.push_calls(last, until);
    }

    /// From the beginning of a step to that of another.
    fn steps(&mut self, grid: Grid, from: i64, until: i64) {
        let coarser = grid.coarser().filter(|grid| *grid <= self.coarsest);
        let Some(coarser) = coarser else {
            return self.push(grid, from, until);
        };
        let (first, last) = (coarser.nearest(from), coarser.nearest(until));
        if until.saturating_sub(from) <= detour(from, first, last, until) {
            return self.push(grid, from, until);
        }
        self.push(grid, from, first);
        self.steps(coarser, first, last);
        self.push(grid, last, until);
    }

    fn push_calls(&mut self, from: i64, until: i64) {
        self.go(from, until, |from, until| Source::Calls {
            from: moment(from),
            until: moment(until),
        });
    }

    fn push(&mut self, grid: Grid, from: i64, until: i64) {
        let kind = Kind::coarsest(grid.period(), self.detail);
        self.go(from, until, |from, until| Source::Sums {
            kind,
            from: moment(from).map(|at| scope(kind.period(), at)),
            until: moment(until).map(|at| scope(kind.period(), at)),
        });
    }

    /// On, or back: then it is taken away.
    fn go(&mut self, from: i64, until: i64, source: impl Fn(i64, i64) -> Source) {
        let (of, times) = match from.cmp(&until) {
            Ordering::Less => (source(from, until), 1),
            Ordering::Equal => return,
            Ordering::Greater => (source(until, from), -1),
        };
        self.parts.push(Part { of, times });
    }
}

/// How much of a way from one moment to another is not from the first coarser step to the last.
const fn detour(from: i64, first: i64, last: i64, until: i64) -> i64 {
    (first - from).abs() + (until - last).abs()
}

/// The moment, unless there is no such one.
fn moment(micros: i64) -> Option<Timestamp> {
    let bounded = micros != BEGINNING && micros != END;
    bounded.then(|| Timestamp::from_unix_micros(micros))
}

/// The scope that a moment is in.
fn scope(period: Period, moment: Timestamp) -> String {
    let hour = hour(moment);
    let length = match period {
        Period::Month => 7,
        Period::Day => 10,
        Period::All | Period::Hour | Period::Task => hour.len(),
    };
    hour.chars().take(length).collect()
}

#[cfg(test)]
mod tests {
    use super::super::grid::{DAY, HOUR};
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> Option<Timestamp> {
        Some(text.parse().unwrap())
    }

    fn shown(query: &CostQuery) -> Vec<String> {
        let short = |at: Timestamp| at.to_string().get(..19).unwrap_or_default().to_owned();
        let source = |of: Source| match of {
            Source::Sums { kind, from, until } => format!(
                "{} {}..{}",
                kind.as_str(),
                from.unwrap_or_default(),
                until.unwrap_or_default()
            ),
            Source::Task => "task".to_owned(),
            Source::Calls { from, until } => format!(
                "calls {}..{}",
                from.map(short).unwrap_or_default(),
                until.map(short).unwrap_or_default()
            ),
        };
        let parts = cover(query).into_iter().map(|part| match part.times {
            1 => source(part.of),
            times => format!("{times} {}", source(part.of)),
        });
        parts.collect()
    }

    fn between(from: &str, to: &str) -> CostQuery {
        CostQuery {
            from: at(from),
            to: at(to),
            ..CostQuery::default()
        }
    }

    #[test]
    fn a_long_time_is_mostly_months() {
        let query = between("2026-01-30T22:40:00Z", "2026-04-02T01:00:00Z");
        assert_eq!(
            shown(&query),
            [
                "calls 2026-01-30T22:40:00..2026-01-30T23:00:00",
                "hour_alias 2026-01-30T23..2026-01-31T00",
                "day_total 2026-01-31..2026-02-01",
                "month_alias 2026-02..2026-04",
                "day_total 2026-04-01..2026-04-02",
                "hour_alias 2026-04-02T00..2026-04-02T01",
            ]
        );
        let by_day = CostQuery {
            group_by: vec![Dimension::Day],
            ..query
        };
        assert_eq!(shown(&by_day)[2], "day_total 2026-01-31..2026-04-02");
    }

    #[test]
    fn what_is_nearly_whole_is_whole_without_the_rest() {
        let query = between("2026-01-03T01:10:00Z", "2026-03-30T23:45:00Z");
        assert_eq!(
            shown(&query),
            [
                "-1 calls 2026-01-03T01:00:00..2026-01-03T01:10:00",
                "-1 hour_alias 2026-01-03T00..2026-01-03T01",
                "-1 day_total 2026-01-01..2026-01-03",
                "month_alias 2026-01..2026-04",
                "-1 day_total 2026-03-31..2026-04-01",
                "-1 calls 2026-03-30T23:45:00..2026-03-31T00:00:00",
            ]
        );
        let hour = between("2026-03-01T12:01:00Z", "2026-03-01T12:59:00Z");
        assert_eq!(
            shown(&hour),
            [
                "-1 calls 2026-03-01T12:00:00..2026-03-01T12:01:00",
                "hour_alias 2026-03-01T12..2026-03-01T13",
                "-1 calls 2026-03-01T12:59:00..2026-03-01T13:00:00",
            ]
        );
    }

    #[test]
    fn a_short_time_makes_no_detour() {
        let minutes = between("2026-03-01T12:10:00Z", "2026-03-01T12:20:00Z");
        assert_eq!(
            shown(&minutes),
            ["calls 2026-03-01T12:10:00..2026-03-01T12:20:00"]
        );
        let night = between("2026-03-01T20:00:00Z", "2026-03-02T04:00:00Z");
        assert_eq!(shown(&night), ["hour_alias 2026-03-01T20..2026-03-02T04"]);
    }

    #[test]
    fn sums_tell_no_more_apart_than_the_question_does() {
        let of = |group_by: &[Dimension]| {
            let query = CostQuery {
                group_by: group_by.to_vec(),
                ..between("2026-01-30T23:00:00Z", "2026-03-01T00:00:00Z")
            };
            let kinds = shown(&query).into_iter();
            kinds
                .filter_map(|part| Some(part.split_once(' ')?.0.to_owned()))
                .collect::<Vec<_>>()
        };
        use Dimension::{Alias, Category, Day, Model, Provider};
        assert_eq!(of(&[]), ["hour_alias", "day_total", "month_alias"]);
        assert_eq!(of(&[Day]), ["hour_alias", "day_total"]);
        assert_eq!(of(&[Alias]), ["hour_alias", "day_alias", "month_alias"]);
        assert_eq!(of(&[Day, Alias]), ["hour_alias", "day_alias"]);
        assert_eq!(of(&[Category, Day]), ["hour_alias", "day_alias"]);
        assert_eq!(of(&[Provider]), ["hour_model", "day_model", "month_model"]);
        assert_eq!(of(&[Alias, Model]), ["hour", "day", "month"]);
        let days = CostQuery {
            group_by: vec![Alias, Day],
            ..CostQuery::default()
        };
        assert_eq!(shown(&days), ["day_alias .."]);
    }

    #[test]
    fn single_calls_are_never_those_of_two_hours() {
        let query = between("2026-03-01T12:40:00Z", "2026-03-01T13:15:00Z");
        assert_eq!(
            shown(&query),
            [
                "calls 2026-03-01T12:40:00..2026-03-01T13:00:00",
                "calls 2026-03-01T13:00:00..2026-03-01T13:15:00",
            ]
        );
    }

    #[test]
    fn the_end_of_the_calendar_is_not_the_beginning() {
        let query = CostQuery {
            from: at("9999-12-31T23:30:00Z"),
            ..CostQuery::default()
        };
        assert_eq!(
            shown(&query),
            [
                "-1 calls 9999-12-31T23:00:00..9999-12-31T23:30:00",
                "-1 hour_alias 9999-12-31T00..9999-12-31T23",
                "-1 day_total 9999-12-01..9999-12-31",
                "month_alias 9999-12..",
            ]
        );
    }

    #[test]
    fn open_ends_and_no_ends() {
        assert_eq!(shown(&CostQuery::default()), ["all .."]);
        let since = CostQuery {
            from: at("2026-03-01T00:00:00Z"),
            ..CostQuery::default()
        };
        assert_eq!(shown(&since), ["month_alias 2026-03.."]);
        let until = CostQuery {
            to: at("2026-03-01T12:00:00Z"),
            ..CostQuery::default()
        };
        assert_eq!(
            shown(&until),
            [
                "month_alias ..2026-03",
                "hour_alias 2026-03-01T00..2026-03-01T12"
            ]
        );
        let nothing = between("2026-03-02T00:00:00Z", "2026-03-01T00:00:00Z");
        assert_eq!(shown(&nothing), [""; 0]);
    }

    /// How often parts count what happens at a moment.
    fn counts(parts: &[Part], micros: i64) -> i64 {
        let inside = |part: &&Part| match &part.of {
            Source::Sums { kind, from, until } => {
                let scope = scope(kind.period(), Timestamp::from_unix_micros(micros));
                from.as_ref().is_none_or(|from| *from <= scope)
                    && until.as_ref().is_none_or(|until| scope < *until)
            }
            Source::Calls { from, until } => {
                let moment = Timestamp::from_unix_micros(micros);
                from.is_none_or(|from| from <= moment) && until.is_none_or(|until| moment < until)
            }
            Source::Task => false,
        };
        parts.iter().filter(inside).map(|part| part.times).sum()
    }

    fn groups() -> impl Strategy<Value = Vec<Dimension>> {
        proptest::sample::subsequence(Dimension::ALL.to_vec(), 0..=5)
    }

    /// How long the time is that parts read rows of a period for, in microseconds; of none, single calls.
    fn time_of(parts: &[Part], of: Option<Period>) -> i64 {
        let begin = |scope: &str| at(&format!("{scope}:00:00Z")).unwrap().unix_micros();
        let each = parts.iter().map(|part| match (&part.of, of) {
            (
                Source::Calls {
                    from: Some(from),
                    until: Some(until),
                },
                None,
            ) => until.unix_micros() - from.unix_micros(),
            (
                Source::Sums {
                    kind,
                    from: Some(from),
                    until: Some(until),
                },
                Some(period),
            ) if kind.period() == period => {
                let hour = |scope| match period {
                    Period::Day => begin(&format!("{scope}T00")),
                    _ => begin(scope),
                };
                hour(until) - hour(from)
            }
            _ => 0,
        });
        each.sum()
    }

    proptest! {
        #[test]
        fn every_moment_counts_once_if_it_is_asked_for(
            from in proptest::option::of(1_700_000_000_000_000_i64..1_760_000_000_000_000),
            length in proptest::option::of(prop_oneof![1..2 * HOUR, 1..2 * DAY, 1..600 * DAY]),
            probes in proptest::collection::vec(1_690_000_000_000_000_i64..1_830_000_000_000_000, 1..60),
            group_by in groups(),
        ) {
            let to = length.map(|length| from.unwrap_or(1_700_000_000_000_000) + length);
            let query = CostQuery {
                from: from.map(Timestamp::from_unix_micros),
                to: to.map(Timestamp::from_unix_micros),
                group_by,
                ..CostQuery::default()
            };
            let parts = cover(&query);
            let edges = from.into_iter().chain(to);
            let around = edges.flat_map(|edge| [-31 * DAY, -DAY, -HOUR, -1, 0, HOUR, DAY].map(|away| edge + away));
            for probe in probes.iter().copied().chain(around) {
                let asked = from.is_none_or(|from| from <= probe) && to.is_none_or(|to| probe < to);
                prop_assert_eq!(counts(&parts, probe), i64::from(asked), "{:?} {}", parts, probe);
            }
        }

        #[test]
        fn wherever_it_begins_and_ends_little_is_read_of_the_finer_rows(
            from in 1_700_000_000_000_000_i64..1_760_000_000_000_000,
            length in prop_oneof![1..2 * HOUR, 1..2 * DAY, 1..600 * DAY],
        ) {
            let query = CostQuery {
                from: Some(Timestamp::from_unix_micros(from)),
                to: Some(Timestamp::from_unix_micros(from + length)),
                ..CostQuery::default()
            };
            let parts = cover(&query);
            prop_assert!(time_of(&parts, None) <= HOUR, "{:?}", parts);
            prop_assert!(time_of(&parts, Some(Period::Hour)) <= DAY, "{:?}", parts);
            prop_assert!(time_of(&parts, Some(Period::Day)) <= 31 * DAY, "{:?}", parts);
        }
    }
}
