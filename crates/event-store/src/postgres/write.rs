//! Writes what was planned: one statement a table.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use event_payloads::{EventId, TaskId, TaskStatus, Timestamp};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Statement};

use super::failure::Failure;
use super::feed::NOTIFY;
use super::pipeline::Step;
use crate::books::call::CallRow;
use crate::books::chain::StoredEvent;
use crate::books::sums::{Changes, dollars};
use crate::books::task::TaskRow;
use crate::prepared::PreparedArtifact;
use crate::rows::to_sql;
use crate::sql::{EVENT_COLUMNS, SUM_KEY, SUMS};
use crate::{Requester, Tokens};

/// A column of the rows of one statement.
pub(crate) type Column<'a> = Box<dyn ToSql + Sync + Send + 'a>;

/// A table as a statement sees it: its columns with their types.
type Layout = [(&'static str, &'static str)];

const EVENTS: [&str; 14] = [
    "text[]", "text[]", "int8[]", "text[]", "text[]", "int8[]", "text[]", "text[]", "text[]",
    "text[]", "text[]", "text[]", "int8[]", "bytea[]",
];
const NEW_TASKS: [(&str, &str); 13] = [
    ("task_id", "text[]"),
    ("created_at", "text[]"),
    ("updated_at", "text[]"),
    ("status", "text[]"),
    ("title", "text[]"),
    ("thread_id", "text[]"),
    ("scope_id", "text[]"),
    ("requester", "text[]"),
    ("risk_level", "text[]"),
    ("pointers", "text[]"),
    ("last_seq", "int8[]"),
    ("chain", "bytea[]"),
    ("owner", "text[]"),
];
/// What an event changes of a task.
const TASKS: [(&str, &str); 6] = [
    ("task_id", "text[]"),
    ("updated_at", "text[]"),
    ("status", "text[]"),
    ("pointers", "text[]"),
    ("last_seq", "int8[]"),
    ("chain", "bytea[]"),
];
const ARTIFACTS: [(&str, &str); 9] = [
    ("artifact_id", "text[]"),
    ("task_id", "text[]"),
    ("ts", "text[]"),
    ("name", "text[]"),
    ("description", "text[]"),
    ("parts", "text[]"),
    ("storage_ref", "text[]"),
    ("size", "int8[]"),
    ("hash", "text[]"),
];
/// The first six of a call never change.
const CALLS: [(&str, &str); 31] = [
    ("call_id", "text[]"),
    ("task_id", "text[]"),
    ("task_seq", "int8[]"),
    ("started_at", "text[]"),
    ("day", "text[]"),
    ("owner", "text[]"),
    ("ended_at", "text[]"),
    ("status", "text[]"),
    ("alias", "text[]"),
    ("category", "text[]"),
    ("runtime_group", "text[]"),
    ("model", "text[]"),
    ("provider", "text[]"),
    ("is_fallback", "int4[]"),
    ("cost_pico", "int8[]"),
    ("cost_unavailable", "int4[]"),
    ("cost_unavailable_reason", "text[]"),
    ("cost_source", "text[]"),
    ("drift", "int4[]"),
    ("estimated", "int4[]"),
    ("prompt_tokens", "int8[]"),
    ("completion_tokens", "int8[]"),
    ("total_tokens", "int8[]"),
    ("cached_tokens", "int8[]"),
    ("cache_creation_tokens", "int8[]"),
    ("reasoning_tokens", "int8[]"),
    ("duration_ms", "int8[]"),
    ("error_type", "text[]"),
    ("corrections", "int8[]"),
    ("recorded_pico", "int8[]"),
    ("recorded_unavailable", "int4[]"),
];

/// `unnest($1::text[], …)`.
fn unnest<'a>(types: impl Iterator<Item = &'a str>) -> String {
    let places = types
        .enumerate()
        .map(|(at, kind)| format!("${}::{kind}", at + 1));
    format!("unnest({})", places.collect::<Vec<_>>().join(", "))
}

fn names(layout: &Layout) -> String {
    layout
        .iter()
        .map(|(name, _)| *name)
        .collect::<Vec<_>>()
        .join(", ")
}

fn insert(table: &str, layout: &Layout) -> String {
    let rows = unnest(layout.iter().map(|(_, kind)| *kind));
    format!(
        "INSERT INTO {table} ({}) SELECT * FROM {rows}",
        names(layout)
    )
}

fn insert_events() -> String {
    let rows = unnest(EVENTS.into_iter());
    format!("INSERT INTO events ({EVENT_COLUMNS}) SELECT * FROM {rows}")
}

