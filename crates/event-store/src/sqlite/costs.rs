//! Reading model calls and adding them up.

use event_payloads::TaskId;
use rusqlite::{Connection, params_from_iter};

use super::failure::Failure;
use super::row;
use crate::books::answer::Answer;
use crate::books::cover::{Source, cover};
use crate::rows::{self, Row as _};
use crate::sql::{self, Question, Witness};
use crate::{Call, CostQuery, CostRow, StoreError};

pub(crate) fn calls(conn: &Connection, task_id: &TaskId) -> Result<Vec<Call>, Failure> {
    row::all(conn, &sql::calls(), [task_id.as_str()], |row| {
        Ok(rows::call(row)?.call)
    })
}

/// All parts see the same moment.
pub(crate) fn rollup(conn: &Connection, query: &CostQuery) -> Result<Vec<CostRow>, Failure> {
    let snapshot = conn.unchecked_transaction()?;
    let mut answer = Answer::default();
    for part in cover(query) {
        refuse_pruned(&snapshot, query, &part.of)?;
        let Question { sql, values } = sql::sums(query, &part.of);
        let sums = row::all(&snapshot, &sql, params_from_iter(values), |row| {
            Ok((rows::group(row, &query.group_by)?, rows::sums(row)?))
        })?;
        for (group, sums) in sums {
            answer.add(group, &sums, part.times);
        }
    }
    let Question { sql, values } = sql::open_sums(query);
    let open = row::all(&snapshot, &sql, params_from_iter(values), |row| {
        let calls = row.count("calls").unwrap_or_default();
        Ok((rows::group(row, &query.group_by)?, calls))
    })?;
    for (group, calls) in open {
        answer.add_open(group, calls);
    }
    Ok(answer.rows(&query.group_by)?)
}

/// Single calls answer only where none of them was pruned.
fn refuse_pruned(conn: &Connection, query: &CostQuery, source: &Source) -> Result<(), Failure> {
    let Some(Witness { when, kept, there }) = sql::witness(query, source) else {
        return Ok(());
    };
    let count = |question: Question| -> Result<i64, Failure> {
        let values = params_from_iter(question.values);
        Ok(conn.query_row(&question.sql, values, |row| row.get(0))?)
    };
    if count(kept)? == count(there)? {
        return Ok(());
    }
    Err(StoreError::Pruned { when }.into())
}
