//! One page of the log, now or as soon as there is something for it.

use std::time::Duration;

use event_payloads::EventPage;
use event_store::LogQuery;
use tokio::time::Instant;

use crate::app::App;
use crate::http::{ApiError, stream};

/// Reads a page. If it has no event, waits for one, at most so long; the page is empty if none comes or the
/// gateway ends. Its `next` has moved over what was looked at all the same.
pub(super) async fn read(
    app: &App,
    mut asked: LogQuery,
    wait: Duration,
) -> Result<EventPage, ApiError> {
    let until = Instant::now() + wait;
    let mut head = app.store.head();
    let mut place = None;
    loop {
        // Seen before it is read: what is recorded meanwhile wakes this again.
        head.mark_unchanged();
        let page = app.store.log(asked.clone()).await?;
        let over = Instant::now() >= until || app.closing.is_cancelled();
        if !page.events.is_empty() || over {
            return Ok(page);
        }
        asked.after = page.next;
        if !page.caught_up {
            continue;
        }
        if place.is_none() {
            place = Some(stream::place(app)?);
        }
        let recorded = tokio::select! {
            changed = head.changed() => changed.is_ok(),
            () = tokio::time::sleep_until(until) => false,
            () = app.closing.cancelled() => false,
        };
        if !recorded {
            return Ok(page);
        }
    }
}
