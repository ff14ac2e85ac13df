//! A store's records as they are, to be handed to another store.

use crate::books::chain::StoredEvent;
use crate::{Artifact, EventStore, Progress, StoreError, Verified};

/// How many events, tasks or cursors are handed over at once.
const PAGE: usize = 2_000;
/// How many artifacts: each can be large.
const ARTIFACTS: usize = 16;

/// Stands at 1 among the readers' cursors while a copy is not complete, or was not found good.
const UNFINISHED: &str = "octo store copy";

/// Which records to hand over.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecordsQuery {
    /// Rows of tasks after this one.
    Tasks(String),
    /// Events after this position of the log.
    Events(u64),
    /// Artifacts after this one, with their contents.
    Artifacts(String),
    /// How far readers of the log have come.
    Cursors,
}

/// Records as a store keeps them, hashes and positions included. Only stores look inside.
#[derive(Debug, Default)]
pub struct Records {
    pub(crate) tasks: Vec<StoredTask>,
    pub(crate) events: Vec<StoredEvent>,
    pub(crate) artifacts: Vec<StoredArtifact>,
    pub(crate) cursors: Vec<(String, u64)>,
}

/// A row of `tasks`, each column as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredTask {
    pub(crate) task_id: String,
    pub(crate) created_at: String,
    pub(crate) updated_at: String,
    pub(crate) status: String,
    pub(crate) title: String,
    pub(crate) thread_id: String,
    pub(crate) scope_id: String,
    pub(crate) requester: String,
    pub(crate) risk_level: String,
    pub(crate) pointers: String,
}

#[derive(Clone, Debug)]
pub(crate) struct StoredArtifact {
    pub(crate) row: Artifact,
    pub(crate) content: Vec<u8>,
}

impl Records {
    /// How many they are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tasks.len() + self.events.len() + self.artifacts.len() + self.cursors.len()
    }

    /// True if there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What was copied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// Events that this run copied.
    pub events: u64,
    /// Artifacts that this run copied.
    pub artifacts: u64,
    /// What the check of the copy saw.
    pub verified: Verified,
}

/// Copies a store into another: events with their positions and hashes, tasks, artifacts, and how far
/// readers have come. What was copied before stays, so a copy that was interrupted goes on where it was.
/// At the end the projections are computed at the copy, and all of it is checked: as long as the check finds
/// problems, nobody takes the copy for a store ([`must_be_whole`]).
///
/// # Errors
/// [`StoreError::NotACopy`] if the other store holds something else, and [`StoreError::OldCopy`] if it holds
/// what was pruned at the source since: it then stays as it is. [`StoreError::SameStore`] if both are one;
/// [`StoreError::UnfinishedCopy`] if the source is one; and what can be wrong with either.
pub async fn copy(
    from: &dyn EventStore,
    to: &dyn EventStore,
    progress: &Progress,
) -> Result<Copied, StoreError> {
    must_be_whole(from).await?;
    // Before anything is written: another log stays as it is.
    let after = resume_after(from, to).await?;
    to.save_cursor(UNFINISHED, 1).await?;
    if from.cursor(UNFINISHED).await? != 0 {
        // The mark is at the source too.
        to.save_cursor(UNFINISHED, 0).await?;
        return Err(StoreError::SameStore);
    }
    let mut copied = Copied::default();
    copy_tasks(from, to).await?;
    copied.events = copy_events(from, to, after, progress).await?;
    copied.artifacts = copy_artifacts(from, to).await?;
    copy_cursors(from, to).await?;
    to.rebuild().await?;
    copied.verified = to.verify(&Progress::default()).await?;
    if copied.verified.is_good() {
        to.save_cursor(UNFINISHED, 0).await?;
    }
    Ok(copied)
}

/// Refuses a store that is a copy which was broken off, whose projections are not there yet, or one that was
/// not found good: sums could be wrong.
///
/// # Errors
/// [`StoreError::UnfinishedCopy`], or the store can not be read.
pub async fn must_be_whole(store: &dyn EventStore) -> Result<(), StoreError> {
    match store.cursor(UNFINISHED).await? {
        0 => Ok(()),
        _ => Err(StoreError::UnfinishedCopy),
    }
}

async fn copy_tasks(from: &dyn EventStore, to: &dyn EventStore) -> Result<(), StoreError> {
    let mut after = String::new();
    loop {
        let page = from.records(RecordsQuery::Tasks(after), PAGE).await?;
        let Some(last) = page.tasks.last() else {
            return Ok(());
        };
        after = last.task_id.clone();
        to.take_in(page).await?;
    }
}

async fn copy_events(
    from: &dyn EventStore,
    to: &dyn EventStore,
    mut after: u64,
    progress: &Progress,
) -> Result<u64, StoreError> {
    let mut copied = 0;
    loop {
        let page = from.records(RecordsQuery::Events(after), PAGE).await?;
        let Some(last) = page.events.last().and_then(|last| last.position) else {
            return Ok(copied);
        };
        after = crate::rows::from_sql(last);
        let count = u64::try_from(page.len()).unwrap_or(u64::MAX);
        to.take_in(page).await?;
        copied += count;
        progress.add(count);
    }
}

/// Where an earlier copy stopped, if what is there is one.
async fn resume_after(from: &dyn EventStore, to: &dyn EventStore) -> Result<u64, StoreError> {
    let head = *to.head().borrow();
    let Some(before) = head.checked_sub(1) else {
        return Ok(0);
    };
    let theirs = from.records(RecordsQuery::Events(before), 1).await?;
    let ours = to.records(RecordsQuery::Events(before), 1).await?;
    if theirs
        .events
        .first()
        .map(|event| (event.position, event.hash))
        != ours
            .events
            .first()
            .map(|event| (event.position, event.hash))
    {
        return Err(StoreError::NotACopy { position: head });
    }
    must_not_be_older(from, to, head).await?;
    Ok(head)
}

/// Refuses to go on with a copy that holds events which the source has no more: with the tombstones that
/// follow, their calls would count twice. Removed events leave gaps, so the numbers tell.
async fn must_not_be_older(
    from: &dyn EventStore,
    to: &dyn EventStore,
    head: u64,
) -> Result<(), StoreError> {
    let (mut after, mut later) = (head, 0);
    loop {
        let page = from.records(RecordsQuery::Events(after), PAGE).await?;
        let Some(last) = page.events.last().and_then(|last| last.position) else {
            break;
        };
        after = crate::rows::from_sql(last);
        later += u64::try_from(page.len()).unwrap_or(u64::MAX);
    }
    let theirs = from.overview().await?.events.saturating_sub(later);
    match to.overview().await?.events.checked_sub(theirs) {
        Some(0) => Ok(()),
        difference => Err(StoreError::OldCopy {
            events: difference.unwrap_or_default(),
        }),
    }
}

async fn copy_cursors(from: &dyn EventStore, to: &dyn EventStore) -> Result<(), StoreError> {
    let mut cursors = from.records(RecordsQuery::Cursors, PAGE).await?;
    cursors.cursors.retain(|(reader, _)| reader != UNFINISHED);
    to.take_in(cursors).await
}

async fn copy_artifacts(from: &dyn EventStore, to: &dyn EventStore) -> Result<u64, StoreError> {
    let mut after = String::new();
    let mut copied = 0;
    loop {
        let page = from
            .records(RecordsQuery::Artifacts(after), ARTIFACTS)
            .await?;
        let Some(last) = page.artifacts.last() else {
            return Ok(copied);
        };
        after = last.row.artifact_id.to_string();
        copied += u64::try_from(page.len()).unwrap_or(u64::MAX);
        to.take_in(page).await?;
    }
}
