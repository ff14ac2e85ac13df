//! Writing the end of a call, or what it cost after all, which has to succeed.

use std::time::Duration;

use event_payloads::{Event, EventId, EventType, Payload};
use event_store::{Commit, EventStore, Parent, StoreError};

/// With pauses before each further try of 50 ms, doubled up to 5 s: about a minute in all.
const TRIES: u32 = 18;
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Appends a commit that must not be lost: a full disk or a locked database is waited out.
///
/// When it does not pass, the call stays open in the store until the next look at what is left over closes
/// it. A call that somebody else has ended meanwhile is refused: that end is not this one.
pub(crate) async fn append_surely(
    store: &dyn EventStore,
    commit: Commit,
) -> Result<(), StoreError> {
    let mut pause = FIRST_PAUSE;
    let mut tries = 1;
    loop {
        let error = match append(store, &commit, tries > 1).await {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        if error.is_refusal() || error.is_closed() || tries == TRIES {
            return Err(error);
        }
        let task_id = &commit.task_id;
        tracing::error!(%task_id, %error, "cannot record the end of a call yet, trying again");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
        tries += 1;
    }
}

/// One try.
async fn append(
    store: &dyn EventStore,
    commit: &Commit,
    is_repeated: bool,
) -> Result<(), StoreError> {
    // Nothing would refuse a correction that is there already.
    if is_repeated && is_corrected(store, commit).await? {
        return Ok(());
    }
    match store.append(commit.clone()).await {
        // An earlier try was recorded after all, although the storage said that it had failed.
        Err(StoreError::CallAlreadyEnded { .. })
            if is_repeated && is_recorded(store, commit).await? =>
        {
            Ok(())
        }
        outcome => outcome.map(drop),
    }
}

/// True if a commit corrects a call of unknown cost whose cost is known by now.
async fn is_corrected(store: &dyn EventStore, commit: &Commit) -> Result<bool, StoreError> {
    let correction = commit.events.iter().find_map(|event| match &event.payload {
        Payload::CostCorrected(correction) => Some(correction),
        _ => None,
    });
    let Some(correction) = correction else {
        return Ok(false);
    };
    let calls = store.calls(&commit.task_id).await?;
    Ok(calls
        .iter()
        .any(|call| call.call_id == correction.call_id && call.cost.is_some()))
}

/// How many events are read at once.
const PAGE: usize = 256;

/// True if the end of a call that a commit holds is the one that the log has.
async fn is_recorded(store: &dyn EventStore, commit: &Commit) -> Result<bool, StoreError> {
    for event in &commit.events {
        let kind = event.payload.event_type();
        let Parent::Event(call_id) = &event.parent else {
            continue;
        };
        if !is_end(&kind) {
            continue;
        }
        let recorded = end_of(store, call_id).await?;
        let ours = event.payload.to_json().ok();
        return Ok(recorded.is_some_and(|end| end.event_type == kind && Some(end.payload) == ours));
    }
    Ok(false)
}

const fn is_end(kind: &EventType) -> bool {
    matches!(
        kind,
        EventType::ModelCallCompleted | EventType::ModelCallFailed
    )
}

/// The event that ended a call.
async fn end_of(store: &dyn EventStore, call_id: &EventId) -> Result<Option<Event>, StoreError> {
    let Some(start) = store.position(call_id).await? else {
        return Ok(None);
    };
    let mut seq = start.task_seq;
    loop {
        let page = store.events(&start.task_id, seq, PAGE).await?;
        let Some(last) = page.last() else {
            return Ok(None);
        };
        seq = last.task_seq;
        let end = page.into_iter().find(|event| {
            is_end(&event.event_type) && event.causality.parent_event_id.as_ref() == Some(call_id)
        });
        if end.is_some() {
            return Ok(end);
        }
    }
}
