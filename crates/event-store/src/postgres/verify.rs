//! The check of a whole database, from one moment's view of it.

use std::collections::{HashMap, HashSet};

use event_payloads::TaskId;
use tokio_postgres::types::ToSql;
use tokio_postgres::{IsolationLevel, Row, Transaction};

use super::connect::{Connector, Purpose};
use super::failure::Failure;
use super::read::content_of;
use super::walk::Walk;
use super::write::{clean, clean_call};
use crate::books::audit::{Audit, Kept, KeptTask};
use crate::books::chain::Hash;
use crate::books::recount::Recounted;
use crate::books::sums::{Changes, SumKey, Sums};
use crate::rows::{self, Row as _, from_sql};
use crate::sql::{ARTIFACT_COLUMNS, CALL_COLUMNS, SUM_KEY, SUMS, TASK_COLUMNS};
use crate::{Progress, StoreError, Verified};

/// How many artifacts are read at once: each can be large.
const ARTIFACTS: i32 = 16;

pub(crate) async fn everything(
    connector: &Connector,
    progress: &Progress,
) -> Result<Verified, StoreError> {
    let work = async {
        let mut conn = connector.connect(Purpose::Checking).await?;
        let moment = conn.client.build_transaction();
        let moment = moment
            .isolation_level(IsolationLevel::RepeatableRead)
            .read_only(true);
        let tx = moment.start().await?;
        check(&tx, progress).await
    };
    Box::pin(work)
        .await
        .map_err(|failure: Failure| failure.told(connector.server()))
}

async fn check(tx: &Transaction<'_>, progress: &Progress) -> Result<Verified, Failure> {
    let mut audit = Audit::default();
    let mut walk = Walk::begin(tx).await?;
    while let Some(done) = walk.next(tx).await? {
        tasks(tx, done, &mut audit, progress).await?;
    }
    strangers(tx, &mut audit).await?;
    artifacts(tx, &mut audit).await?;
    let shared = sums(tx, "period <> 'task'", &[], &mut audit).await?;
    Ok(audit.finish(&Changes(shared.into_iter().collect())))
}

/// Holds some tasks against what is kept about them.
async fn tasks(
    tx: &Transaction<'_>,
    done: Vec<Recounted>,
    audit: &mut Audit,
    progress: &Progress,
) -> Result<(), Failure> {
    if done.is_empty() {
        return Ok(());
    }
    let mut kept = kept(tx, &done, audit).await?;
    let there = artifacts_there(tx, &done).await?;
    for task in done {
        progress.add(task.events);
        let mut kept = kept.remove(&task.task_id).unwrap_or_default();
        let missing = task.artifacts.iter().filter(|id| !there.contains(*id));
        kept.missing_artifacts = missing.cloned().collect();
        audit.task(as_kept_here(task), &kept);
    }
    Ok(())
}

/// What the events say, in texts that Postgres can keep.
fn as_kept_here(mut task: Recounted) -> Recounted {
    if let Some((_, created)) = task.task.created.as_deref_mut() {
        for text in [
            &mut created.title,
            &mut created.thread_id,
            &mut created.scope_id,
            &mut created.risk_level,
        ] {
            *text = clean(text);
        }
    }
    task.calls.iter_mut().for_each(clean_call);
    let sums = std::mem::take(&mut task.sums);
    let sums = sums
        .0
        .into_iter()
        .map(|(key, sums)| (clean_key(&key), sums));
    task.sums = Changes(sums.collect());
    task
}

fn clean_key(key: &SumKey) -> SumKey {
    SumKey {
        scope: clean(&key.scope),
        alias: clean(&key.alias),
        category: clean(&key.category),
        model: clean(&key.model),
        provider: clean(&key.provider),
        kind: key.kind,
    }
}

