//! Rows of the tables as their types, whichever database they come from.

use event_payloads::{
    Causality, CostSource, Event, EventId, EventType, Picodollars, TaskId, TaskStatus, Timestamp,
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::books::call::CallRow;
use crate::books::chain::{Hash, StoredEvent};
use crate::books::kind::Kind;
use crate::books::sums::{SumKey, Sums};
use crate::transfer::StoredTask;
use crate::{
    Artifact, Call, CallStatus, Dimension, OpenCall, Overview, Position, Pruned, StoreError, Task,
    Tokens,
};

/// A row of a result, read by the names of its columns: fastest in the order of the columns.
pub(crate) trait Row {
    /// A text that may be missing.
    fn text_or_null(&self, column: &str) -> Result<Option<String>, Problem>;
    /// A number that may be missing, of any width.
    fn number_or_null(&self, column: &str) -> Result<Option<i64>, Problem>;
    /// Bytes that may be missing.
    fn bytes_or_null(&self, column: &str) -> Result<Option<Vec<u8>>, Problem>;

    fn text(&self, column: &str) -> Result<String, Problem> {
        self.text_or_null(column)?
            .ok_or_else(|| Problem(format!("its {column} is missing")))
    }

    fn number(&self, column: &str) -> Result<i64, Problem> {
        self.number_or_null(column)?
            .ok_or_else(|| Problem(format!("its {column} is missing")))
    }

    fn flag(&self, column: &str) -> Result<bool, Problem> {
        Ok(self.number(column)? != 0)
    }

    fn count(&self, column: &str) -> Result<u64, Problem> {
        self.number(column).map(from_sql)
    }
}

/// What is wrong with a row.
#[derive(Debug)]
pub(crate) struct Problem(pub(crate) String);

/// A count for a column: SQL has 63 bits, and nothing that we count needs more.
pub(crate) fn to_sql(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A count from a column. None of ours is negative.
pub(crate) fn from_sql(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}

/// A damaged thing, with no error underneath.
pub(crate) fn corrupt(what: impl Into<String>, problem: impl Into<String>) -> StoreError {
    StoreError::Corrupt {
        what: what.into(),
        problem: problem.into(),
        source: None,
    }
}

/// Names a row in what went wrong with it.
fn named<R: Row, T>(
    row: &R,
    kind: &str,
    key: &str,
    read: impl FnOnce(&R) -> Result<T, Problem>,
) -> Result<T, StoreError> {
    read(row).map_err(|problem| {
        let id = row.text(key);
        damaged(kind, id.as_deref().ok(), problem)
    })
}

fn damaged(kind: &str, id: Option<&str>, Problem(problem): Problem) -> StoreError {
    let id = id.unwrap_or("without a readable identifier");
    let id = event_payloads::first_chars(id, 128).escape_debug();
    corrupt(format!("{kind} {id}"), problem)
}

fn parsed<T>(row: &impl Row, column: &str) -> Result<T, Problem>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    parse(column, &row.text(column)?)
}

fn parse<T>(column: &str, text: &str) -> Result<T, Problem>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    text.parse()
        .map_err(|error: T::Err| Problem(format!("its {column}: {error}")))
}

/// A moment. Rows that other programs wrote may separate it by a space or leave the offset out.
fn moment(column: &str, text: &str) -> Result<Timestamp, Problem> {
    let with_t = text.replacen(' ', "T", 1);
    [text, &with_t, &format!("{with_t}+00:00")]
        .into_iter()
        .find_map(|text| text.parse().ok())
        .ok_or_else(|| {
            let shown = event_payloads::first_chars(text, 40).escape_debug();
            Problem(format!("its {column} `{shown}` is no time"))
        })
}

fn moment_of(row: &impl Row, column: &str) -> Result<Timestamp, Problem> {
    moment(column, &row.text(column)?)
}

fn json<T: DeserializeOwned>(row: &impl Row, column: &str) -> Result<T, Problem> {
    serde_json::from_str(&row.text(column)?)
        .map_err(|error| Problem(format!("its {column}: {error}")))
}

