//! Each task by itself: its sequence, its place in the log, its status.

use std::collections::BTreeSet;

use sha2::{Digest as _, Sha256};

use super::{Findings, Moment, Rule, hex};
use crate::books::{Books, Event, Task};

const TERMINAL: [&str; 3] = ["SUCCEEDED", "FAILED", "CANCELLED"];
/// Stays open for further calls.
const SESSION: &str = "v1-session";

pub(crate) fn check(books: &Books, moment: Moment, found: &mut Findings) {
    let mut positions = BTreeSet::new();
    for (task_id, events) in &books.events {
        sequence(task_id, events, found);
        places(events, &mut positions, found);
        links(events, found);
        let status = status(task_id, events, found);
        let Some(task) = books.tasks.get(task_id) else {
            found.add(Rule::TaskRow, format!("{task_id} has events and no row"));
            continue;
        };
        row(task_id, task, events, &status, found);
        let may_stay = moment == Moment::Open || task.channel == SESSION;
        let over = may_stay || TERMINAL.contains(&status.as_str());
        found.unless(over, Rule::NothingHangs, || {
            format!("{task_id} is {status} and nobody works on it")
        });
    }
    for task_id in books.tasks.keys() {
        let has_events = books.events.contains_key(task_id);
        found.unless(has_events, Rule::NoGap, || {
            format!("{task_id} has a row and no event")
        });
    }
}

fn sequence(task_id: &str, events: &[Event], found: &mut Findings) {
    let seqs = events.iter().map(|event| event.seq);
    let whole = seqs.clone().eq((1..).take(events.len()));
    found.unless(whole, Rule::NoGap, || {
        format!("{task_id} has the events {:?}", seqs.collect::<Vec<_>>())
    });
    let begins = events
        .first()
        .is_some_and(|event| event.kind == "TASK_CREATED");
    found.unless(begins, Rule::NoGap, || {
        format!("{task_id} does not begin with TASK_CREATED")
    });
    let own: BTreeSet<&str> = events.iter().map(|event| event.id.as_str()).collect();
    for event in events {
        let known = event
            .parent
            .as_deref()
            .is_none_or(|parent| own.contains(parent));
        found.unless(known, Rule::NoGap, || {
            format!("{} answers an event that {task_id} does not have", event.id)
        });
    }
}

fn places(events: &[Event], positions: &mut BTreeSet<u64>, found: &mut Findings) {
    let mut last = 0;
    for event in events {
        let Some(position) = event.position else {
            found.add(Rule::OrderOfTheLog, format!("{} has no position", event.id));
            continue;
        };
        found.unless(position > last, Rule::OrderOfTheLog, || {
            format!("{} is at {position}, the one before at {last}", event.id)
        });
        found.unless(positions.insert(position), Rule::OrderOfTheLog, || {
            format!("{} shares the position {position}", event.id)
        });
        last = position;
    }
}

/// The hash of each event covers the one before and all of its own columns.
fn links(events: &[Event], found: &mut Findings) {
    let mut before = [0; 32];
    for event in events {
        let link = link(before, event);
        let hex = hex(&link);
        found.unless(event.hash == hex, Rule::Chain, || {
            format!("the hash of {} is {}, not {hex}", event.id, event.hash)
        });
        before = link;
    }
}

/// Number by number and text by text, each with its length before it; what may be missing says whether it is.
fn link(before: [u8; 32], event: &Event) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(before);
    for (index, column) in event.row.iter().take(12).enumerate() {
        let text = column.as_deref().unwrap_or_default();
        if matches!(index, 10 | 11) {
            hasher.update(1_u64.to_le_bytes());
            hasher.update([u8::from(column.is_some())]);
        }
        let number = matches!(index, 2 | 5).then(|| text.parse::<i64>().unwrap().to_le_bytes());
        let bytes = number.as_ref().map_or(text.as_bytes(), <[u8; 8]>::as_slice);
        hasher.update(u64::try_from(bytes.len()).unwrap().to_le_bytes());
        hasher.update(bytes);
    }
    hasher.finalize().into()
}

/// The status that the events lead to.
fn status(task_id: &str, events: &[Event], found: &mut Findings) -> String {
    let mut status = "CREATED".to_owned();
    let transitions = events
        .iter()
        .filter(|event| event.kind == "STATE_TRANSITION");
    for event in transitions {
        let word = |field: &str| event.payload[field].as_str().unwrap_or_default().to_owned();
        let legal = word("from_status") == status && !TERMINAL.contains(&status.as_str());
        found.unless(legal, Rule::TaskRow, || {
            format!("{task_id} is {status} where {} says else", event.id)
        });
        status = word("to_status");
    }
    status
}

fn row(task_id: &str, task: &Task, events: &[Event], status: &str, found: &mut Findings) {
    found.unless(task.status == status, Rule::TaskRow, || {
        format!(
            "the row of {task_id} says {}, its events say {status}",
            task.status
        )
    });
    let Some(last) = events.last() else { return };
    found.unless(
        task.latest_event == last.id
            && task.updated_at == last.ts
            && task.last_seq == Some(last.seq)
            && task.chain == last.hash,
        Rule::TaskRow,
        || format!("the row of {task_id} is {task:?}, its last event {last:?}"),
    );
}
