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

/// How far apart the sums of a period tell its calls: by which of their words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Detail {
    /// One row, however many aliases and models there are.
    Total,
    /// A row an alias and its category: an alias mostly has one.
    Alias,
    /// A row a model and its provider: a model mostly has one.
    Model,
    /// A row for every alias, category, model and provider that came together.
    Words,
}

impl Detail {
    /// What rows have to tell apart to be added up by these.
    pub(crate) fn of(group_by: &[Dimension]) -> Self {
        let by = |dimensions: [Dimension; 2]| group_by.iter().any(|by| dimensions.contains(by));
        let alias = by([Dimension::Alias, Dimension::Category]);
        let model = by([Dimension::Model, Dimension::Provider]);
        match (alias, model) {
            (false, false) => Self::Total,
            (true, false) => Self::Alias,
            (false, true) => Self::Model,
            (true, true) => Self::Words,
        }
    }

    /// What is left of a call's alias, category, model and provider.
    pub(crate) const fn words(self, words: [&str; 4]) -> [&str; 4] {
        let [alias, category, model, provider] = words;
        match self {
            Self::Total => [""; 4],
            Self::Alias => [alias, category, "", ""],
            Self::Model => ["", "", model, provider],
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
    pub(crate) const EACH: [Self; 12] = [
        Self::new(Period::All, Detail::Words),
        Self::new(Period::Month, Detail::Alias),
        Self::new(Period::Month, Detail::Model),
        Self::new(Period::Month, Detail::Words),
        Self::new(Period::Day, Detail::Total),
        Self::new(Period::Day, Detail::Alias),
        Self::new(Period::Day, Detail::Model),
        Self::new(Period::Day, Detail::Words),
        Self::new(Period::Hour, Detail::Alias),
        Self::new(Period::Hour, Detail::Model),
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
            (Period::Month, Detail::Model) => "month_model",
            (Period::Month, Detail::Alias | Detail::Total) => "month_alias",
            (Period::Day, Detail::Words) => "day",
            (Period::Day, Detail::Model) => "day_model",
            (Period::Day, Detail::Alias) => "day_alias",
            (Period::Day, Detail::Total) => "day_total",
            (Period::Hour, Detail::Words) => "hour",
            (Period::Hour, Detail::Model) => "hour_model",
            (Period::Hour, Detail::Alias | Detail::Total) => "hour_alias",
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
    fn what_is_read_tells_enough_apart_and_nothing_coarser_would() {
        let tells = |detail: Detail, least: Detail| {
            detail == least || detail == Detail::Words || least == Detail::Total
        };
        let details = [Detail::Total, Detail::Alias, Detail::Model, Detail::Words];
        for period in Kind::EACH.map(Kind::period) {
            for least in details {
                let would_do = Kind::EACH
                    .into_iter()
                    .filter(|kind| kind.period == period && tells(kind.detail, least));
                assert_eq!(Some(Kind::coarsest(period, least)), would_do.min());
            }
        }
    }

    #[test]
    fn a_question_needs_no_more_words_than_it_groups_by() {
        use Dimension::{Alias, Category, Day, Model, Provider};
        assert_eq!(Detail::of(&[]), Detail::Total);
        assert_eq!(Detail::of(&[Day]), Detail::Total);
        for by in [vec![Alias, Day], vec![Category], vec![Category, Alias]] {
            assert_eq!(Detail::of(&by), Detail::Alias, "{by:?}");
        }
        for by in [vec![Provider], vec![Day, Model], vec![Model, Provider]] {
            assert_eq!(Detail::of(&by), Detail::Model, "{by:?}");
        }
        for by in [[Alias, Model], [Provider, Category]] {
            assert_eq!(Detail::of(&by), Detail::Words, "{by:?}");
        }
    }
}
