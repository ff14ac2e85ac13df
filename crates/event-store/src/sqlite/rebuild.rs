//! The projections, computed anew from the events.

use event_payloads::{Event, EventId, Payload, TaskCreated, TaskId, TaskStatus, Timestamp};
use rusqlite::Connection;

use super::calls::{self, Ending};
use super::failure::Failure;
use super::row::{self, EVENT_COLUMNS};
use super::tasks;
use crate::Rebuilt;

/// Computes `model_calls` anew.
pub(crate) fn calls(conn: &Connection) -> Result<Rebuilt, Failure> {
    walk(conn, |_| Ok(()))
}

/// Computes `model_calls` and `tasks` anew.
pub(crate) fn everything(conn: &Connection) -> Result<Rebuilt, Failure> {
    walk(conn, |life| life.write(conn))
}

/// Goes over all events, task by task; `task_done` gets what each task adds up to.
fn walk(
    conn: &Connection,
    task_done: impl Fn(&Life) -> Result<(), Failure>,
) -> Result<Rebuilt, Failure> {
    conn.execute("DELETE FROM model_calls", [])?;
    let mut rebuilt = Rebuilt::default();
    let mut life: Option<Life> = None;
    let mut statement = conn.prepare(&format!(
        "SELECT {EVENT_COLUMNS} FROM events ORDER BY task_id, task_seq"
    ))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        rebuilt.events += 1;
        let event = match row::event(row) {
            Ok(event) => event,
            Err(error) => {
                tracing::warn!(%error, "event left out of the projections");
                rebuilt.undecodable += 1;
                continue;
            }
        };
        let payload = decode(&event, &mut rebuilt);
        project_call(conn, &event, payload.as_ref())?;
        if let Some(done) = life.take_if(|life| life.task_id != event.task_id) {
            task_done(&done)?;
        }
        life.get_or_insert_with(|| Life::new(&event))
            .add(&event, payload);
    }
    if let Some(done) = life {
        task_done(&done)?;
    }
    rebuilt.calls = conn.query_row("SELECT count(*) FROM model_calls", [], |row| {
        row.get(0).map(row::from_sql)
    })?;
    Ok(rebuilt)
}

fn decode(event: &Event, rebuilt: &mut Rebuilt) -> Option<Payload> {
    match event.decode() {
        Ok(payload) => Some(payload),
        Err(error) => {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "event without its payload in the projections");
            rebuilt.undecodable += 1;
            None
        }
    }
}

fn project_call(
    conn: &Connection,
    event: &Event,
    payload: Option<&Payload>,
) -> Result<(), Failure> {
    if event.event_type == event_payloads::EventType::ModelCallStarted {
        return calls::start(conn, event);
    }
    if let Some(Payload::CostCorrected(correction)) = payload {
        return calls::correct(conn, &event.task_id, correction);
    }
    let Some(ending) = Ending::of(event, payload) else {
        return Ok(());
    };
    let call_id = call_of(conn, event)?;
    calls::end(conn, &call_id, event, &ending)
}

/// The call that an end belongs to. Logs of the Python version name no parent: it is the oldest open
/// call of the task then, and a call of its own if none is open.
fn call_of(conn: &Connection, event: &Event) -> Result<String, Failure> {
    if let Some(parent) = &event.causality.parent_event_id
        && calls::is_open(conn, &event.task_id, parent)? == Some(true)
    {
        return Ok(parent.to_string());
    }
    if let Some(call_id) = calls::oldest_open(conn, &event.task_id)? {
        return Ok(call_id);
    }
    calls::start_at_end(conn, event)?;
    Ok(event.event_id.to_string())
}

/// What the events of one task add up to.
struct Life {
    task_id: TaskId,
    first: Timestamp,
    created: Option<(Timestamp, TaskCreated)>,
    status: Option<TaskStatus>,
    latest: (Timestamp, EventId),
}

impl Life {
    fn new(first: &Event) -> Self {
        Self {
            task_id: first.task_id.clone(),
            first: first.ts,
            created: None,
            status: None,
            latest: (first.ts, first.event_id.clone()),
        }
    }

    fn add(&mut self, event: &Event, payload: Option<Payload>) {
        self.latest = (event.ts, event.event_id.clone());
        match payload {
            Some(Payload::TaskCreated(created)) => {
                self.created = Some((event.ts, created));
                self.status = Some(TaskStatus::Created);
            }
            Some(Payload::StateTransition(transition)) => self.status = Some(transition.to_status),
            _ => {}
        }
    }

    fn write(&self, conn: &Connection) -> Result<(), Failure> {
        match &self.created {
            Some((ts, created)) => tasks::create(conn, &self.task_id, *ts, created)?,
            None => tasks::ensure(conn, &self.task_id, self.first)?,
        }
        if let Some(status) = self.status {
            tasks::set_status(conn, &self.task_id, status)?;
        }
        let (ts, event_id) = &self.latest;
        tasks::touch(conn, &self.task_id, *ts, event_id)
    }
}
