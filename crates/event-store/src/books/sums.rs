//! What ended calls add up to, by the rows that sums are kept in.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use event_payloads::{Picodollars, PrunedCalls, TaskId, Timestamp, Usd};

use super::call::CallRow;
use super::kind::{Detail, Kind, Period};
use crate::rows::corrupt;
use crate::{CallStatus, CostRow, Dimension, StoreError, Tokens};

/// Which row of sums: its kind, what exactly it is over, and the words that its calls have in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SumKey {
    pub(crate) kind: Kind,
    /// `2026-03`, `2026-03-01`, `2026-03-01T12`, a task, or empty for all.
    pub(crate) scope: String,
    pub(crate) alias: String,
    pub(crate) category: String,
    pub(crate) model: String,
    pub(crate) provider: String,
}

/// The hour of a moment: `2026-03-01T12`.
pub(crate) fn hour(moment: Timestamp) -> String {
    let mut text = moment.to_string();
    // What precedes the minutes: years beyond 9999 are longer.
    let end = text.find(':').unwrap_or(text.len());
    text.truncate(end);
    text
}

impl SumKey {
    fn new(kind: Kind, scope: &str, words: [&str; 4]) -> Self {
        let [alias, category, model, provider] = kind.detail().words(words).map(ToOwned::to_owned);
        Self {
            kind,
            scope: scope.to_owned(),
            alias,
            category,
            model,
            provider,
        }
    }

    /// The row of an hour that a call counts in, told apart from others by all of its words.
    pub(crate) fn of_hour(hour: &str, row: &CallRow) -> Self {
        let kind = Kind::coarsest(Period::Hour, Detail::Words);
        Self::new(kind, hour, words(row))
    }

    /// The rows that what started in an hour counts in.
    fn all_of(hour: &str, task_id: &TaskId, words: [&str; 4]) -> [Self; Kind::EACH.len()] {
        let day = hour.split('T').next().unwrap_or_default();
        let month = day.rsplit_once('-').map_or(day, |(month, _)| month);
        Kind::EACH.map(|kind| {
            let scope = match kind.period() {
                Period::All => "",
                Period::Month => month,
                Period::Day => day,
                Period::Hour => hour,
                Period::Task => task_id.as_str(),
            };
            Self::new(kind, scope, words)
        })
    }
}

/// What tells a call from others.
pub(crate) fn words(row: &CallRow) -> [&str; 4] {
    let call = &row.call;
    [&call.alias, &call.category, &call.model, &call.provider].map(String::as_str)
}

/// Sums over calls that have ended; as a change, parts of it are negative.
///
/// Money is kept wide, so that no number of calls, however absurd their costs, makes it overflow. SQL
/// has it as whole dollars and what is left below one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    pub(crate) calls: i64,
    pub(crate) calls_without_cost: i64,
    pub(crate) fallback_calls: i64,
    pub(crate) failed_calls: i64,
    pub(crate) drift_calls: i64,
    pub(crate) estimated_calls: i64,
    pub(crate) corrected_calls: i64,
    /// In picodollars.
    pub(crate) cost: i128,
    /// In picodollars.
    pub(crate) recorded_cost: i128,
    pub(crate) tokens: [i64; 6],
}

/// Picodollars in a dollar.
pub(crate) const DOLLAR: i128 = 1_000_000_000_000;

/// Money as two columns: whole dollars, and picodollars below one; of a change that lowers a sum, both
/// negative.
pub(crate) fn dollars(pico: i128) -> (i64, i64) {
    let part = |value: i128| i64::try_from(value).unwrap_or(i64::MAX);
    (part(pico / DOLLAR), part(pico % DOLLAR))
}

impl Sums {
    /// Puts the two columns together.
    pub(crate) fn money(dollars: i64, pico: i64) -> i128 {
        i128::from(dollars) * DOLLAR + i128::from(pico)
    }

    /// What a call counts: nothing before it has ended.
    pub(crate) fn of(row: &CallRow) -> Self {
        let call = &row.call;
        if call.status == CallStatus::Started {
            return Self::default();
        }
        let pico = |cost: Option<Picodollars>| cost.map_or(0, |cost| i128::from(cost.get()));
        Self {
            calls: 1,
            calls_without_cost: i64::from(call.cost.is_none()),
            fallback_calls: i64::from(call.is_fallback),
            failed_calls: i64::from(call.status == CallStatus::Failed),
            drift_calls: i64::from(call.drift),
            estimated_calls: i64::from(call.estimated),
            corrected_calls: i64::from(row.corrections > 0),
            cost: pico(call.cost),
            recorded_cost: pico(call.recorded.unwrap_or(call.cost)),
            tokens: call.tokens.map_or([0; 6], columns),
        }
    }

