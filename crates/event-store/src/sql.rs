//! The questions that both databases understand. Parameters are numbered in the order in which they
//! first appear, so that `$1` means the same to either.

use crate::books::cover::Source;
use crate::books::kind::{Detail, Kind, Period};
use crate::books::sums::{DOLLAR, hour};
use crate::{CostQuery, Dimension};
use event_payloads::TaskStatus;

pub(crate) const EVENT_COLUMNS: &str = "event_id, task_id, task_seq, ts, type, schema_version, \
     actor, payload, trace_id, span_id, parent_event_id, idempotency_key, position, hash";
pub(crate) const TASK_COLUMNS: &str = "task_id, created_at, updated_at, status, title, thread_id, \
     scope_id, requester, risk_level, pointers";
pub(crate) const ARTIFACT_COLUMNS: &str = "artifact_id, task_id, ts, name, description, parts, \
     storage_ref, size, hash, version";
pub(crate) const CALL_COLUMNS: &str = "call_id, task_id, task_seq, started_at, ended_at, status, \
     alias, category, runtime_group, model, provider, is_fallback, cost_pico, cost_unavailable, \
     cost_unavailable_reason, cost_source, drift, estimated, prompt_tokens, completion_tokens, \
     total_tokens, cached_tokens, cache_creation_tokens, reasoning_tokens, duration_ms, error_type, \
     corrections, recorded_pico, recorded_unavailable";
/// The columns that tell one row of sums from another.
pub(crate) const SUM_KEY: &str = "period, scope, alias, category, model, provider";
/// The columns of sums.
pub(crate) const SUMS: [&str; 17] = [
    "calls",
    "calls_without_cost",
    "fallback_calls",
    "failed_calls",
    "drift_calls",
    "estimated_calls",
    "corrected_calls",
    "cost_usd",
    "cost_pico",
    "recorded_usd",
    "recorded_pico",
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "cached_tokens",
    "cache_creation_tokens",
    "reasoning_tokens",
];

/// What becomes of each of [`SUMS`] when a row of them is added to another, as an upsert says it. Picodollars
/// carry into dollars, so that no number of calls makes either overflow.
pub(crate) fn added_sums() -> String {
    let both = |name| format!("(cost_sums.{name} + excluded.{name})");
    let added = SUMS.map(|name| {
        let carried = match name {
            "cost_usd" => Some("cost_pico"),
            "recorded_usd" => Some("recorded_pico"),
            _ => None,
        };
        match (carried, name) {
            (Some(pico), _) => format!("{name} = {} + {} / {DOLLAR}", both(name), both(pico)),
            (None, "cost_pico" | "recorded_pico") => format!("{name} = {} % {DOLLAR}", both(name)),
            (None, _) => format!("{name} = {}", both(name)),
        }
    });
    added.join(", ")
}

/// What each of [`SUMS`] is, over rows of `model_calls` that have ended. Picodollars are split before they
/// are summed, so that no number of calls makes a sum overflow.
const OF_CALLS: [&str; 17] = [
    "count(*)",
    "sum(cost_unavailable)",
    "sum(is_fallback)",
    "sum(CASE status WHEN 'failed' THEN 1 ELSE 0 END)",
    "sum(drift)",
    "sum(estimated)",
    "sum(CASE corrections WHEN 0 THEN 0 ELSE 1 END)",
    "sum(cost_pico / 1000000000000)",
    "sum(cost_pico % 1000000000000)",
    "sum((CASE corrections WHEN 0 THEN cost_pico ELSE recorded_pico END) / 1000000000000)",
    "sum((CASE corrections WHEN 0 THEN cost_pico ELSE recorded_pico END) % 1000000000000)",
    "sum(coalesce(prompt_tokens, 0))",
    "sum(coalesce(completion_tokens, 0))",
    "sum(coalesce(total_tokens, 0))",
    "sum(coalesce(cached_tokens, 0))",
    "sum(coalesce(cache_creation_tokens, 0))",
    "sum(coalesce(reasoning_tokens, 0))",
];

pub(crate) fn task() -> String {
    format!("SELECT {TASK_COLUMNS} FROM tasks WHERE task_id = $1")
}

pub(crate) fn task_by_key() -> String {
    format!(
        "SELECT {TASK_COLUMNS} FROM tasks
         WHERE task_id = (SELECT task_id FROM events WHERE idempotency_key = $1)"
    )
}

