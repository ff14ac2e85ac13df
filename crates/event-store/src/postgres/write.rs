//! What was planned, as the columns of the statements that write it.

use std::collections::BTreeMap;

use event_payloads::{EventId, TaskId, TaskStatus, Timestamp};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Statement};

use super::pipeline::Step;
use super::statements::Writing;
use crate::books::call::CallRow;
use crate::books::chain::StoredEvent;
use crate::books::pointers::with_latest;
use crate::books::stamp::Stamp;
use crate::books::sums::{Changes, dollars};
use crate::books::task::TaskRow;
use crate::prepared::PreparedArtifact;
use crate::rows::to_sql;
use crate::{Requester, Tokens};

/// A column of the rows of one statement.
pub(crate) type Column<'a> = Box<dyn ToSql + Sync + Send + 'a>;

/// A statement with its columns, on its way. They are built when it is its turn to be sent. `only` is the
/// number of the one transaction in which it writes, or [`ANY`](super::statements::ANY).
pub(crate) fn step<'a>(
    client: &'a Client,
    statement: &'a Statement,
    only: i64,
    columns: impl FnOnce() -> Vec<Column<'a>> + Send + 'a,
) -> Step<'a> {
    step_then(client, statement, columns, vec![Box::new(only)])
}

/// The same for events, with the note that tells all programs of them; without one, whoever writes them tells.
pub(crate) fn event_step<'a, T: AsRef<str> + Sync>(
    client: &'a Client,
    writing: &'a Writing,
    only: i64,
    rows: &'a [StoredEvent<T>],
    note: Option<String>,
) -> Step<'a> {
    let columns = || events(rows);
    step_then(
        client,
        &writing.events,
        columns,
        vec![Box::new(only), Box::new(note)],
    )
}

/// With other values behind the columns.
fn step_then<'a>(
    client: &'a Client,
    statement: &'a Statement,
    columns: impl FnOnce() -> Vec<Column<'a>> + Send + 'a,
    then: Vec<Column<'a>>,
) -> Step<'a> {
    Box::pin(async move {
        let mut columns = columns();
        columns.extend(then);
        let values = columns.iter().map(|column| {
            let value: &(dyn ToSql + Sync) = column.as_ref();
            value
        });
        let values: Vec<_> = values.collect();
        client.execute(statement, &values).await
    })
}

/// One column: what `of` says of each row.
fn column<'a, R, T>(rows: &[R], of: impl Fn(&R) -> T) -> Column<'a>
where
    T: ToSql + Sync + Send + 'a,
{
    Box::new(rows.iter().map(of).collect::<Vec<T>>())
}

/// A text for a column of a projection. Postgres has no text with a zero character in it; the event, which
/// is JSON, has it escaped.
pub(crate) fn clean(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// The texts of a call's row likewise.
pub(crate) fn clean_call(row: &mut CallRow) {
    let call = &mut row.call;
    for text in [
        &mut call.alias,
        &mut call.category,
        &mut call.runtime_group,
        &mut call.model,
        &mut call.provider,
        &mut call.cost_unavailable_reason,
        &mut call.error_type,
    ] {
        *text = clean(text);
    }
}

fn events<'a, T: AsRef<str>>(rows: &'a [StoredEvent<T>]) -> Vec<Column<'a>> {
    let rows: Vec<&StoredEvent<T>> = rows.iter().collect();
    let rows = rows.as_slice();
    vec![
        column(rows, |event| event.event_id.as_ref()),
        column(rows, |event| event.task_id.as_ref()),
        column(rows, |event| event.task_seq),
        column(rows, |event| event.ts.as_ref()),
        column(rows, |event| event.event_type.as_ref()),
        column(rows, |event| event.schema_version),
        column(rows, |event| event.actor.as_ref()),
        column(rows, |event| event.payload.as_ref()),
        column(rows, |event| event.trace_id.as_ref()),
        column(rows, |event| event.span_id.as_ref()),
        column(rows, |event| event.parent_event_id.as_ref().map(T::as_ref)),
        column(rows, |event| event.idempotency_key.as_ref().map(T::as_ref)),
        column(rows, |event| event.position),
        column(rows, |event| event.hash.as_ref().map(|hash| &hash.0[..])),
    ]
}