    pub(crate) fn is_zero(&self) -> bool {
        *self == Self::default()
    }

    /// Adds others, or with -1 takes them away.
    pub(crate) fn add(&mut self, other: &Self, times: i64) {
        // What a tampered tombstone says can be anything.
        let add = |sum: &mut i64, more: i64| *sum = sum.saturating_add(more.saturating_mul(times));
        add(&mut self.calls, other.calls);
        add(&mut self.calls_without_cost, other.calls_without_cost);
        add(&mut self.fallback_calls, other.fallback_calls);
        add(&mut self.failed_calls, other.failed_calls);
        add(&mut self.drift_calls, other.drift_calls);
        add(&mut self.estimated_calls, other.estimated_calls);
        add(&mut self.corrected_calls, other.corrected_calls);
        self.cost += other.cost * i128::from(times);
        self.recorded_cost += other.recorded_cost * i128::from(times);
        for (mine, others) in self.tokens.iter_mut().zip(other.tokens) {
            add(mine, others);
        }
    }

    /// The sums of what is recorded no more.
    pub(crate) fn of_pruned(pruned: &PrunedCalls) -> Self {
        let pico = |usd: Usd| i128::from(usd.to_picodollars().get());
        let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        Self {
            calls: count(pruned.calls),
            calls_without_cost: count(pruned.calls_without_cost),
            fallback_calls: count(pruned.fallback_calls),
            failed_calls: count(pruned.failed_calls),
            drift_calls: count(pruned.drift_calls),
            estimated_calls: count(pruned.estimated_calls),
            corrected_calls: count(pruned.corrected_calls),
            cost: pico(pruned.cost_usd),
            recorded_cost: pico(pruned.recorded_cost_usd),
            tokens: columns(Tokens {
                prompt: pruned.prompt_tokens,
                completion: pruned.completion_tokens,
                total: pruned.total_tokens,
                cached: pruned.cached_tokens,
                cache_creation: pruned.cache_creation_tokens,
                reasoning: pruned.reasoning_tokens,
            }),
        }
    }

    /// What a tombstone keeps of them.
    ///
    /// # Errors
    /// They do not fit what an event can say.
    pub(crate) fn to_pruned(self, key: &SumKey) -> Result<PrunedCalls, StoreError> {
        let row = self.row(Vec::new())?;
        let usd = |pico: Picodollars| pico.to_usd().map_err(|_| StoreError::Overflow);
        Ok(PrunedCalls {
            hour: key.scope.clone(),
            alias: key.alias.clone(),
            category: key.category.clone(),
            model: key.model.clone(),
            provider: key.provider.clone(),
            calls: row.calls,
            calls_without_cost: row.calls_without_cost,
            fallback_calls: row.fallback_calls,
            failed_calls: row.failed_calls,
            drift_calls: row.drift_calls,
            estimated_calls: row.estimated_calls,
            corrected_calls: row.corrected_calls,
            cost_usd: usd(row.cost)?,
            recorded_cost_usd: usd(row.recorded_cost)?,
            prompt_tokens: row.tokens.prompt,
            completion_tokens: row.tokens.completion,
            total_tokens: row.tokens.total,
            cached_tokens: row.tokens.cached,
            cache_creation_tokens: row.tokens.cache_creation,
            reasoning_tokens: row.tokens.reasoning,
        })
    }

    /// As an answer.
    ///
    /// # Errors
    /// [`StoreError::Overflow`] if money does not fit, [`StoreError::Corrupt`] if they count less than nothing.
    pub(crate) fn row(self, key: Vec<(Dimension, String)>) -> Result<CostRow, StoreError> {
        let pico = |pico: i128| {
            let pico = i64::try_from(pico).map_err(|_| StoreError::Overflow)?;
            Ok::<_, StoreError>(Picodollars::new(pico))
        };
        let count = |count: i64| u64::try_from(count).map_err(|_| less_than_nothing());
        let [prompt, completion, total, cached, cache_creation, reasoning] = self.tokens;
        Ok(CostRow {
            key,
            calls: count(self.calls)?,
            open_calls: 0,
            calls_without_cost: count(self.calls_without_cost)?,
            fallback_calls: count(self.fallback_calls)?,
            failed_calls: count(self.failed_calls)?,
            drift_calls: count(self.drift_calls)?,
            estimated_calls: count(self.estimated_calls)?,
            corrected_calls: count(self.corrected_calls)?,
            cost: pico(self.cost)?,
            recorded_cost: pico(self.recorded_cost)?,
            tokens: Tokens {
                prompt: count(prompt)?,
                completion: count(completion)?,
                total: count(total)?,
                cached: count(cached)?,
                cache_creation: count(cache_creation)?,
                reasoning: count(reasoning)?,
            },
        })
    }
}