/// Takes the number of rows.
pub(crate) fn tasks() -> String {
    format!("SELECT {TASK_COLUMNS} FROM tasks ORDER BY created_at DESC, task_id DESC LIMIT $1")
}

/// Takes the status and the number of rows.
pub(crate) fn tasks_by_status() -> String {
    format!(
        "SELECT {TASK_COLUMNS} FROM tasks WHERE status = $1
         ORDER BY created_at DESC, task_id DESC LIMIT $2"
    )
}

/// The words of the states that end a task, for `IN (…)`.
pub(crate) fn terminal_states() -> String {
    states(TaskStatus::is_terminal)
}

/// The words of the other states.
pub(crate) fn open_states() -> String {
    states(|status| !status.is_terminal())
}

fn states(are_meant: impl Fn(TaskStatus) -> bool) -> String {
    let words = TaskStatus::ALL
        .into_iter()
        .filter(|status| are_meant(*status))
        .map(|status| format!("'{status}'"));
    words.collect::<Vec<_>>().join(", ")
}

/// Where tasks stand that ended before a moment, up to a position in the log, and were not pruned since. Takes the
/// moment, the place after which they are looked for, the position, and the number of rows.
pub(crate) fn to_prune() -> String {
    format!(
        "SELECT created_at, task_id FROM tasks
         WHERE created_at < $1 AND updated_at < $1 AND {}
           AND (created_at, task_id) > ($2, $3)
           AND {}
         ORDER BY created_at, task_id LIMIT $5",
        has_ended(),
        unpruned_up_to("$4")
    )
}

/// The condition that a task ended before a moment, which is the second parameter.
pub(crate) fn ended_before() -> String {
    format!("updated_at < $2 AND {}", has_ended())
}

/// The condition that a task has ended. What is added to the status keeps a database from looking tasks up by it: most
/// have ended, and it would go over all of them.
fn has_ended() -> String {
    format!("(status || '') IN ({})", terminal_states())
}

/// The condition that the last event of a task is no tombstone, and stands up to a position in the log, which is that
/// parameter. Not an `EXISTS`: for that Postgres may look at all events first, and then for their tasks.
fn unpruned_up_to(parameter: &str) -> String {
    format!(
        "(SELECT position FROM events WHERE events.task_id = tasks.task_id AND task_seq = tasks.last_seq
                                        AND type <> 'TASK_PRUNED') <= {parameter}"
    )
}

/// Takes a task, a position in it and the number of rows.
pub(crate) fn events() -> String {
    format!(
        "SELECT {EVENT_COLUMNS} FROM events WHERE task_id = $1 AND task_seq > $2
         ORDER BY task_seq LIMIT $3"
    )
}

/// Takes a position in the log and the number of rows.
pub(crate) fn log() -> String {
    format!("SELECT {EVENT_COLUMNS} FROM events WHERE position > $1 ORDER BY position LIMIT $2")
}

pub(crate) const POSITION: &str =
    "SELECT event_id, task_id, task_seq FROM events WHERE event_id = $1";
pub(crate) const HEAD: &str = "SELECT coalesce(max(position), 0) AS head FROM events";
pub(crate) const CURSOR: &str = "SELECT position FROM log_cursors WHERE reader = $1";
pub(crate) const SAVE_CURSOR: &str = "INSERT INTO log_cursors (reader, position) VALUES ($1, $2)
     ON CONFLICT (reader) DO UPDATE SET position = excluded.position";

pub(crate) fn artifacts() -> String {
    format!("SELECT {ARTIFACT_COLUMNS} FROM artifacts WHERE task_id = $1 ORDER BY ts, artifact_id")
}

pub(crate) fn artifact() -> String {
    format!("SELECT {ARTIFACT_COLUMNS} FROM artifacts WHERE artifact_id = $1")
}

pub(crate) fn calls() -> String {
    format!("SELECT {CALL_COLUMNS} FROM model_calls WHERE task_id = $1 ORDER BY task_seq")
}

pub(crate) fn call() -> String {
    format!("SELECT {CALL_COLUMNS} FROM model_calls WHERE call_id = $1")
}