/// An event as its row has it.
pub(crate) fn stored_event(row: &impl Row) -> Result<StoredEvent, StoreError> {
    named(row, "event", "event_id", |row| {
        Ok(StoredEvent {
            event_id: row.text("event_id")?,
            task_id: parsed::<TaskId>(row, "task_id")?.to_string(),
            task_seq: row.number("task_seq")?,
            ts: row.text("ts")?,
            event_type: row.text("type")?,
            schema_version: row.number("schema_version")?,
            actor: row.text("actor")?,
            payload: row.text("payload")?,
            trace_id: row.text("trace_id")?,
            span_id: row.text("span_id")?,
            parent_event_id: row.text_or_null("parent_event_id")?,
            idempotency_key: row.text_or_null("idempotency_key")?,
            position: row.number_or_null("position")?,
            // A hash of another length is none that we wrote: the check says that it is missing.
            hash: row
                .bytes_or_null("hash")?
                .and_then(|bytes| Hash::from_bytes(&bytes)),
        })
    })
}

pub(crate) fn event(row: &impl Row) -> Result<Event, StoreError> {
    to_event(&stored_event(row)?)
}

/// A payload from the text of its row. What is no JSON is handed on as the text that it is: the event did happen.
pub(crate) fn payload(json: &str) -> Value {
    serde_json::from_str(json).unwrap_or_else(|_| Value::String(json.to_owned()))
}

pub(crate) fn to_event(stored: &StoredEvent) -> Result<Event, StoreError> {
    let read = || -> Result<Event, Problem> {
        let version = u32::try_from(stored.schema_version);
        Ok(Event {
            event_id: parse("event_id", &stored.event_id)?,
            task_id: parse("task_id", &stored.task_id)?,
            task_seq: from_sql(stored.task_seq),
            ts: moment("ts", &stored.ts)?,
            event_type: EventType::from(stored.event_type.as_str()),
            schema_version: version
                .map_err(|_| Problem("its schema_version is no version".to_owned()))?,
            actor: stored.actor.as_str().into(),
            payload: payload(&stored.payload),
            trace_id: stored.trace_id.clone(),
            span_id: stored.span_id.clone(),
            causality: Causality {
                // A parent that is no identifier names nothing.
                parent_event_id: stored
                    .parent_event_id
                    .as_ref()
                    .and_then(|id| id.parse::<EventId>().ok()),
                idempotency_key: stored.idempotency_key.clone(),
            },
        })
    };
    read().map_err(|problem| damaged("event", Some(&stored.event_id), problem))
}

/// An overview, but for what each database says in its own way.
pub(crate) fn overview(row: &impl Row) -> Result<Overview, StoreError> {
    let position = |column: &str| Ok::<_, Problem>(row.number_or_null(column)?.map(from_sql));
    let read = || -> Result<Overview, Problem> {
        let last_event_at = row.text_or_null("last_event_at")?;
        Ok(Overview {
            tasks: row.count("tasks")?,
            events: row.count("events")?,
            open_calls: row.count("open_calls")?,
            artifacts: row.count("artifacts")?,
            first_position: position("first_position")?,
            last_position: position("last_position")?,
            // What is no time is for `verify` to say.
            last_event_at: last_event_at.and_then(|text| text.parse().ok()),
            ..Overview::default()
        })
    };
    read().map_err(|problem| damaged("overview", None, problem))
}

/// Counts of what pruning would remove.
pub(crate) fn pruned(row: &impl Row) -> Result<Pruned, StoreError> {
    let read = || -> Result<Pruned, Problem> {
        Ok(Pruned {
            tasks: row.count("tasks")?,
            events: row.count("events")?,
            calls: row.count("calls")?,
            artifacts: row.count("artifacts")?,
        })
    };
    read().map_err(|problem| damaged("count", None, problem))
}

pub(crate) fn position(row: &impl Row) -> Result<Position, StoreError> {
    named(row, "event", "event_id", |row| {
        Ok(Position {
            task_id: parsed(row, "task_id")?,
            task_seq: row.count("task_seq")?,
        })
    })
}

