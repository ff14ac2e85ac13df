//! The calls: each has one end, and a row that says the same.

use super::recount::Recount;
use super::{Findings, Moment, Rule};
use crate::books::{Books, CALLS};

pub(crate) fn check(books: &Books, recount: &Recount, moment: Moment, found: &mut Findings) {
    for end in &recount.surplus_ends {
        let what = format!("{end} ends a call that has ended or never began");
        found.add(Rule::OneEndPerCall, what);
    }
    for (call_id, told) in &recount.calls {
        let open = told["status"] == "started";
        found.unless(!open || moment == Moment::Open, Rule::OneEndPerCall, || {
            format!("call {call_id} of {} has no end", told["task_id"])
        });
        let Some(row) = books.calls.get(call_id) else {
            found.add(Rule::CallRow, format!("call {call_id} has no row"));
            continue;
        };
        for name in CALLS {
            found.unless(row.0[name] == told[name], Rule::CallRow, || {
                let (row, told) = (&row.0[name], &told[name]);
                format!("{name} of call {call_id} is {row}, its events say {told}")
            });
        }
    }
    for call_id in books.calls.keys() {
        let has_events = recount.calls.contains_key(call_id);
        found.unless(has_events, Rule::CallRow, || {
            format!("the row {call_id} is of no call")
        });
    }
}
