//! Writing the end of a call, which has to succeed.

use std::time::Duration;

use event_payloads::Event;
use event_store::{Commit, EventStore, StoreError};

/// Pauses before each further try: 50 ms, doubled up to 5 s, about a minute in all.
const TRIES: u32 = 18;
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Appends a commit that must not be lost: a full disk or a locked database is waited out.
///
/// When it does not pass, the call stays open in the store, and the next start closes it.
pub(crate) async fn append_surely(
    store: &dyn EventStore,
    commit: Commit,
) -> Result<Vec<Event>, StoreError> {
    let mut pause = FIRST_PAUSE;
    for tries in 0..TRIES - 1 {
        match store.append(commit.clone()).await {
            // An earlier try was recorded after all, although the storage said that it had failed.
            Err(StoreError::CallAlreadyEnded { .. }) if tries > 0 => return Ok(Vec::new()),
            Err(error) if !error.is_refusal() && !error.is_closed() => {
                let task_id = &commit.task_id;
                tracing::error!(%task_id, %error, "cannot record the end of a call yet, trying again");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            outcome => return outcome,
        }
    }
    store.append(commit).await
}