/// A row per key, where it exists with what is new.
fn upsert(table: &str, layout: &Layout, fixed: usize) -> String {
    let key = layout.first().map_or("", |(name, _)| *name);
    let changed = layout.iter().skip(fixed);
    let changed = changed.map(|(name, _)| format!("{name} = excluded.{name}"));
    let changed = changed.collect::<Vec<_>>().join(", ");
    format!(
        "{} ON CONFLICT ({key}) DO UPDATE SET {changed}",
        insert(table, layout)
    )
}

fn update_tasks() -> String {
    let rows = unnest(TASKS.iter().map(|(_, kind)| *kind));
    let changed = TASKS.iter().skip(1);
    let changed = changed.map(|(name, _)| format!("{name} = new.{name}"));
    format!(
        "UPDATE tasks SET {} FROM {rows} AS new({}) WHERE tasks.task_id = new.task_id",
        changed.collect::<Vec<_>>().join(", "),
        names(&TASKS)
    )
}

/// A task comes to say what its first event says; its owner stays.
fn restore_tasks() -> String {
    let changed = NEW_TASKS
        .iter()
        .skip(1)
        .filter(|(name, _)| *name != "owner");
    let changed = changed.map(|(name, _)| format!("{name} = excluded.{name}"));
    let changed = changed.collect::<Vec<_>>().join(", ");
    format!(
        "{} ON CONFLICT (task_id) DO UPDATE SET {changed}",
        insert("tasks", &NEW_TASKS)
    )
}

fn add_sums() -> String {
    let keys = std::iter::repeat_n("text[]", 6);
    let rows = unnest(keys.chain(std::iter::repeat_n("int8[]", SUMS.len())));
    let mut added = String::new();
    for name in SUMS {
        let comma = if added.is_empty() { "" } else { ", " };
        // Writing to a string does not fail.
        let _ = write!(added, "{comma}{name} = cost_sums.{name} + excluded.{name}");
    }
    format!(
        "INSERT INTO cost_sums ({SUM_KEY}, {}) SELECT * FROM {rows}
         ON CONFLICT ({SUM_KEY}) DO UPDATE SET {added}",
        SUMS.join(", ")
    )
}

/// The statements that write, prepared.
#[derive(Debug)]
pub(crate) struct Writing {
    new_tasks: Statement,
    restored_tasks: Statement,
    tasks: Statement,
    events: Statement,
    calls: Statement,
    sums: Statement,
    artifacts: Statement,
    content: Statement,
    notify: Statement,
}

impl Writing {
    pub(crate) async fn prepare(client: &Client) -> Result<Self, Failure> {
        let (new, restore, tasks) = (insert("tasks", &NEW_TASKS), restore_tasks(), update_tasks());
        let (events, calls) = (insert_events(), upsert("model_calls", &CALLS, 6));
        let (sums, artifacts) = (add_sums(), insert("artifacts", &ARTIFACTS));
        let (new_tasks, restored_tasks, tasks, events, calls, sums, artifacts, content, notify) = tokio::try_join!(
            client.prepare(&new),
            client.prepare(&restore),
            client.prepare(&tasks),
            client.prepare(&events),
            client.prepare(&calls),
            client.prepare(&sums),
            client.prepare(&artifacts),
            client.prepare("INSERT INTO artifact_contents (artifact_id, content) VALUES ($1, $2)"),
            client.prepare(NOTIFY),
        )?;
        Ok(Self {
            new_tasks,
            restored_tasks,
            tasks,
            events,
            calls,
            sums,
            artifacts,
            content,
            notify,
        })
    }

    pub(crate) fn new_tasks(&self) -> &Statement {
        &self.new_tasks
    }

    pub(crate) fn restored_tasks(&self) -> &Statement {
        &self.restored_tasks
    }

    pub(crate) fn tasks(&self) -> &Statement {
        &self.tasks
    }

    pub(crate) fn events(&self) -> &Statement {
        &self.events
    }

    pub(crate) fn calls(&self) -> &Statement {
        &self.calls
    }

    pub(crate) fn sums(&self) -> &Statement {
        &self.sums
    }

    pub(crate) fn artifacts(&self) -> &Statement {
        &self.artifacts
    }

    pub(crate) fn content(&self) -> &Statement {
        &self.content
    }

    pub(crate) fn notify(&self) -> &Statement {
        &self.notify
    }
}

/// A statement with its columns, on its way.
pub(crate) fn step<'a>(
    client: &'a Client,
    statement: &'a Statement,
    columns: &'a [Column<'a>],
) -> Step<'a> {
    let values = columns.iter().map(|column| {
        let value: &(dyn ToSql + Sync) = column.as_ref();
        value
    });
    let values: Vec<_> = values.collect();
    Box::pin(async move { client.execute(statement, &values).await })
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

