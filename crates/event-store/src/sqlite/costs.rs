//! Reading model calls and adding them up.

use event_payloads::TaskId;
use rusqlite::{Connection, params_from_iter};

use super::failure::Failure;
use super::row;
use crate::books::cover::cover;
use crate::rows::{self, Answer, Row as _};
use crate::sql::{self, Question};
use crate::{Call, CostQuery, CostRow};

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
        let Question { sql, values } = sql::sums(query, &part);
        let sums = row::all(&snapshot, &sql, params_from_iter(values), |row| {
            Ok((rows::group(row, &query.group_by)?, rows::sums(row)?))
        })?;
        for (group, sums) in sums {
            answer.add(group, &sums);
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
