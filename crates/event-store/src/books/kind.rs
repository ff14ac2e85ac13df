//! Which rows of sums there are: over what, and how far apart they tell the calls.

use crate::Dimension;

/// What a sum is over: a stretch of time, or one task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Period {
    All,
    Month,
    Day,
    Hour,
    Task,
}

/// How far apart the sums of a period tell its calls: by how many of their words. The coarsest comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Detail {
    /// One row, however many aliases and models there are.
    Total,
    /// A row an alias.
    Alias,
    /// A row for every alias, category, model and provider that came together.
    Words,
}

impl Detail {
    /// What rows have to tell apart to be added up by these.
    pub(crate) fn of(group_by: &[Dimension]) -> Self {
        let needed = group_by.iter().map(|dimension| match dimension {
            Dimension::Day => Self::Total,
            Dimension::Alias => Self::Alias,
            Dimension::Category | Dimension::Model | Dimension::Provider => Self::Words,
        });
        needed.max().unwrap_or(Self::Total)
    }

    /// What is left of a call's alias, category, model and provider.
    pub(crate) const fn words(self, words: [&str; 4]) -> [&str; 4] {
        let [alias, ..] = words;
        match self {
            Self::Total => [""; 4],
            Self::Alias => [alias, "", "", ""],
            Self::Words => words,
        }
    }
}

/// The rows of sums of one kind.
///
/// An ended call changes a row of each kind, so only those are kept that spare a question many rows: a total
/// of months or hours would be little less than their few aliases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Kind {
    period: Period,
    detail: Detail,
}

impl Kind {
    /// All that are kept.
    pub(crate) const EACH: [Self; 9] = [
        Self::new(Period::All, Detail::Words),
        Self::new(Period::Month, Detail::Alias),
        Self::new(Period::Month, Detail::Words),
        Self::new(Period::Day, Detail::Total),
        Self::new(Period::Day, Detail::Alias),
        Self::new(Period::Day, Detail::Words),
        Self::new(Period::Hour, Detail::Alias),
        Self::new(Period::Hour, Detail::Words),
        Self::TASK,
    ];

    pub(crate) const TASK: Self = Self::new(Period::Task, Detail::Words);

    const fn new(period: Period, detail: Detail) -> Self {
        Self { period, detail }
    }

    /// The coarsest rows of a period that tell at least so much apart.
    pub(crate) const fn coarsest(period: Period, least: Detail) -> Self {
        let detail = match (period, least) {
            (Period::All | Period::Task, _) => Detail::Words,
            (Period::Month | Period::Hour, Detail::Total) => Detail::Alias,
            (Period::Month | Period::Day | Period::Hour, kept) => kept,
        };
        Self::new(period, detail)
    }

    pub(crate) const fn period(self) -> Period {
        self.period
    }

    pub(crate) const fn detail(self) -> Detail {
        self.detail
    }

    /// The word in SQL.
    pub(crate) const fn as_str(self) -> &'static str {
        match (self.period, self.detail) {
            (Period::All, _) => "all",
            (Period::Month, Detail::Words) => "month",
            (Period::Month, _) => "month_alias",
            (Period::Day, Detail::Words) => "day",
            (Period::Day, Detail::Alias) => "day_alias",
            (Period::Day, Detail::Total) => "day_total",
            (Period::Hour, Detail::Words) => "hour",
            (Period::Hour, _) => "hour_alias",
            (Period::Task, _) => "task",
        }
    }

    /// The kind that a word in SQL names.
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        Self::EACH.into_iter().find(|kind| kind.as_str() == word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_word_of_its_own() {
        for kind in Kind::EACH {
            assert_eq!(Kind::from_word(kind.as_str()), Some(kind));
        }
        assert_eq!(Kind::from_word("week"), None);
    }

    #[test]
    fn the_coarsest_is_kept_and_none_that_would_do_is_coarser() {
        let periods = Kind::EACH.map(Kind::period);
        for period in periods {
            for least in [Detail::Total, Detail::Alias, Detail::Words] {
                let would_do = Kind::EACH
                    .into_iter()
                    .filter(|kind| kind.period == period && kind.detail >= least);
                assert_eq!(Some(Kind::coarsest(period, least)), would_do.min());
            }
        }
    }

    #[test]
    fn a_question_needs_as_much_as_the_finest_that_it_groups_by() {
        use Dimension::{Alias, Category, Day, Model, Provider};
        assert_eq!(Detail::of(&[]), Detail::Total);
        assert_eq!(Detail::of(&[Day]), Detail::Total);
        assert_eq!(Detail::of(&[Alias, Day]), Detail::Alias);
        for finest in [Category, Model, Provider] {
            assert_eq!(Detail::of(&[finest, Alias]), Detail::Words);
        }
    }
}
