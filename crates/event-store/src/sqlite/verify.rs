//! The check of a whole database, from one moment's view of it.

use event_payloads::TaskId;
use rusqlite::{Connection, params};

use super::failure::Failure;
use super::row::InOrder;
use super::{read, rebuild, row};
use crate::books::audit::{Audit, Kept, KeptTask};
use crate::books::chain::Hash;
use crate::books::kind::Kind;
use crate::books::recount::Recounted;
use crate::books::sums::Changes;
use crate::files::ArtifactFiles;
use crate::rows::{self, Row as _, from_sql};
use crate::sql::{self, ARTIFACT_COLUMNS, SUM_KEY, SUMS, TASK_COLUMNS};
use crate::{Progress, Verified};

pub(crate) fn everything(
    conn: &Connection,
    files: &ArtifactFiles,
    progress: &Progress,
) -> Result<Verified, Failure> {
    let _hold = files.hold()?;
    let snapshot = conn.unchecked_transaction()?;
    let mut audit = Audit::default();
    let mut unreadable = Vec::new();
    rebuild::walk(
        &snapshot,
        |error| unreadable.push(error.to_string()),
        |done| {
            progress.add(done.events);
            match kept(&snapshot, &done) {
                Ok(kept) => audit.task(done, &kept),
                Err(Failure::Store(error)) => audit.unreadable(done, &error),
                Err(error) => return Err(error),
            }
            Ok(())
        },
    )?;
    for problem in unreadable {
        audit.problem(problem);
    }
    strangers(&snapshot, &mut audit)?;
    artifacts(&snapshot, files, &mut audit)?;
    let shared = sums(&snapshot, "period <> ?1", Kind::TASK.as_str())?;
    Ok(audit.finish(&shared))
}

/// What is kept about a task beside its events.
fn kept(conn: &Connection, done: &Recounted) -> Result<Kept, Failure> {
    let task_id = done.task_id.as_str();
    let mut missing = Vec::new();
    for artifact in &done.artifacts {
        let mut statement =
            conn.prepare_cached("SELECT 1 FROM artifacts WHERE artifact_id = ?1")?;
        if !statement.exists([artifact])? {
            missing.push(artifact.clone());
        }
    }
    Ok(Kept {
        task: task(conn, task_id)?,
        calls: row::all(conn, &sql::calls(), [task_id], |row| rows::call(row))?,
        sums: sums(conn, "period = 'task' AND scope = ?1", task_id)?,
        missing_artifacts: missing,
    })
}

fn task(conn: &Connection, task_id: &str) -> Result<Option<KeptTask>, Failure> {
    let sql = format!("SELECT {TASK_COLUMNS}, last_seq, chain FROM tasks WHERE task_id = ?1");
    row::first(conn, &sql, [task_id], |row| {
        let chain = row.bytes_or_null("chain").ok().flatten();
        Ok(KeptTask {
            task: rows::task(row)?,
            last_seq: row.count("last_seq").unwrap_or_default(),
            chain: chain
                .and_then(|bytes| Hash::from_bytes(&bytes))
                .unwrap_or_default(),
        })
    })
}

/// The rows of sums that a condition picks.
fn sums(conn: &Connection, condition: &str, value: &str) -> Result<Changes, Failure> {
    let sql = format!(
        "SELECT {SUM_KEY}, {} FROM cost_sums WHERE {condition}",
        SUMS.join(", ")
    );
    let found = row::all(conn, &sql, [value], |row| {
        Ok((rows::sum_key(row)?, rows::sums(row)?))
    })?;
    let found = found.into_iter().filter(|(_, sums)| !sums.is_zero());
    Ok(Changes(found.collect()))
}

/// Rows that no event speaks of.
fn strangers(conn: &Connection, audit: &mut Audit) -> Result<(), Failure> {
    let tasks: Vec<String> = conn
        .prepare(
            "SELECT task_id FROM tasks WHERE NOT EXISTS
                 (SELECT 1 FROM events WHERE events.task_id = tasks.task_id)",
        )?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for task_id in tasks.iter().filter_map(|id| id.parse::<TaskId>().ok()) {
        audit.eventless(&task_id);
    }
    let calls: i64 = conn.query_row("SELECT count(*) FROM model_calls", [], |row| row.get(0))?;
    audit.stranger(
        "model calls",
        from_sql(calls).saturating_sub(audit.calls_seen()),
    );
    let sums: i64 = conn.query_row(
        "SELECT count(*) FROM cost_sums WHERE period = 'task' AND calls <> 0
             AND NOT EXISTS (SELECT 1 FROM tasks WHERE task_id = scope)",
        [],
        |row| row.get(0),
    )?;
    audit.stranger("sums of tasks", from_sql(sums));
    Ok(())
}

fn artifacts(conn: &Connection, files: &ArtifactFiles, audit: &mut Audit) -> Result<(), Failure> {
    let mut statement = conn.prepare(&format!("SELECT {ARTIFACT_COLUMNS} FROM artifacts"))?;
    let mut found = statement.query(params![])?;
    while let Some(row) = found.next()? {
        let content =
            rows::artifact(&InOrder::new(row)).and_then(|row| read::content_of(&row, files));
        audit.artifact(content.err().map(|error| error.to_string()));
    }
    Ok(())
}
