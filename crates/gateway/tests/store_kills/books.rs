//! The books as they stand in the database, read past octo.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::database::{Database, Row};

/// Every row, and every file.
#[derive(Debug, Default)]
pub(crate) struct Books {
    pub tasks: BTreeMap<String, Task>,
    /// By task, in the order of their sequence.
    pub events: BTreeMap<String, Vec<Event>>,
    pub calls: BTreeMap<String, Call>,
    /// Rows of `cost_sums`: by [`SUM_KEY`], the values of [`SUM_VALUES`].
    pub sums: BTreeMap<Vec<String>, Vec<i128>>,
    pub artifacts: BTreeMap<String, Artifact>,
    /// Contents that the database holds in place of files.
    pub contents: BTreeMap<String, Vec<u8>>,
    /// Where the files are.
    pub folder: PathBuf,
    /// `<task>/<artifact>` under it.
    pub files: BTreeSet<String>,
    /// Notes of files whose commit is not decided.
    pub undecided: usize,
}

#[derive(Debug)]
pub(crate) struct Task {
    pub status: String,
    pub channel: String,
    pub latest_event: String,
    pub updated_at: String,
    pub last_seq: Option<u64>,
    pub chain: String,
}

#[derive(Debug)]
pub(crate) struct Event {
    pub id: String,
    pub seq: u64,
    pub position: Option<u64>,
    pub ts: String,
    pub kind: String,
    pub payload: Value,
    pub parent: Option<String>,
    pub key: Option<String>,
    /// Its link of the chain, in hexadecimal.
    pub hash: String,
    /// All of its columns.
    pub row: Row,
    /// As `GET /api/stream/task/{id}` sends it, up to its last field, `final`.
    pub wire: String,
}

