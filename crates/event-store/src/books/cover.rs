//! Which rows of sums a question about costs needs: the coarsest that cover its time exactly.

use event_payloads::Timestamp;

use super::kind::{Detail, Kind, Period};
use super::sums::hour;
use crate::{CostQuery, Dimension};

const HOUR: i64 = 3_600_000_000;
const DAY: i64 = 24 * HOUR;
/// 9999-12-31T23:00:00: no moment is later than the hour that begins here.
const LAST: i64 = 253_402_297_200_000_000;

/// A part of the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
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

/// The parts that a question adds up from. None overlaps another.
pub(crate) fn cover(query: &CostQuery) -> Vec<Part> {
    let by_day = query.group_by.contains(&Dimension::Day);
    let bounded = query.from.is_some() || query.to.is_some();
    if query.task.is_some() {
        return if bounded || by_day {
            vec![Part::Calls {
                from: query.from,
                until: query.to,
            }]
        } else {
            vec![Part::Task]
        };
    }
    let detail = Detail::of(&query.group_by);
    if !bounded {
        let period = if by_day { Period::Day } else { Period::All };
        return vec![Part::Sums {
            kind: Kind::coarsest(period, detail),
            from: None,
            until: None,
        }];
    }
    let mut cover = Cover {
        parts: Vec::new(),
        detail,
        in_months: !by_day,
    };
    cover.calls(Span {
        from: query.from.map(Timestamp::unix_micros),
        until: query.to.map(Timestamp::unix_micros),
    });
    cover.parts
}

/// From a moment up to another, in microseconds since 1970; without an end where there is none.
#[derive(Clone, Copy)]
struct Span {
    from: Option<i64>,
    until: Option<i64>,
}

impl Span {
    fn is_empty(self) -> bool {
        matches!((self.from, self.until), (Some(from), Some(until)) if from >= until)
    }

    /// The whole steps inside, and what is left before and after them. `None` if there is no whole step.
    fn split(self, up: impl Fn(i64) -> i64, down: impl Fn(i64) -> i64) -> Option<[Self; 3]> {
        let inner = Self {
            from: self.from.map(up),
            until: self.until.map(down),
        };
        // An empty middle is a step's edge inside the span: what is before and after it are two steps.
        let reversed =
            matches!((inner.from, inner.until), (Some(from), Some(until)) if from > until);
        if reversed || inner.from.is_some_and(|from| from > LAST) {
            return None;
        }
        let edge = |from, until| match (from, until) {
            (Some(from), Some(until)) => Self {
                from: Some(from),
                until: Some(until),
            },
            // Without an end there is nothing before the first or after the last step.
            _ => Self {
                from: Some(0),
                until: Some(0),
            },
        };
        Some([
            edge(self.from, inner.from),
            inner,
            edge(inner.until, self.until),
        ])
    }
}

struct Cover {
    parts: Vec<Part>,
    /// How far apart the rows have to tell calls.
    detail: Detail,
    /// True if whole months need no days.
    in_months: bool,
}

impl Cover {
    fn calls(&mut self, span: Span) {
        let Some([before, hours, after]) = span.split(|t| up(t, HOUR), |t| down(t, HOUR)) else {
            return self.push_calls(span);
        };
        self.push_calls(before);
        self.hours(hours);
        self.push_calls(after);
    }

    fn hours(&mut self, span: Span) {
        let Some([before, days, after]) = span.split(|t| up(t, DAY), |t| down(t, DAY)) else {
            return self.push(Period::Hour, span);
        };
        self.push(Period::Hour, before);
        self.days(days);
        self.push(Period::Hour, after);
    }

    fn days(&mut self, span: Span) {
        let months = self.in_months.then(|| span.split(month_after, month_of));
        let Some([before, months, after]) = months.flatten() else {
            return self.push(Period::Day, span);
        };
        self.push(Period::Day, before);
        self.push(Period::Month, months);
        self.push(Period::Day, after);
    }

    fn push_calls(&mut self, span: Span) {
        if !span.is_empty() {
            self.parts.push(Part::Calls {
                from: span.from.map(Timestamp::from_unix_micros),
                until: span.until.map(Timestamp::from_unix_micros),
            });
        }
    }

    fn push(&mut self, period: Period, span: Span) {
        if !span.is_empty() {
            self.parts.push(Part::Sums {
                kind: Kind::coarsest(period, self.detail),
                from: span.from.map(|micros| scope(period, micros)),
                until: span.until.map(|micros| scope(period, micros)),
            });
        }
    }
}

/// The scope that begins at a moment.
fn scope(period: Period, micros: i64) -> String {
    let hour = hour(Timestamp::from_unix_micros(micros));
    let length = match period {
        Period::Month => 7,
        Period::Day => 10,
        Period::All | Period::Hour | Period::Task => hour.len(),
    };
    hour.chars().take(length).collect()
}