pub(crate) fn task(row: &impl Row) -> Result<Task, StoreError> {
    named(row, "task", "task_id", |row| {
        Ok(Task {
            task_id: parsed::<TaskId>(row, "task_id")?,
            created_at: moment_of(row, "created_at")?,
            updated_at: moment_of(row, "updated_at")?,
            status: parsed::<TaskStatus>(row, "status")?,
            title: row.text("title")?,
            thread_id: row.text("thread_id")?,
            scope_id: row.text("scope_id")?,
            requester: json(row, "requester")?,
            risk_level: row.text("risk_level")?,
            pointers: json(row, "pointers")?,
        })
    })
}

/// What can be read of a list. One damaged row must not take all others with it; asked for by its name it
/// gives its error.
pub(crate) fn readable<T>(rows: Vec<Result<T, StoreError>>) -> Vec<T> {
    let read = rows.into_iter().filter_map(|row| {
        row.inspect_err(|error| tracing::warn!(%error, "row left out of a list"))
            .ok()
    });
    read.collect()
}

pub(crate) fn artifact(row: &impl Row) -> Result<Artifact, StoreError> {
    named(row, "artifact", "artifact_id", |row| {
        let version = u32::try_from(row.number("version")?);
        Ok(Artifact {
            artifact_id: parsed(row, "artifact_id")?,
            task_id: parsed(row, "task_id")?,
            ts: moment_of(row, "ts")?,
            name: row.text("name")?,
            description: row.text("description")?,
            parts: json(row, "parts")?,
            storage_ref: row.text_or_null("storage_ref")?,
            size: row.count("size")?,
            hash: row.text("hash")?,
            version: version.map_err(|_| Problem("its version is no version".to_owned()))?,
        })
    })
}

pub(crate) fn open_call(row: &impl Row) -> Result<OpenCall, StoreError> {
    named(row, "model call", "call_id", |row| {
        Ok(OpenCall {
            call_id: parsed(row, "call_id")?,
            task_id: parsed(row, "task_id")?,
            started_at: moment_of(row, "started_at")?,
            alias: row.text("alias")?,
            category: row.text("category")?,
            runtime_group: row.text("runtime_group")?,
        })
    })
}

pub(crate) fn call(row: &impl Row) -> Result<CallRow, StoreError> {
    named(row, "model call", "call_id", |row| {
        let ended_at = row.text_or_null("ended_at")?;
        let status = match row.text("status")?.as_str() {
            "completed" => CallStatus::Completed,
            "failed" => CallStatus::Failed,
            _ => CallStatus::Started,
        };
        let pico = Picodollars::new(row.number("cost_pico")?);
        let known = status != CallStatus::Started && !row.flag("cost_unavailable")?;
        let corrections = row.count("corrections")?;
        let call = Call {
            call_id: parsed(row, "call_id")?,
            task_id: parsed(row, "task_id")?,
            started_at: moment_of(row, "started_at")?,
            ended_at: ended_at.map(|at| moment("ended_at", &at)).transpose()?,
            status,
            alias: row.text("alias")?,
            category: row.text("category")?,
            runtime_group: row.text("runtime_group")?,
            model: row.text("model")?,
            provider: row.text("provider")?,
            is_fallback: row.flag("is_fallback")?,
            cost: known.then_some(pico),
            cost_unavailable_reason: row.text("cost_unavailable_reason")?,
            cost_source: source(&row.text("cost_source")?),
            drift: row.flag("drift")?,
            recorded: recorded(row, corrections)?,
            estimated: row.flag("estimated")?,
            tokens: tokens(row)?,
            duration_ms: row.number_or_null("duration_ms")?.map(from_sql),
            error_type: row.text("error_type")?,
        };
        Ok(CallRow {
            call,
            task_seq: row.count("task_seq")?,
            corrections,
        })
    })
}