/// A task of which a row is to be written.
pub(crate) struct Task<'a> {
    pub(crate) id: &'a TaskId,
    row: &'a TaskRow,
    /// With the pointer to its latest event.
    pub(crate) pointers: String,
}

impl<'a> Task<'a> {
    /// A task whose row, if there is one, has had these pointers.
    pub(crate) fn new(id: &'a TaskId, row: &'a TaskRow, before: Option<&String>) -> Self {
        Self {
            id,
            row,
            pointers: with_latest(before, row),
        }
    }
}

/// Tasks with all that their row says. Where the first event is missing or can not be read, the columns
/// have their defaults.
pub(crate) fn new_tasks<'a>(tasks: &'a [Task<'a>], owner: Option<&'a str>) -> Vec<Column<'a>> {
    let tasks: Vec<&'a Task<'a>> = tasks.iter().collect();
    let tasks = tasks.as_slice();
    let created = |task: &&'a Task<'a>| task.row.created.as_deref().map(|(_, created)| created);
    let text = |of: fn(&event_payloads::TaskCreated) -> &str, default: &'static str| {
        column(tasks, move |task| {
            created(task).map_or_else(|| default.to_owned(), |created| clean(of(created)))
        })
    };
    vec![
        column(tasks, |task| task.id.as_str()),
        column(tasks, |task| {
            let created = task.row.created.as_deref().map(|(at, _)| *at);
            let at = created.or(task.row.since);
            at.unwrap_or(Timestamp::UNIX_EPOCH).to_string()
        }),
        column(tasks, |task| updated_at(task.row)),
        column(tasks, |task| status(task.row)),
        text(|created| &created.title, ""),
        text(|created| &created.thread_id, "default"),
        text(|created| &created.scope_id, ""),
        column(tasks, |task| requester(created(task))),
        text(|created| &created.risk_level, "low"),
        column(tasks, |task| task.pointers.as_str()),
        column(tasks, |task| to_sql(task.row.last_seq)),
        column(tasks, |task| &task.row.chain.0[..]),
        column(tasks, move |_| owner),
    ]
}

/// Tasks that exist, with what their events change.
pub(crate) fn tasks<'a>(tasks: &'a [Task<'a>]) -> Vec<Column<'a>> {
    let tasks: Vec<&'a Task<'a>> = tasks.iter().collect();
    let tasks = tasks.as_slice();
    vec![
        column(tasks, |task| task.id.as_str()),
        column(tasks, |task| updated_at(task.row)),
        column(tasks, |task| status(task.row)),
        column(tasks, |task| task.pointers.as_str()),
        column(tasks, |task| to_sql(task.row.last_seq)),
        column(tasks, |task| &task.row.chain.0[..]),
    ]
}

fn status(task: &TaskRow) -> &'static str {
    task.status.unwrap_or(TaskStatus::Created).as_str()
}

fn updated_at(task: &TaskRow) -> String {
    let at = task.latest.as_ref().map(|(at, _)| *at);
    at.or(task.since)
        .unwrap_or(Timestamp::UNIX_EPOCH)
        .to_string()
}

fn requester(created: Option<&event_payloads::TaskCreated>) -> String {
    let requester = created.map(|created| Requester {
        channel: created.channel.clone(),
        sender_id: created.sender_id.clone(),
    });
    let json = requester.and_then(|requester| serde_json::to_string(&requester).ok());
    json.unwrap_or_else(|| "{}".to_owned())
}