const fn down(micros: i64, step: i64) -> i64 {
    micros.div_euclid(step).saturating_mul(step)
}

const fn up(micros: i64, step: i64) -> i64 {
    down(micros.saturating_add(step - 1), step)
}

/// The first day of the month that a day is in.
fn month_of(day: i64) -> i64 {
    let mut first = day;
    // At most 30 steps back.
    while !Timestamp::from_unix_micros(first).day().ends_with("-01") {
        first -= DAY;
    }
    first
}

/// The first day of a month that is not before a day.
fn month_after(day: i64) -> i64 {
    let mut first = day;
    while !Timestamp::from_unix_micros(first).day().ends_with("-01") {
        first += DAY;
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> Option<Timestamp> {
        Some(text.parse().unwrap())
    }

    fn shown(query: &CostQuery) -> Vec<String> {
        let parts = cover(query).into_iter().map(|part| match part {
            Part::Sums { kind, from, until } => format!(
                "{} {}..{}",
                kind.as_str(),
                from.unwrap_or_default(),
                until.unwrap_or_default()
            ),
            Part::Task => "task".to_owned(),
            Part::Calls { from, until } => format!(
                "calls {}..{}",
                from.map_or(String::new(), |at| at.to_string()),
                until.map_or(String::new(), |at| at.to_string())
            ),
        });
        parts.collect()
    }

    #[test]
    fn a_long_time_is_mostly_months() {
        let query = CostQuery {
            from: at("2026-01-30T22:30:00Z"),
            to: at("2026-04-02T01:00:00Z"),
            ..CostQuery::default()
        };
        assert_eq!(
            shown(&query),
            [
                "calls 2026-01-30T22:30:00.000000+00:00..2026-01-30T23:00:00.000000+00:00",
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
    fn sums_tell_no_more_apart_than_the_question_does() {
        let of = |group_by: &[Dimension]| {
            let query = CostQuery {
                from: at("2026-01-30T23:00:00Z"),
                to: at("2026-03-01T00:00:00Z"),
                group_by: group_by.to_vec(),
                ..CostQuery::default()
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
        let query = CostQuery {
            from: at("2026-03-01T12:30:00Z"),
            to: at("2026-03-01T13:15:00Z"),
            ..CostQuery::default()
        };
        assert_eq!(
            shown(&query),
            [
                "calls 2026-03-01T12:30:00.000000+00:00..2026-03-01T13:00:00.000000+00:00",
                "calls 2026-03-01T13:00:00.000000+00:00..2026-03-01T13:15:00.000000+00:00",
            ]
        );
    }

    #[test]
    fn the_end_of_the_calendar_is_not_the_beginning() {
        let query = CostQuery {
            from: at("9999-12-31T23:30:00Z"),
            ..CostQuery::default()
        };
        assert_eq!(shown(&query), ["calls 9999-12-31T23:30:00.000000+00:00.."]);
        let month = CostQuery {
            from: at("9999-12-02T00:00:00Z"),
            ..CostQuery::default()
        };
        assert_eq!(shown(&month), ["day_total 9999-12-02.."]);
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
        let nothing = CostQuery {
            from: at("2026-03-02T00:00:00Z"),
            to: at("2026-03-01T00:00:00Z"),
            ..CostQuery::default()
        };
        assert_eq!(shown(&nothing), [""; 0]);
    }

    /// How many parts cover a moment.
    fn covers(parts: &[Part], micros: i64) -> usize {
        let inside = |part: &&Part| match part {
            Part::Sums { kind, from, until } => {
                let scope = scope(kind.period(), micros);
                from.as_ref().is_none_or(|from| *from <= scope)
                    && until.as_ref().is_none_or(|until| scope < *until)
            }
            Part::Calls { from, until } => {
                let moment = Timestamp::from_unix_micros(micros);
                from.is_none_or(|from| from <= moment) && until.is_none_or(|until| moment < until)
            }
            Part::Task => false,
        };
        parts.iter().filter(inside).count()
    }

    fn groups() -> impl Strategy<Value = Vec<Dimension>> {
        proptest::sample::subsequence(Dimension::ALL.to_vec(), 0..=5)
    }

    proptest! {
        #[test]
        fn every_moment_is_covered_once_if_it_is_asked_for(
            from in proptest::option::of(1_700_000_000_000_000_i64..1_760_000_000_000_000),
            length in proptest::option::of(1_i64..50_000_000_000_000),
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
            let edges = from.into_iter().chain(to).flat_map(|edge| [edge - 1, edge]);
            for probe in probes.iter().copied().chain(edges) {
                let asked = from.is_none_or(|from| from <= probe) && to.is_none_or(|to| probe < to);
                prop_assert_eq!(covers(&parts, probe), usize::from(asked), "{:?} {}", parts, probe);
            }
        }
    }
}