/// Everything of an overview that both databases can be asked for.
pub(crate) const OVERVIEW: &str = "SELECT
     (SELECT count(*) FROM tasks) AS tasks,
     (SELECT count(*) FROM events) AS events,
     (SELECT count(*) FROM model_calls WHERE status = 'started') AS open_calls,
     (SELECT count(*) FROM artifacts) AS artifacts,
     (SELECT min(position) FROM events) AS first_position,
     (SELECT max(position) FROM events) AS last_position,
     (SELECT ts FROM events WHERE position = (SELECT max(position) FROM events)) AS last_event_at";

/// What pruning would remove: the counts of tasks, events, calls and artifacts. Takes the moment and the
/// position in the log. The rule is that of [`Candidate::prune`](crate::books::prune::Candidate::prune).
pub(crate) fn prunable() -> String {
    let of = |table: &str| {
        format!(
            "CAST(coalesce(sum((SELECT count(*) FROM {table}
                                WHERE {table}.task_id = going.task_id)), 0) AS BIGINT)"
        )
    };
    format!(
        "WITH going AS (
             SELECT task_id,
                    (SELECT max(task_seq) FROM events WHERE events.task_id = tasks.task_id) AS top,
                    coalesce((SELECT max(task_seq) FROM events
                              WHERE events.task_id = tasks.task_id
                                AND (idempotency_key IS NOT NULL OR type = 'TASK_PRUNED')), 1) AS kept
             FROM tasks
             WHERE created_at < $1 AND updated_at < $1 AND status IN ({}) AND {}
               AND NOT EXISTS (SELECT 1 FROM model_calls
                               WHERE model_calls.task_id = tasks.task_id
                                 AND model_calls.status = 'started'))
         SELECT count(*) AS tasks, CAST(coalesce(sum(top - kept), 0) AS BIGINT) AS events,
                {} AS calls, {} AS artifacts
         FROM going WHERE top > kept
           AND NOT EXISTS (SELECT 1 FROM model_calls
                           WHERE model_calls.task_id = going.task_id AND task_seq <= kept)
           AND NOT EXISTS (SELECT 1 FROM events
                           WHERE events.task_id = going.task_id AND task_seq <= kept
                             AND type = 'ARTIFACT_CREATED')",
        terminal_states(),
        unpruned_up_to("$2"),
        of("model_calls"),
        of("artifacts"),
    )
}

pub(crate) const OPEN_COLUMNS: &str =
    "call_id, task_id, started_at, alias, category, runtime_group";

pub(crate) fn open_calls() -> String {
    unfinished_calls("")
}

/// Calls without an end that a condition picks.
pub(crate) fn unfinished_calls(whose: &str) -> String {
    format!(
        "SELECT {OPEN_COLUMNS} FROM model_calls WHERE status = 'started' {whose}
         ORDER BY started_at, call_id"
    )
}

/// Tasks that have not come to a call, and those of calls without an end, that a condition picks.
pub(crate) fn unfinished_tasks(whose: &str) -> String {
    format!(
        "SELECT {TASK_COLUMNS} FROM tasks
         WHERE status IN ('CREATED', 'RUNNING') {whose}
           AND (status = 'CREATED'
                OR task_id IN (SELECT task_id FROM model_calls WHERE status = 'started'))
         ORDER BY created_at, task_id"
    )
}

/// A question with its parameters, all of them texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Question {
    pub(crate) sql: String,
    pub(crate) values: Vec<String>,
}

/// Collects conditions and the values that go with them.
#[derive(Default)]
struct Conditions {
    all: Vec<String>,
    values: Vec<String>,
}

impl Conditions {
    fn only(&mut self, condition: &str, value: Option<String>) {
        if let Some(value) = value {
            self.values.push(value);
            self.all.push(format!("{condition} ${}", self.values.len()));
        }
    }

    fn question(self, select: &str, from: &str, groups: &[String]) -> Question {
        let mut sql = format!("SELECT {select} FROM {from}");
        if !self.all.is_empty() {
            sql = format!("{sql} WHERE {}", self.all.join(" AND "));
        }
        if !groups.is_empty() {
            sql = format!("{sql} GROUP BY {}", groups.join(", "));
        }
        Question {
            sql,
            values: self.values,
        }
    }
}