/// Calls with all that their rows say; `owner` says whose those are that start.
pub(crate) fn calls<'a>(
    rows: &[&'a CallRow],
    owner: impl Fn(&CallRow) -> Option<&'a str>,
) -> Vec<Column<'a>> {
    let count = |of: fn(&Tokens) -> u64| {
        column(rows, move |row| {
            row.call.tokens.as_ref().map(of).map(to_sql)
        })
    };
    let text = |of: fn(&CallRow) -> &str| column(rows, move |row| clean(of(row)));
    let flag = |of: fn(&CallRow) -> bool| column(rows, move |row| i32::from(of(row)));
    vec![
        column(rows, |row| row.call.call_id.as_str()),
        column(rows, |row| row.call.task_id.as_str()),
        column(rows, |row| to_sql(row.task_seq)),
        column(rows, |row| row.call.started_at.to_string()),
        column(rows, |row| row.call.started_at.day()),
        column(rows, |row| owner(row)),
        column(rows, |row| row.call.ended_at.map(|at| at.to_string())),
        column(rows, |row| row.call.status.as_str()),
        text(|row| &row.call.alias),
        text(|row| &row.call.category),
        text(|row| &row.call.runtime_group),
        text(|row| &row.call.model),
        text(|row| &row.call.provider),
        flag(|row| row.call.is_fallback),
        column(rows, |row| {
            row.call.cost.map_or(0, event_payloads::Picodollars::get)
        }),
        flag(CallRow::has_no_cost),
        text(|row| &row.call.cost_unavailable_reason),
        column(rows, |row| row.call.cost_source.as_str()),
        flag(|row| row.call.drift),
        flag(|row| row.call.estimated),
        count(|tokens| tokens.prompt),
        count(|tokens| tokens.completion),
        count(|tokens| tokens.total),
        count(|tokens| tokens.cached),
        count(|tokens| tokens.cache_creation),
        count(|tokens| tokens.reasoning),
        column(rows, |row| row.call.duration_ms.map(to_sql)),
        text(|row| &row.call.error_type),
        column(rows, |row| to_sql(row.corrections)),
        column(rows, |row| row.recorded_pico()),
        flag(CallRow::recorded_has_no_cost),
    ]
}

/// What is added to rows of sums.
pub(crate) fn sums(changes: &Changes) -> Vec<Column<'_>> {
    let rows: Vec<_> = changes.0.iter().collect();
    let rows = rows.as_slice();
    let mut columns: Vec<Column<'_>> = vec![
        column(rows, |(key, _)| key.kind.as_str()),
        column(rows, |(key, _)| clean(&key.scope)),
        column(rows, |(key, _)| clean(&key.alias)),
        column(rows, |(key, _)| clean(&key.category)),
        column(rows, |(key, _)| clean(&key.model)),
        column(rows, |(key, _)| clean(&key.provider)),
        column(rows, |(_, sums)| sums.calls),
        column(rows, |(_, sums)| sums.calls_without_cost),
        column(rows, |(_, sums)| sums.fallback_calls),
        column(rows, |(_, sums)| sums.failed_calls),
        column(rows, |(_, sums)| sums.drift_calls),
        column(rows, |(_, sums)| sums.estimated_calls),
        column(rows, |(_, sums)| sums.corrected_calls),
        column(rows, |(_, sums)| dollars(sums.cost).0),
        column(rows, |(_, sums)| dollars(sums.cost).1),
        column(rows, |(_, sums)| dollars(sums.recorded_cost).0),
        column(rows, |(_, sums)| dollars(sums.recorded_cost).1),
    ];
    for at in 0..6 {
        columns.push(column(rows, move |(_, sums)| {
            sums.tokens.get(at).copied().unwrap_or(0)
        }));
    }
    columns
}

/// Artifacts, each with the event that it came with: its task and time.
pub(crate) fn artifacts<'a>(
    rows: &[(&'a TaskId, &'a Stamp, &'a PreparedArtifact)],
) -> Vec<Column<'a>> {
    vec![
        column(rows, |(_, _, artifact)| artifact.artifact_id.as_str()),
        column(rows, |(task_id, ..)| task_id.as_str()),
        column(rows, |(_, event, _)| event.ts_text.as_str()),
        column(rows, |(_, _, artifact)| artifact.name.as_str()),
        column(rows, |(_, _, artifact)| artifact.description.as_str()),
        column(rows, |(_, _, artifact)| {
            // Our own structure: it has a JSON form.
            serde_json::to_string(&[&artifact.part]).unwrap_or_default()
        }),
        column(rows, |(_, _, artifact)| artifact.storage_ref.as_deref()),
        column(rows, |(_, _, artifact)| to_sql(artifact.size)),
        column(rows, |(_, _, artifact)| artifact.hash.as_str()),
    ]
}

/// The rows of a plan's calls.
pub(crate) fn all_calls(calls: &BTreeMap<EventId, CallRow>) -> Vec<&CallRow> {
    calls.values().collect()
}