/// What is kept about some tasks beside their events. A row that can not be read is a problem of its own.
async fn kept(
    tx: &Transaction<'_>,
    done: &[Recounted],
    audit: &mut Audit,
) -> Result<HashMap<TaskId, Kept>, Failure> {
    let ids: Vec<&str> = done.iter().map(|task| task.task_id.as_str()).collect();
    let mut all: HashMap<TaskId, Kept> = HashMap::new();
    let sql = format!("SELECT {TASK_COLUMNS}, last_seq, chain FROM tasks WHERE task_id = ANY($1)");
    for row in tx.query(&sql, &[&ids]).await? {
        match kept_task(&row) {
            Ok(task) => {
                let task_id = task.task.task_id.clone();
                all.entry(task_id).or_default().task = Some(task);
            }
            Err(error) => audit.problem(error.to_string()),
        }
    }
    let sql = format!(
        "SELECT {CALL_COLUMNS} FROM model_calls WHERE task_id = ANY($1) ORDER BY task_id, task_seq"
    );
    for row in tx.query(&sql, &[&ids]).await? {
        match rows::call(&row) {
            Ok(call) => {
                let task_id = call.call.task_id.clone();
                all.entry(task_id).or_default().calls.push(call);
            }
            Err(error) => audit.problem(error.to_string()),
        }
    }
    let condition = "period = 'task' AND scope = ANY($1)";
    for (key, sums) in sums(tx, condition, &[&ids], audit).await? {
        if let Ok(task_id) = key.scope.parse() {
            all.entry(task_id).or_default().sums.0.insert(key, sums);
        }
    }
    Ok(all)
}

fn kept_task(row: &Row) -> Result<KeptTask, StoreError> {
    let chain = row.bytes_or_null("chain").ok().flatten();
    Ok(KeptTask {
        task: rows::task(row)?,
        last_seq: row.count("last_seq").unwrap_or_default(),
        chain: chain
            .and_then(|bytes| Hash::from_bytes(&bytes))
            .unwrap_or_default(),
    })
}

/// Which of the artifacts that some tasks speak of are there.
async fn artifacts_there(
    tx: &Transaction<'_>,
    done: &[Recounted],
) -> Result<HashSet<String>, Failure> {
    let spoken_of: Vec<&str> = done
        .iter()
        .flat_map(|task| task.artifacts.iter().map(String::as_str))
        .collect();
    let sql = "SELECT artifact_id FROM artifacts WHERE artifact_id = ANY($1)";
    let found = tx.query(sql, &[&spoken_of]).await?;
    let ids = found.iter().map(|row| row.try_get(0));
    Ok(ids.collect::<Result<_, _>>()?)
}

/// The rows of sums that a condition picks, but those that come to nothing.
async fn sums(
    tx: &Transaction<'_>,
    condition: &str,
    values: &[&(dyn ToSql + Sync)],
    audit: &mut Audit,
) -> Result<Vec<(SumKey, Sums)>, Failure> {
    let sql = format!(
        "SELECT {SUM_KEY}, {} FROM cost_sums WHERE {condition}",
        SUMS.join(", ")
    );
    let mut found = Vec::new();
    for row in tx.query(&sql, values).await? {
        match rows::sum_key(&row).and_then(|key| Ok((key, rows::sums(&row)?))) {
            Ok((_, sums)) if sums.is_zero() => {}
            Ok(pair) => found.push(pair),
            Err(error) => audit.problem(error.to_string()),
        }
    }
    Ok(found)
}

/// Rows that no event speaks of.
async fn strangers(tx: &Transaction<'_>, audit: &mut Audit) -> Result<(), Failure> {
    let eventless = "SELECT task_id FROM tasks WHERE NOT EXISTS
         (SELECT 1 FROM events WHERE events.task_id = tasks.task_id) LIMIT 100";
    for row in tx.query(eventless, &[]).await? {
        if let Ok(task_id) = row.try_get::<_, &str>(0)?.parse::<TaskId>() {
            audit.eventless(&task_id);
        }
    }
    let calls: i64 = tx
        .query_one("SELECT count(*) FROM model_calls", &[])
        .await?
        .try_get(0)?;
    audit.stranger(
        "model calls",
        from_sql(calls).saturating_sub(audit.calls_seen()),
    );
    let sums = "SELECT count(*) FROM cost_sums WHERE period = 'task' AND calls <> 0
         AND NOT EXISTS (SELECT 1 FROM tasks WHERE task_id = scope)";
    let sums: i64 = tx.query_one(sums, &[]).await?.try_get(0)?;
    audit.stranger("sums of tasks", from_sql(sums));
    Ok(())
}

async fn artifacts(tx: &Transaction<'_>, audit: &mut Audit) -> Result<(), Failure> {
    let sql = format!(
        "SELECT {ARTIFACT_COLUMNS}, content FROM artifacts
         LEFT JOIN artifact_contents USING (artifact_id)"
    );
    let all = tx.bind(&sql, &[]).await?;
    loop {
        let page = tx.query_portal(&all, ARTIFACTS).await?;
        if page.is_empty() {
            return Ok(());
        }
        for row in &page {
            let content = rows::artifact(row).and_then(|artifact| content_of(&artifact, row));
            audit.artifact(content.err().map(|error| error.to_string()));
        }
    }
}