fn recorded(row: &impl Row, corrections: u64) -> Result<Option<Option<Picodollars>>, Problem> {
    if corrections == 0 {
        return Ok(None);
    }
    let pico = Picodollars::new(row.number("recorded_pico")?);
    let known = !row.flag("recorded_unavailable")?;
    Ok(Some(known.then_some(pico)))
}

fn source(word: &str) -> CostSource {
    [
        CostSource::Proxy,
        CostSource::PriceBook,
        CostSource::Override,
    ]
    .into_iter()
    .find(|source| source.as_str() == word)
    .unwrap_or(CostSource::None)
}

fn tokens(row: &impl Row) -> Result<Option<Tokens>, Problem> {
    let Some(prompt) = row.number_or_null("prompt_tokens")? else {
        return Ok(None);
    };
    let count = |column| Ok::<_, Problem>(row.number_or_null(column)?.map_or(0, from_sql));
    Ok(Some(Tokens {
        prompt: from_sql(prompt),
        completion: count("completion_tokens")?,
        total: count("total_tokens")?,
        cached: count("cached_tokens")?,
        cache_creation: count("cache_creation_tokens")?,
        reasoning: count("reasoning_tokens")?,
    }))
}

/// Sums, with the names of [`sql::SUMS`](crate::sql::SUMS).
pub(crate) fn sums(row: &impl Row) -> Result<Sums, StoreError> {
    let read = || -> Result<Sums, Problem> {
        let money =
            |whole, rest| Ok::<_, Problem>(Sums::money(row.number(whole)?, row.number(rest)?));
        Ok(Sums {
            calls: row.number("calls")?,
            calls_without_cost: row.number("calls_without_cost")?,
            fallback_calls: row.number("fallback_calls")?,
            failed_calls: row.number("failed_calls")?,
            drift_calls: row.number("drift_calls")?,
            estimated_calls: row.number("estimated_calls")?,
            corrected_calls: row.number("corrected_calls")?,
            cost: money("cost_usd", "cost_pico")?,
            recorded_cost: money("recorded_usd", "recorded_pico")?,
            tokens: [
                row.number("prompt_tokens")?,
                row.number("completion_tokens")?,
                row.number("total_tokens")?,
                row.number("cached_tokens")?,
                row.number("cache_creation_tokens")?,
                row.number("reasoning_tokens")?,
            ],
        })
    };
    read().map_err(|problem| damaged("row of sums", Some("of costs"), problem))
}

/// Which row of sums it is.
pub(crate) fn sum_key(row: &impl Row) -> Result<SumKey, StoreError> {
    let read = || -> Result<SumKey, Problem> {
        let word = row.text("period")?;
        Ok(SumKey {
            kind: Kind::from_word(&word)
                .ok_or_else(|| Problem(format!("its period `{word}` is unknown")))?,
            scope: row.text("scope")?,
            alias: row.text("alias")?,
            category: row.text("category")?,
            model: row.text("model")?,
            provider: row.text("provider")?,
        })
    };
    read().map_err(|problem| damaged("row of sums", Some("of costs"), problem))
}

/// A row of `tasks`, each column as it stands.
pub(crate) fn stored_task(row: &impl Row) -> Result<StoredTask, StoreError> {
    named(row, "task", "task_id", |row| {
        Ok(StoredTask {
            task_id: row.text("task_id")?,
            created_at: row.text("created_at")?,
            updated_at: row.text("updated_at")?,
            status: row.text("status")?,
            title: row.text("title")?,
            thread_id: row.text("thread_id")?,
            scope_id: row.text("scope_id")?,
            requester: row.text("requester")?,
            risk_level: row.text("risk_level")?,
            pointers: row.text("pointers")?,
        })
    })
}

/// The values of a group, in the query's order.
pub(crate) fn group(row: &impl Row, group_by: &[Dimension]) -> Result<Vec<String>, StoreError> {
    let values = group_by.iter().map(|each| row.text(each.as_str()));
    values
        .collect::<Result<_, _>>()
        .map_err(|problem| damaged("row of sums", Some("of costs"), problem))
}
