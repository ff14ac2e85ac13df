//! One commit inside a transaction: the rules, the rows, the projections.

use std::borrow::Cow;

use event_payloads::{
    Causality, CostCorrected, Event, EventId, Payload, StateTransition, TaskStatus, Timestamp,
    trace_id,
};
use rusqlite::{Connection, OptionalExtension, params};

use super::calls::{self, Ending};
use super::failure::{Failure, corrupt};
use super::row::to_sql;
use super::tasks::{self, Standing, to_json};
use crate::id::Monotonic;
use crate::prepared::{Prepared, PreparedArtifact};
use crate::{Clock, NewEvent, Parent, StoreError};

/// Records a commit. After an error its savepoint has to be rolled back.
pub(crate) fn apply(
    conn: &Connection,
    ids: &mut Monotonic,
    clock: &dyn Clock,
    commit: &mut Prepared,
) -> Result<Vec<Event>, Failure> {
    let mut standing = Standing::load(conn, &commit.task_id)?;
    let mut events = Vec::with_capacity(commit.events.len());
    for new in &commit.events {
        let now = clock.now();
        let event = dated(new, commit, &standing, &events, ids.next(now).into(), now)?;
        refuse_taken_key(conn, &event)?;
        let payload = typed(new, &event)?;
        project(conn, &mut standing, &event, &payload)?;
        insert_event(conn, &event)?;
        standing.last_seq = event.task_seq;
        events.push(event);
    }
    if let Some(last) = events.last() {
        tasks::touch(conn, &commit.task_id, last.ts, &last.event_id)?;
        for artifact in &mut commit.artifacts {
            insert_artifact(conn, last, artifact)?;
        }
    }
    Ok(events)
}

/// The event with all that the store gives it.
fn dated(
    new: &NewEvent,
    commit: &Prepared,
    standing: &Standing,
    earlier: &[Event],
    event_id: EventId,
    ts: Timestamp,
) -> Result<Event, StoreError> {
    let payload = new
        .payload
        .to_json()
        .map_err(|error| StoreError::InvalidCommit {
            task_id: commit.task_id.clone(),
            reason: error.to_string(),
        })?;
    let parent_event_id = match &new.parent {
        Parent::None => None,
        Parent::Event(parent) => Some(parent.clone()),
        Parent::InCommit(index) => earlier.get(*index).map(|event| event.event_id.clone()),
    };
    Ok(Event {
        event_id,
        task_id: commit.task_id.clone(),
        task_seq: standing.last_seq + 1,
        ts,
        event_type: new.payload.event_type(),
        schema_version: 1,
        actor: new.actor.clone(),
        payload,
        trace_id: trace_id(&commit.task_id),
        span_id: new.span_id.clone(),
        causality: Causality {
            parent_event_id,
            idempotency_key: new.idempotency_key.clone(),
        },
    })
}

fn refuse_taken_key(conn: &Connection, event: &Event) -> Result<(), Failure> {
    let Some(key) = &event.causality.idempotency_key else {
        return Ok(());
    };
    let owner: Option<String> = conn
        .prepare_cached("SELECT task_id FROM events WHERE idempotency_key = ?1")?
        .query_row([key], |row| row.get(0))
        .optional()?;
    let Some(owner) = owner else { return Ok(()) };
    let task_id = owner
        .parse()
        .map_err(|error| corrupt(format!("the event with key `{key}`"), format!("{error}")))?;
    Err(StoreError::Duplicate {
        task_id,
        key: key.clone(),
    }
    .into())
}

/// The payload as its type: the rules hold for a known type however it was handed over.
fn typed<'a>(new: &'a NewEvent, event: &Event) -> Result<Cow<'a, Payload>, StoreError> {
    if !matches!(new.payload, Payload::Unknown(..)) {
        return Ok(Cow::Borrowed(&new.payload));
    }
    let decoded = event.decode().map_err(|_| StoreError::InvalidCommit {
        task_id: event.task_id.clone(),
        reason: format!("the payload of {} has not its shape", event.event_type),
    })?;
    Ok(Cow::Owned(decoded))
}

