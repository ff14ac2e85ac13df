//! An answer about costs, put together from its parts.

use std::collections::BTreeMap;

use super::sums::Sums;
use crate::{CostRow, Dimension, StoreError};

/// Puts the parts of an answer together, in the order of their groups.
#[derive(Debug, Default)]
pub(crate) struct Answer(BTreeMap<Vec<String>, (Sums, u64)>);

impl Answer {
    /// Counts sums so many times: -1 takes them away.
    pub(crate) fn add(&mut self, group: Vec<String>, sums: &Sums, times: i64) {
        self.0.entry(group).or_default().0.add(sums, times);
    }

    pub(crate) fn add_open(&mut self, group: Vec<String>, calls: u64) {
        self.0.entry(group).or_default().1 += calls;
    }

    /// One row a group; one row in all if nothing is grouped.
    pub(crate) fn rows(mut self, group_by: &[Dimension]) -> Result<Vec<CostRow>, StoreError> {
        if group_by.is_empty() {
            self.0.entry(Vec::new()).or_default();
        }
        let rows = self
            .0
            .into_iter()
            .filter(|(group, (sums, open))| group.is_empty() || sums.calls != 0 || *open != 0);
        rows.map(|(group, (sums, open))| {
            let key = group_by.iter().copied().zip(group).collect();
            let row = sums.row(key)?;
            Ok(CostRow {
                calls: row.calls + open,
                open_calls: open,
                ..row
            })
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use event_payloads::{Picodollars, Timestamp};
    use proptest::prelude::*;

    use super::*;
    use crate::books::call::CallRow;
    use crate::books::cover::{Part, Source, cover};
    use crate::books::sums::{Changes, SumKey, words};
    use crate::{Call, CallStatus, CostQuery};

    const HOUR: i64 = 3_600_000_000;

    /// A moment of half a year: odd, or where an hour, a day or a month begins.
    fn moment() -> impl Strategy<Value = Timestamp> {
        let odd = 1_756_000_000_000_000_i64..1_772_000_000_000_000;
        (odd, 0..4).prop_map(|(odd, edge)| {
            let at = Timestamp::from_unix_micros;
            match edge {
                0 => at(odd),
                1 => at(odd - odd % HOUR),
                2 => at(odd - odd % (24 * HOUR)),
                _ => format!("{}-01T00:00:00Z", &at(odd).day()[..7])
                    .parse()
                    .unwrap(),
            }
        })
    }

    fn open_call(started_at: Timestamp, [alias, category, model, provider]: [&str; 4]) -> CallRow {
        let started = serde_json::json!({
            "event_id": "e", "task_id": "t", "task_seq": 1, "type": "MODEL_CALL_STARTED",
            "actor": "system", "ts": started_at, "payload": {},
        });
        let started: event_payloads::Event = serde_json::from_value(started).unwrap();
        let mut row = CallRow::started((&started).into(), None);
        row.call = Call {
            alias: alias.to_owned(),
            category: category.to_owned(),
            model: model.to_owned(),
            provider: provider.to_owned(),
            ..row.call
        };
        row
    }

    fn ended(open: &CallRow, pico: i64) -> CallRow {
        let mut row = open.clone();
        row.call.status = CallStatus::Completed;
        row.call.cost = Some(Picodollars::new(pico));
        row
    }

    fn group(query: &CostQuery, day: &str, words: [&str; 4]) -> Vec<String> {
        let [alias, category, model, provider] = words;
        let value = |dimension: &Dimension| match dimension {
            Dimension::Day => day,
            Dimension::Alias => alias,
            Dimension::Category => category,
            Dimension::Model => model,
            Dimension::Provider => provider,
        };
        let values = query.group_by.iter().map(|each| value(each).to_owned());
        values.collect()
    }

    fn within<T: PartialOrd>(from: Option<&T>, value: &T, until: Option<&T>) -> bool {
        from.is_none_or(|from| from <= value) && until.is_none_or(|until| value < until)
    }

    /// A part of an answer, from the rows and calls that a database would have.
    fn add(answer: &mut Answer, query: &CostQuery, part: &Part, kept: &Changes, calls: &[CallRow]) {
        match &part.of {
            Source::Sums { kind, from, until } => {
                let inside = |key: &SumKey| {
                    key.kind == *kind && within(from.as_ref(), &key.scope, until.as_ref())
                };
                for (key, sums) in kept.0.iter().filter(|(key, _)| inside(key)) {
                    let words = [&key.alias, &key.category, &key.model, &key.provider];
                    let day = key.scope.get(..10).unwrap_or_default();
                    answer.add(
                        group(query, day, words.map(String::as_str)),
                        sums,
                        part.times,
                    );
                }
            }
            Source::Calls { from, until } => {
                let inside =
                    |row: &&CallRow| within(from.as_ref(), &row.call.started_at, until.as_ref());
                for row in calls.iter().filter(inside) {
                    let day = row.call.started_at.day();
                    answer.add(group(query, &day, words(row)), &Sums::of(row), part.times);
                }
            }
            Source::Task => unreachable!("no task was asked for"),
        }
    }

    #[test]
    fn sums_that_have_less_than_is_taken_away_are_damaged() {
        let call = Sums {
            calls: 1,
            ..Sums::default()
        };
        let mut answer = Answer::default();
        answer.add(Vec::new(), &call, 1);
        answer.add(Vec::new(), &call, -1);
        answer.add(Vec::new(), &call, -1);
        let error = answer.rows(&[]).unwrap_err();
        assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
        assert!(error.to_string().contains("octo store verify"), "{error}");
    }

    proptest! {
        #[test]
        fn sums_answer_what_the_calls_add_up_to(
            calls in proptest::collection::vec((moment(), proptest::array::uniform4(0..3_usize), 1..1_000_i64), 1..40),
            from in proptest::option::of(moment()),
            to in proptest::option::of(moment()),
            group_by in proptest::sample::subsequence(Dimension::ALL.to_vec(), 0..=5),
        ) {
            let mut kept = Changes::default();
            let calls: Vec<_> = calls
                .into_iter()
                .map(|(at, words, pico)| {
                    let before = open_call(at, words.map(|word| ["", "a", "b"][word]));
                    let after = ended(&before, pico);
                    kept.call(&before, &after);
                    after
                })
                .collect();
            let query = CostQuery { from, to, task: None, group_by };
            let mut said = Answer::default();
            for part in cover(&query) {
                add(&mut said, &query, &part, &kept, &calls);
            }
            let mut right = Answer::default();
            let one_by_one = Part {
                of: Source::Calls { from, until: to },
                times: 1,
            };
            add(&mut right, &query, &one_by_one, &kept, &calls);
            let rows = |answer: Answer| answer.rows(&query.group_by).unwrap();
            prop_assert_eq!(rows(said), rows(right), "{:?}", query);
        }
    }
}
