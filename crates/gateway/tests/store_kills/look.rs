//! What octo itself shows of its books.

use std::time::Duration;

use tokio::time::Instant;

use crate::books::{Books, Event};
use crate::check::{Findings, Moment, Rule, recount, rollups};
use crate::dice::Dice;
use crate::process::Running;

/// So many tasks are compared with what the API shows of them, each round.
const LOOKED_AT: usize = 4;

/// Compares some tasks, and all sums if nobody changes them meanwhile.
pub(crate) async fn look(
    octo: &Running,
    books: &Books,
    moment: Moment,
    dice: &mut Dice,
    found: &mut Findings,
) {
    let tasks: Vec<String> = books.tasks.keys().cloned().collect();
    let some: Vec<String> = (0..LOOKED_AT)
        .filter_map(|_| dice.pick(&tasks).cloned())
        .collect();
    for task_id in &some {
        shown(octo, books, task_id, found).await;
    }
    if moment == Moment::Settled {
        rollups(octo, &recount(books), &some, found).await;
    }
}

/// The API shows a task as the database has it; a task that has ended also as a stream.
async fn shown(octo: &Running, books: &Books, task_id: &str, found: &mut Findings) {
    let Some(events) = books.events.get(task_id) else {
        return;
    };
    let path = format!("/api/tasks/{task_id}");
    let Some(view) = octo.text(&path, found).await else {
        return;
    };
    for event in events {
        // The same fields in the same order, without `final`.
        let whole = format!("{}}}", event.wire.trim_end_matches(','));
        found.unless(view.contains(&whole), Rule::ApiShowsTheBooks, || {
            format!("{path} does not show {whole}")
        });
    }
    if !books.has_ended(task_id) {
        return;
    }
    let path = format!("/api/stream/task/{task_id}");
    let Some(stream) = octo.text(&path, found).await else {
        return;
    };
    // It ends with the event that ends the task. The end of a call whose gateway was killed can come later.
    let events = up_to_the_end(events);
    let mut lines = stream
        .lines()
        .filter_map(|line| line.strip_prefix("data: "));
    let mut begins = events
        .iter()
        .zip(lines.by_ref())
        .map(|(event, data)| data.starts_with(&event.wire));
    let same = begins.all(|same| same) && stream.matches("\ndata: ").count() >= events.len();
    found.unless(same, Rule::ApiShowsTheBooks, || {
        format!("{path} brings {stream}")
    });
}

/// The events up to the first that ends the task.
fn up_to_the_end(events: &[Event]) -> &[Event] {
    let ends = |event: &Event| {
        let to = |status: &str| event.wire.contains(&format!("\"to_status\":\"{status}\""));
        event.kind == "STATE_TRANSITION" && ["SUCCEEDED", "FAILED", "CANCELLED"].into_iter().any(to)
    };
    let last = events.iter().position(ends);
    last.map_or(events, |last| &events[..=last])
}

/// Waits until nothing is open that a kill has left; false if that takes longer.
pub(crate) async fn settled(octo: &Running, limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    while something_is_open(octo).await {
        if Instant::now() > deadline {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    true
}

async fn something_is_open(octo: &Running) -> bool {
    let mut ignored = Findings::default();
    let costs = octo.ask("/api/costs", &mut ignored).await;
    if costs.is_none_or(|costs| costs["total"]["open_calls"] != 0) {
        return true;
    }
    for status in ["CREATED", "RUNNING"] {
        let path = format!("/api/tasks?status={status}");
        let Some(tasks) = octo.ask(&path, &mut ignored).await else {
            return true;
        };
        let tasks = tasks["tasks"].as_array().unwrap();
        // A session stays open by itself.
        if tasks
            .iter()
            .any(|task| task["requester"]["channel"] != "v1-session")
        {
            return true;
        }
    }
    false
}