/// Holds an event against the rules and lets it change the projections.
fn project(
    conn: &Connection,
    standing: &mut Standing,
    event: &Event,
    payload: &Payload,
) -> Result<(), Failure> {
    let task_id = || event.task_id.clone();
    let Some(status) = standing.status else {
        let Payload::TaskCreated(created) = payload else {
            return Err(StoreError::UnknownTask { task_id: task_id() }.into());
        };
        standing.status = Some(TaskStatus::Created);
        return tasks::create(conn, &event.task_id, event.ts, created);
    };
    match payload {
        Payload::TaskCreated(_) => Err(StoreError::TaskExists { task_id: task_id() }.into()),
        Payload::StateTransition(transition) => {
            let status = moved(event, status, transition)?;
            standing.status = Some(status);
            tasks::set_status(conn, &event.task_id, status)
        }
        // An end may come late, a start may not: nobody who follows the task would see it.
        Payload::ModelCallStarted(_) if status.is_terminal() => Err(StoreError::TaskEnded {
            task_id: task_id(),
            status,
        }
        .into()),
        Payload::ModelCallStarted(_) => calls::start(conn, event),
        Payload::CostCorrected(correction) => correct(conn, event, correction),
        _ => match Ending::of(event, Some(payload)) {
            Some(ending) => end_call(conn, event, &ending),
            None => Ok(()),
        },
    }
}

fn moved(
    event: &Event,
    current: TaskStatus,
    transition: &StateTransition,
) -> Result<TaskStatus, StoreError> {
    let (from, wanted) = (transition.from_status, transition.to_status);
    if from != current || !current.may_become(wanted) {
        return Err(StoreError::IllegalTransition {
            task_id: event.task_id.clone(),
            current,
            from,
            wanted,
        });
    }
    Ok(wanted)
}

/// Exactly one end for each call, and an end says which call it ends.
fn end_call(conn: &Connection, event: &Event, ending: &Ending) -> Result<(), Failure> {
    let unknown = || StoreError::UnknownCall {
        task_id: event.task_id.clone(),
        parent: event.causality.parent_event_id.clone(),
    };
    let call_id = event
        .causality
        .parent_event_id
        .as_ref()
        .ok_or_else(unknown)?;
    match calls::is_open(conn, &event.task_id, call_id)? {
        Some(true) => calls::end(conn, call_id.as_str(), event, ending),
        Some(false) => Err(StoreError::CallAlreadyEnded {
            task_id: event.task_id.clone(),
            call_id: call_id.clone(),
        }
        .into()),
        None => Err(unknown().into()),
    }
}

/// A correction is of a call of the same task that has ended.
fn correct(conn: &Connection, event: &Event, correction: &CostCorrected) -> Result<(), Failure> {
    if calls::is_open(conn, &event.task_id, &correction.call_id)? == Some(false) {
        return calls::correct(conn, &event.task_id, correction);
    }
    Err(StoreError::UnknownCall {
        task_id: event.task_id.clone(),
        parent: Some(correction.call_id.clone()),
    }
    .into())
}

fn insert_event(conn: &Connection, event: &Event) -> Result<(), Failure> {
    conn.prepare_cached(
        "INSERT INTO events
             (event_id, task_id, task_seq, ts, type, schema_version, actor, payload, trace_id,
              span_id, parent_event_id, idempotency_key, position)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12,
                 (SELECT coalesce(max(position), 0) + 1 FROM events))",
    )?
    .execute(params![
        event.event_id.as_str(),
        event.task_id.as_str(),
        to_sql(event.task_seq),
        event.ts.to_string(),
        event.event_type.as_str(),
        event.schema_version,
        event.actor.as_str(),
        event.payload.to_string(),
        event.trace_id,
        event.span_id,
        event
            .causality
            .parent_event_id
            .as_ref()
            .map(EventId::as_str),
        event.causality.idempotency_key,
    ])?;
    Ok(())
}

/// The row first: it says that no other artifact has the file's name.
fn insert_artifact(
    conn: &Connection,
    last: &Event,
    artifact: &mut PreparedArtifact,
) -> Result<(), Failure> {
    let exists = conn
        .prepare_cached("SELECT 1 FROM artifacts WHERE artifact_id = ?1")?
        .exists([artifact.artifact_id.as_str()])?;
    if exists {
        return Err(StoreError::ArtifactExists {
            artifact_id: artifact.artifact_id.clone(),
        }
        .into());
    }
    conn.prepare_cached(
        "INSERT INTO artifacts
             (artifact_id, task_id, ts, name, description, parts, storage_ref, size, hash)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?
    .execute(params![
        artifact.artifact_id.as_str(),
        last.task_id.as_str(),
        last.ts.to_string(),
        artifact.name,
        artifact.description,
        to_json(&[&artifact.part])?,
        artifact.storage_ref,
        to_sql(artifact.size),
        artifact.hash,
    ])?;
    if let Some(file) = &mut artifact.file {
        file.place()?;
    }
    Ok(())
}