pub(crate) fn events(events: &[StoredEvent]) -> Vec<Column<'_>> {
    let rows: Vec<&StoredEvent> = events.iter().collect();
    let rows = rows.as_slice();
    vec![
        column(rows, |event| event.event_id.as_str()),
        column(rows, |event| event.task_id.as_str()),
        column(rows, |event| event.task_seq),
        column(rows, |event| event.ts.as_str()),
        column(rows, |event| event.event_type.as_str()),
        column(rows, |event| event.schema_version),
        column(rows, |event| event.actor.as_str()),
        column(rows, |event| event.payload.as_str()),
        column(rows, |event| event.trace_id.as_str()),
        column(rows, |event| event.span_id.as_str()),
        column(rows, |event| event.parent_event_id.as_deref()),
        column(rows, |event| event.idempotency_key.as_deref()),
        column(rows, |event| event.position),
        column(rows, |event| event.hash.as_ref().map(|hash| &hash.0[..])),
    ]
}

/// A task of which a row is to be written.
pub(crate) type Task<'a> = (&'a TaskId, &'a TaskRow);

/// Tasks with all that their row says. Where the first event is missing or can not be read, the columns
/// have their defaults.
pub(crate) fn new_tasks<'a>(
    tasks: &[Task<'a>],
    pointers: &HashMap<TaskId, String>,
    owner: Option<&'a str>,
) -> Vec<Column<'a>> {
    let created = |task: &Task<'a>| task.1.created.as_ref().map(|(_, created)| created);
    let text = |of: fn(&event_payloads::TaskCreated) -> &str, default: &'static str| {
        column(tasks, move |task| {
            created(task).map_or_else(|| default.to_owned(), |created| clean(of(created)))
        })
    };
    vec![
        column(tasks, |(id, _)| id.as_str()),
        column(tasks, |(_, task)| {
            let at = task.created.as_ref().map(|(at, _)| *at).or(task.since);
            at.unwrap_or(Timestamp::UNIX_EPOCH).to_string()
        }),
        column(tasks, |(_, task)| updated_at(task)),
        column(tasks, |(_, task)| status(task)),
        text(|created| &created.title, ""),
        text(|created| &created.thread_id, "default"),
        text(|created| &created.scope_id, ""),
        column(tasks, |task| requester(created(task))),
        text(|created| &created.risk_level, "low"),
        column(tasks, |(id, task)| with_latest(pointers.get(*id), task)),
        column(tasks, |(_, task)| to_sql(task.last_seq)),
        column(tasks, |(_, task)| &task.chain.0[..]),
        column(tasks, move |_| owner),
    ]
}

/// Tasks that exist, with what their events change.
pub(crate) fn tasks<'a>(tasks: &[Task<'a>], pointers: &HashMap<TaskId, String>) -> Vec<Column<'a>> {
    vec![
        column(tasks, |(id, _)| id.as_str()),
        column(tasks, |(_, task)| updated_at(task)),
        column(tasks, |(_, task)| status(task)),
        column(tasks, |(id, task)| with_latest(pointers.get(*id), task)),
        column(tasks, |(_, task)| to_sql(task.last_seq)),
        column(tasks, |(_, task)| &task.chain.0[..]),
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

/// The pointers of a task with its latest event; what else they hold stays.
fn with_latest(before: Option<&String>, task: &TaskRow) -> String {
    let before = before.map_or("{}", String::as_str);
    let Some((_, latest)) = &task.latest else {
        return before.to_owned();
    };
    let pointers: Result<serde_json::Map<String, serde_json::Value>, _> =
        serde_json::from_str(before);
    let mut pointers = pointers.unwrap_or_default();
    pointers.insert("latest_event_id".to_owned(), latest.as_str().into());
    serde_json::Value::Object(pointers).to_string()
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
        column(rows, |(key, _)| key.period.as_str()),
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
    rows: &[(&'a event_payloads::Event, &'a PreparedArtifact)],
) -> Vec<Column<'a>> {
    vec![
        column(rows, |(_, artifact)| artifact.artifact_id.as_str()),
        column(rows, |(event, _)| event.task_id.as_str()),
        column(rows, |(event, _)| event.ts.to_string()),
        column(rows, |(_, artifact)| artifact.name.as_str()),
        column(rows, |(_, artifact)| artifact.description.as_str()),
        column(rows, |(_, artifact)| {
            // Our own structure: it has a JSON form.
            serde_json::to_string(&[&artifact.part]).unwrap_or_default()
        }),
        column(rows, |(_, artifact)| artifact.storage_ref.as_deref()),
        column(rows, |(_, artifact)| to_sql(artifact.size)),
        column(rows, |(_, artifact)| artifact.hash.as_str()),
    ]
}

/// The rows of a plan's calls.
pub(crate) fn all_calls(calls: &BTreeMap<EventId, CallRow>) -> Vec<&CallRow> {
    calls.values().collect()
}
