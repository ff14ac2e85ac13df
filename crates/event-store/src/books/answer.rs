//! An answer about costs, put together from its parts.

use std::collections::BTreeMap;

use super::sums::Sums;
use crate::{CostRow, Dimension, StoreError};

/// Puts the parts of an answer together, in the order of their groups.
#[derive(Debug, Default)]
pub(crate) struct Answer(BTreeMap<Vec<String>, (Sums, u64)>);

impl Answer {
    pub(crate) fn add(&mut self, group: Vec<String>, sums: &Sums) {
        self.0.entry(group).or_default().0.add(sums, 1);
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