/// A row of `model_calls`: its columns as text.
#[derive(Debug)]
pub(crate) struct Call(pub BTreeMap<&'static str, String>);

#[derive(Debug)]
pub(crate) struct Artifact {
    pub task_id: String,
    pub name: String,
    pub parts: Value,
    pub storage_ref: Option<String>,
    pub size: u64,
    pub hash: String,
}

const TASKS: [&str; 7] = [
    "task_id",
    "status",
    "requester",
    "pointers",
    "updated_at",
    "last_seq",
    "chain",
];
/// The first twelve are what a link of the chain covers, in its order.
const EVENTS: [&str; 14] = [
    "event_id",
    "task_id",
    "task_seq",
    "ts",
    "type",
    "schema_version",
    "actor",
    "payload",
    "trace_id",
    "span_id",
    "parent_event_id",
    "idempotency_key",
    "position",
    "hash",
];
const ARTIFACTS: [&str; 7] = [
    "artifact_id",
    "task_id",
    "name",
    "parts",
    "storage_ref",
    "size",
    "hash",
];
/// What the books say of a call, as they name it.
pub(crate) const CALLS: [&str; 16] = [
    "call_id",
    "task_id",
    "status",
    "day",
    "alias",
    "category",
    "model",
    "provider",
    "cost_pico",
    "cost_unavailable",
    "is_fallback",
    "drift",
    "estimated",
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
];

/// What sums are kept by.
pub(crate) const SUM_KEY: [&str; 6] = ["period", "scope", "alias", "category", "model", "provider"];
/// What is summed. A cost is so many dollars and so many picodollars.
pub(crate) const SUM_VALUES: [&str; 11] = [
    "calls",
    "calls_without_cost",
    "fallback_calls",
    "failed_calls",
    "drift_calls",
    "estimated_calls",
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "cost_usd",
    "cost_pico",
];

impl Books {
    /// Reads all of it, as of one moment.
    pub(crate) fn read(database: &Database, artifacts: &Path) -> Self {
        let sums = [SUM_KEY.as_slice(), SUM_VALUES.as_slice()].concat();
        let [task_rows, event_rows, call_rows, sum_rows, artifact_rows] = database.rows([
            ("tasks", &TASKS),
            ("events", &EVENTS),
            ("model_calls", &CALLS),
            ("cost_sums", &sums),
            ("artifacts", &ARTIFACTS),
        ]);
        let mut books = Self {
            tasks: task_rows.into_iter().map(Task::of).collect(),
            calls: call_rows.iter().map(Call::of).collect(),
            sums: sum_rows.iter().map(sums_of).collect(),
            artifacts: artifact_rows.into_iter().map(Artifact::of).collect(),
            // Read later: at least those of the rows above.
            contents: database.contents(),
            folder: artifacts.to_owned(),
            ..Self::default()
        };
        for row in event_rows {
            let (task_id, event) = Event::of(row);
            books.events.entry(task_id).or_default().push(event);
        }
        for events in books.events.values_mut() {
            events.sort_by_key(|event| event.seq);
        }
        books.list_files();
        books
    }

    fn list_files(&mut self) {
        for folder in names(&self.folder) {
            let inside = names(&self.folder.join(&folder));
            if folder.ends_with('~') {
                self.undecided += inside.len();
                continue;
            }
            let files = inside.into_iter().map(|file| format!("{folder}/{file}"));
            self.files.extend(files);
        }
    }

    /// True if no event can follow.
    pub(crate) fn has_ended(&self, task_id: &str) -> bool {
        let status = self.tasks.get(task_id).map(|task| task.status.as_str());
        matches!(status, Some("SUCCEEDED" | "FAILED" | "CANCELLED"))
    }

    pub(crate) fn count_events(&self) -> usize {
        self.events.values().map(Vec::len).sum()
    }

    /// Calls that recovery closed.
    pub(crate) fn interrupted(&self) -> usize {
        let events = self.events.values().flatten();
        let interrupted = |event: &&Event| event.payload["error_type"] == "interrupted";
        events.filter(interrupted).count()
    }

    /// Files without a row.
    pub(crate) fn orphans(&self) -> Vec<&String> {
        let rows: BTreeSet<&str> = self
            .artifacts
            .values()
            .filter_map(|artifact| artifact.storage_ref.as_deref())
            .collect();
        let without = |file: &&String| !rows.contains(file.as_str());
        self.files.iter().filter(without).collect()
    }
}

fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

/// Whatever a database calls true, false and nothing.
fn word(value: Option<&String>) -> String {
    let word = match value.map(String::as_str) {
        None => "",
        Some("true") => "1",
        Some("false") => "0",
        Some(word) => word,
    };
    word.to_owned()
}

fn json(text: Option<&str>) -> Value {
    text.and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default()
}

fn number(text: Option<&String>) -> Option<u64> {
    text.and_then(|text| text.parse().ok())
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

impl Task {
    fn of(row: Row) -> (String, Self) {
        let [id, status, requester, pointers, updated_at, last_seq, chain] =
            row.try_into().unwrap();
        let task = Self {
            status: word(status.as_ref()),
            channel: text(&json(requester.as_deref())["channel"]),
            latest_event: text(&json(pointers.as_deref())["latest_event_id"]),
            updated_at: word(updated_at.as_ref()),
            last_seq: number(last_seq.as_ref()),
            chain: word(chain.as_ref()),
        };
        (id.unwrap(), task)
    }
}

impl Call {
    fn of(row: &Row) -> (String, Self) {
        let columns = CALLS
            .into_iter()
            .zip(row.iter().map(|value| word(value.as_ref())));
        (word(row[0].as_ref()), Self(columns.collect()))
    }
}

fn sums_of(row: &Row) -> (Vec<String>, Vec<i128>) {
    let (key, values) = row.split_at(SUM_KEY.len());
    let key = key.iter().map(|value| word(value.as_ref()));
    let values = values
        .iter()
        .map(|value| word(value.as_ref()).parse().unwrap());
    (key.collect(), values.collect())
}

impl Event {
    fn of(row: Row) -> (String, Self) {
        let event = Self {
            id: word(row[0].as_ref()),
            seq: number(row[2].as_ref()).unwrap(),
            ts: word(row[3].as_ref()),
            kind: word(row[4].as_ref()),
            payload: json(row[7].as_deref()),
            parent: row[10].clone(),
            key: row[11].clone(),
            position: number(row[12].as_ref()),
            hash: word(row[13].as_ref()),
            wire: wire(&row),
            row,
        };
        (word(event.row[1].as_ref()), event)
    }
}

fn wire(row: &Row) -> String {
    let raw = |index: usize| row[index].clone().unwrap_or_else(|| "null".to_owned());
    let quoted = |index: usize| serde_json::to_string(&row[index]).unwrap();
    format!(
        r#"{{"event_id":{},"task_id":{},"task_seq":{},"ts":{},"type":{},"schema_version":{},"actor":{},"payload":{},"trace_id":{},"span_id":{},"causality":{{"parent_event_id":{},"idempotency_key":{}}},"#,
        quoted(0),
        quoted(1),
        raw(2),
        quoted(3),
        quoted(4),
        raw(5),
        quoted(6),
        raw(7),
        quoted(8),
        quoted(9),
        quoted(10),
        quoted(11),
    )
}

impl Artifact {
    fn of(row: Row) -> (String, Self) {
        let [id, task_id, name, parts, storage_ref, size, hash] = row.try_into().unwrap();
        let artifact = Self {
            task_id: task_id.unwrap(),
            name: word(name.as_ref()),
            parts: json(parts.as_deref()),
            storage_ref,
            size: number(size.as_ref()).unwrap(),
            hash: word(hash.as_ref()),
        };
        (id.unwrap(), artifact)
    }
}