fn less_than_nothing() -> StoreError {
    corrupt(
        "a sum of costs",
        "it counts less than nothing; `octo store verify` says which rows are wrong, `octo store rebuild` mends them",
    )
}

fn columns(tokens: Tokens) -> [i64; 6] {
    [
        tokens.prompt,
        tokens.completion,
        tokens.total,
        tokens.cached,
        tokens.cache_creation,
        tokens.reasoning,
    ]
    .map(|count| i64::try_from(count).unwrap_or(i64::MAX))
}

/// Changes of rows of sums.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes(pub(crate) BTreeMap<SumKey, Sums>);

impl Changes {
    /// A call is another than before.
    pub(crate) fn call(&mut self, before: &CallRow, after: &CallRow) {
        for (row, times) in [(before, -1), (after, 1)] {
            let sums = Sums::of(row);
            if sums.is_zero() {
                continue;
            }
            let call = &row.call;
            self.add(
                &hour(call.started_at),
                &call.task_id,
                words(row),
                &sums,
                times,
            );
        }
    }

    /// What a tombstone of a task says about its calls.
    pub(crate) fn pruned(&mut self, task_id: &TaskId, pruned: &PrunedCalls) {
        let words = [
            pruned.alias.as_str(),
            pruned.category.as_str(),
            pruned.model.as_str(),
            pruned.provider.as_str(),
        ];
        self.add(&pruned.hour, task_id, words, &Sums::of_pruned(pruned), 1);
    }

    fn add(&mut self, hour: &str, task_id: &TaskId, words: [&str; 4], sums: &Sums, times: i64) {
        for key in SumKey::all_of(hour, task_id, words) {
            self.0.entry(key).or_default().add(sums, times);
        }
    }

    /// The rows of tasks, and those that tasks share.
    pub(crate) fn split(self) -> (Self, Self) {
        let (own, shared) = self
            .0
            .into_iter()
            .partition(|(key, _)| key.kind.period() == Period::Task);
        (Self(own), Self(shared))
    }

    /// Takes others in. Rows that come to nothing stay out.
    pub(crate) fn merge(&mut self, others: Self) {
        for (key, sums) in others.0 {
            match self.0.entry(key) {
                Entry::Vacant(entry) if !sums.is_zero() => drop(entry.insert(sums)),
                Entry::Vacant(_) => {}
                Entry::Occupied(mut entry) => {
                    entry.get_mut().add(&sums, 1);
                    if entry.get().is_zero() {
                        entry.remove();
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_hour_counts_in_its_day_its_month_and_its_task() {
        let noon = Timestamp::from_unix_micros(1_772_366_400_000_000);
        assert_eq!(hour(noon), "2026-03-01T12");
        let task_id = "t".parse().unwrap();
        let rows = SumKey::all_of(&hour(noon), &task_id, ["a", "c", "m", "p"]);
        let rows = rows.map(|key| {
            let words = [key.alias, key.category, key.model, key.provider].concat();
            format!("{} {} {words}", key.kind.as_str(), key.scope)
        });
        assert_eq!(
            rows,
            [
                "all  acmp",
                "month_alias 2026-03 ac",
                "month_model 2026-03 mp",
                "month 2026-03 acmp",
                "day_total 2026-03-01 ",
                "day_alias 2026-03-01 ac",
                "day_model 2026-03-01 mp",
                "day 2026-03-01 acmp",
                "hour_alias 2026-03-01T12 ac",
                "hour_model 2026-03-01T12 mp",
                "hour 2026-03-01T12 acmp",
                "task t acmp",
            ]
        );
    }

    proptest! {
        #[test]
        fn money_survives_its_two_columns(pico in -(1_i128 << 90)..(1 << 90)) {
            let (dollars, rest) = dollars(pico);
            prop_assert!((-999_999_999_999..=999_999_999_999).contains(&rest));
            prop_assert_eq!(Sums::money(dollars, rest), pico);
        }
    }
}