/// A part of an answer about costs: its rows have the columns of [`SUMS`] and those of the query's groups, and
/// a group can have several.
pub(crate) fn sums(query: &CostQuery, source: &Source) -> Question {
    let mut conditions = Conditions::default();
    match source {
        Source::Sums { kind, from, until } => {
            conditions.only("period =", Some(kind.as_str().to_owned()));
            conditions.only("scope >=", from.clone());
            conditions.only("scope <", until.clone());
            kept_sums(query, conditions)
        }
        Source::Task => {
            conditions.only("period =", Some(Kind::TASK.as_str().to_owned()));
            conditions.only("scope =", query.task.as_ref().map(ToString::to_string));
            kept_sums(query, conditions)
        }
        Source::Calls { from, until } => {
            conditions.all.push("status <> 'started'".to_owned());
            conditions.only("task_id =", query.task.as_ref().map(ToString::to_string));
            conditions.only("started_at >=", from.map(|at| at.to_string()));
            conditions.only("started_at <", until.map(|at| at.to_string()));
            let select = SUMS.iter().zip(OF_CALLS);
            let select = select.map(|(name, sum)| summed(sum, name));
            calls_by_group(query, conditions, select)
        }
    }
}

/// Rows of sums as they stand, for [`Answer`](crate::books::answer::Answer) to add up: there are few a group, and
/// a database takes longer to add up and write seventeen sums of few rows than to give the rows.
fn kept_sums(query: &CostQuery, conditions: Conditions) -> Question {
    let groups = query.group_by.iter().map(|dimension| match dimension {
        Dimension::Day => "substr(scope, 1, 10) AS day",
        other => other.as_str(),
    });
    let select: Vec<&str> = groups.chain(SUMS).collect();
    conditions.question(&select.join(", "), "cost_sums", &[])
}

fn summed(sum: &str, name: &str) -> String {
    format!("CAST(coalesce({sum}, 0) AS BIGINT) AS {name}")
}

/// The calls that have not ended: how many, by group.
pub(crate) fn open_sums(query: &CostQuery) -> Question {
    let mut conditions = Conditions::default();
    conditions.all.push("status = 'started'".to_owned());
    conditions.only("task_id =", query.task.as_ref().map(ToString::to_string));
    conditions.only("started_at >=", query.from.map(|from| from.to_string()));
    conditions.only("started_at <", query.to.map(|to| to.to_string()));
    let select = [summed("count(*)", "calls")];
    calls_by_group(query, conditions, select)
}

fn calls_by_group(
    query: &CostQuery,
    conditions: Conditions,
    sums: impl IntoIterator<Item = String>,
) -> Question {
    let groups = query.group_by.iter();
    let groups: Vec<String> = groups.map(|each| each.as_str().to_owned()).collect();
    let select: Vec<String> = groups.iter().cloned().chain(sums).collect();
    conditions.question(&select.join(", "), "model_calls", &groups)
}

/// Two counts that are the same unless calls were pruned.
#[derive(Debug)]
pub(crate) struct Witness {
    /// The hour or the task, for people.
    pub(crate) when: String,
    pub(crate) kept: Question,
    pub(crate) there: Question,
}

/// What shows whether the calls that are read are all there; `None` if it reads sums.
///
/// A part of single calls without a task lies within one hour, so one hour's sum is the witness.
pub(crate) fn witness(query: &CostQuery, source: &Source) -> Option<Witness> {
    let Source::Calls { from, .. } = source else {
        return None;
    };
    let (kind, scope) = match (&query.task, from) {
        (Some(task_id), _) => (Kind::TASK, task_id.to_string()),
        (None, Some(from)) => (Kind::coarsest(Period::Hour, Detail::Total), hour(*from)),
        (None, None) => return None,
    };
    let mut kept = Conditions::default();
    kept.only("period =", Some(kind.as_str().to_owned()));
    kept.only("scope =", Some(scope.clone()));
    let mut there = Conditions::default();
    there.all.push("status <> 'started'".to_owned());
    if kind == Kind::TASK {
        there.only("task_id =", Some(scope.clone()));
    } else {
        there.only("started_at >=", Some(scope.clone()));
        // `:` is the character before the minutes, `;` the next after it.
        there.only("started_at <", Some(format!("{scope};")));
    }
    Some(Witness {
        when: scope,
        kept: kept.question("CAST(coalesce(sum(calls), 0) AS BIGINT)", "cost_sums", &[]),
        there: there.question("count(*)", "model_calls", &[]),
    })
}
