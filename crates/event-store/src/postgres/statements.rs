//! The statements that write: one a table, for any number of rows.

use tokio_postgres::{Client, Statement};

use super::failure::Failure;
use super::feed::CHANNEL;
use crate::sql::{EVENT_COLUMNS, SUM_KEY, SUMS, added_sums};

/// In place of the number of a transaction: rows are written in whichever it is.
pub(crate) const ANY: i64 = 0;

/// True in the transaction whose number comes after the columns, or if that is [`ANY`]: else there are no rows to
/// be written, and no error.
fn only(columns: usize) -> String {
    format!("${}::int8 IN ({ANY}, txid_current())", columns + 1)
}

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

/// `unnest($1::text[]), …`, to select: in step with each other. As a source of rows, `FROM unnest(…)`, the
/// server would put every array into a store of its own first: a tenth of the time of an insert.
fn unnested<'a>(types: impl Iterator<Item = &'a str>) -> String {
    let places = types
        .enumerate()
        .map(|(at, kind)| format!("unnest(${}::{kind})", at + 1));
    places.collect::<Vec<_>>().join(", ")
}

fn names(layout: &Layout) -> String {
    layout
        .iter()
        .map(|(name, _)| *name)
        .collect::<Vec<_>>()
        .join(", ")
}

fn insert(table: &str, layout: &Layout) -> String {
    let rows = unnested(layout.iter().map(|(_, kind)| *kind));
    let only = only(layout.len());
    format!(
        "INSERT INTO {table} ({}) SELECT {rows} WHERE {only}",
        names(layout)
    )
}

/// Where it writes, all programs are told with the note that comes last, when the transaction commits; without one
/// nobody is. In a statement of its own, that had to be read and planned for each group.
fn insert_events() -> String {
    let rows = unnested(EVENTS.into_iter());
    let (only, note) = (only(EVENTS.len()), EVENTS.len() + 2);
    format!(
        "INSERT INTO events ({EVENT_COLUMNS}) SELECT {rows}
         WHERE CASE WHEN NOT {only} THEN false WHEN ${note}::text IS NULL THEN true
                    ELSE pg_notify('{CHANNEL}', ${note}) IS NOT NULL END"
    )
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
    let rows = unnested(TASKS.iter().map(|(_, kind)| *kind));
    let changed = TASKS.iter().skip(1);
    let changed = changed.map(|(name, _)| format!("{name} = new.{name}"));
    format!(
        "UPDATE tasks SET {} FROM (SELECT {rows} WHERE {}) AS new({})
         WHERE tasks.task_id = new.task_id",
        changed.collect::<Vec<_>>().join(", "),
        only(TASKS.len()),
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
    let rows = unnested(keys.chain(std::iter::repeat_n("int8[]", SUMS.len())));
    format!(
        "INSERT INTO cost_sums ({SUM_KEY}, {}) SELECT {rows} WHERE {}
         ON CONFLICT ({SUM_KEY}) DO UPDATE SET {}",
        SUMS.join(", "),
        only(6 + SUMS.len()),
        added_sums()
    )
}

/// The statements that write, prepared.
#[derive(Debug)]
pub(crate) struct Writing {
    pub(crate) new_tasks: Statement,
    pub(crate) restored_tasks: Statement,
    pub(crate) tasks: Statement,
    pub(crate) events: Statement,
    pub(crate) calls: Statement,
    pub(crate) sums: Statement,
    pub(crate) artifacts: Statement,
    pub(crate) content: Statement,
}

impl Writing {
    pub(crate) async fn prepare(client: &Client) -> Result<Self, Failure> {
        let (new, restore, tasks) = (insert("tasks", &NEW_TASKS), restore_tasks(), update_tasks());
        let (events, calls) = (insert_events(), upsert("model_calls", &CALLS, 6));
        let (sums, artifacts) = (add_sums(), insert("artifacts", &ARTIFACTS));
        let content = format!(
            "INSERT INTO artifact_contents (artifact_id, content) SELECT $1::text, $2::bytea WHERE {}",
            only(2)
        );
        let (new_tasks, restored_tasks, tasks, events, calls, sums, artifacts, content) = tokio::try_join!(
            client.prepare(&new),
            client.prepare(&restore),
            client.prepare(&tasks),
            client.prepare(&events),
            client.prepare(&calls),
            client.prepare(&sums),
            client.prepare(&artifacts),
            client.prepare(&content),
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
        })
    }
}
