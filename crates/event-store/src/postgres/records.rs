//! Records as they are, out of a database and into it.

use tokio_postgres::Transaction;
use tokio_postgres::types::ToSql;

use super::connect::Connector;
use super::facts::LOCK;
use super::failure::Failure;
use super::feed::tell;
use super::pipeline;
use super::pool::Readers;
use super::read::content_of;
use super::repair::Kept;
use super::statements::{ANY, Writing};
use super::write::{self, clean};
use crate::StoreError;
use crate::prepared::{ArtifactLimits, PreparedArtifact};
use crate::rows::{self, Row as _, to_sql};
use crate::sql::{self, ARTIFACT_COLUMNS, TASK_COLUMNS};
use crate::transfer::{Records, RecordsQuery, StoredArtifact, StoredTask};

pub(crate) async fn some(
    readers: &Readers,
    query: &RecordsQuery,
    limit: usize,
) -> Result<Records, StoreError> {
    let limit = to_sql(u64::try_from(limit).unwrap_or(u64::MAX));
    let mut records = Records::default();
    match query {
        RecordsQuery::Tasks(after) => {
            let sql = format!(
                "SELECT {TASK_COLUMNS} FROM tasks WHERE task_id > $1 ORDER BY task_id LIMIT $2"
            );
            let found = readers.query(&sql, &[after, &limit]).await?;
            records.tasks = found
                .iter()
                .map(rows::stored_task)
                .collect::<Result<_, _>>()?;
        }
        RecordsQuery::Events(after) => {
            let found = readers
                .query(&sql::log(), &[&to_sql(*after), &limit])
                .await?;
            records.events = found
                .iter()
                .map(rows::stored_event)
                .collect::<Result<_, _>>()?;
        }
        RecordsQuery::Artifacts(after) => {
            let sql = format!(
                "SELECT {ARTIFACT_COLUMNS}, content FROM artifacts
                 LEFT JOIN artifact_contents USING (artifact_id)
                 WHERE artifact_id > $1 ORDER BY artifact_id LIMIT $2"
            );
            for row in &readers.query(&sql, &[after, &limit]).await? {
                let artifact = rows::artifact(row)?;
                let content = content_of(&artifact, row)?;
                let row = artifact;
                records.artifacts.push(StoredArtifact { row, content });
            }
        }
        RecordsQuery::Cursors => {
            let found = readers
                .query("SELECT reader, position FROM log_cursors", &[])
                .await?;
            for row in &found {
                let position = row.count("position").unwrap_or_default();
                records
                    .cursors
                    .push((row.text("reader").unwrap_or_default(), position));
            }
        }
    }
    Ok(records)
}

/// Gives the log's last position afterwards.
pub(crate) async fn take_in(
    connector: &Connector,
    kept: &Kept,
    limits: ArtifactLimits,
    gateway_id: &str,
    records: Records,
) -> Result<u64, StoreError> {
    let work = async {
        let mut repairer = kept.take(connector).await?;
        let tx = repairer.conn.client.transaction().await?;
        tx.batch_execute(LOCK).await?;
        let before = head(&tx).await?;
        take(&tx, &repairer.writing, limits, records).await?;
        let head = head(&tx).await?;
        tx.batch_execute(&tell(gateway_id, before, head)).await?;
        tx.commit().await?;
        kept.keep(repairer);
        Ok(head)
    };
    Box::pin(work)
        .await
        .map_err(|failure: Failure| failure.told(connector.server()))
}

pub(crate) async fn head(tx: &Transaction<'_>) -> Result<u64, Failure> {
    let row = tx.query_one(sql::HEAD, &[]).await?;
    Ok(row.count("head").unwrap_or_default())
}

async fn take(
    tx: &Transaction<'_>,
    writing: &Writing,
    limits: ArtifactLimits,
    records: Records,
) -> Result<(), Failure> {
    if !records.tasks.is_empty() {
        tasks(tx, &records.tasks).await?;
    }
    if !records.events.is_empty() {
        let step = write::event_step(tx.client(), writing, ANY, &records.events, None);
        pipeline::run(vec![step])
            .await
            .map_err(|broken| Failure::from(broken.error))?;
    }
    for artifact in records.artifacts {
        self::artifact(tx, limits, artifact).await?;
    }
    for (reader, position) in records.cursors {
        tx.execute(sql::SAVE_CURSOR, &[&reader, &to_sql(position)])
            .await?;
    }
    Ok(())
}

async fn tasks(tx: &Transaction<'_>, tasks: &[StoredTask]) -> Result<(), Failure> {
    let names: Vec<&str> = TASK_COLUMNS.split(',').map(str::trim).collect();
    let changed: Vec<String> = names
        .iter()
        .skip(1)
        .map(|name| format!("{name} = excluded.{name}"))
        .collect();
    let places: Vec<String> = (1..=names.len())
        .map(|at| format!("${at}::text[]"))
        .collect();
    let sql = format!(
        "INSERT INTO tasks ({TASK_COLUMNS}) SELECT * FROM unnest({})
         ON CONFLICT (task_id) DO UPDATE SET {}",
        places.join(", "),
        changed.join(", ")
    );
    let column = |of: fn(&StoredTask) -> &String| -> Vec<String> {
        tasks.iter().map(|task| clean(of(task))).collect()
    };
    let columns = [
        column(|task| &task.task_id),
        column(|task| &task.created_at),
        column(|task| &task.updated_at),
        column(|task| &task.status),
        column(|task| &task.title),
        column(|task| &task.thread_id),
        column(|task| &task.scope_id),
        column(|task| &task.requester),
        column(|task| &task.risk_level),
        column(|task| &task.pointers),
    ];
    let values = columns.iter().map(|column| {
        let value: &(dyn ToSql + Sync) = column;
        value
    });
    tx.execute(&sql, &values.collect::<Vec<_>>()).await?;
    Ok(())
}

/// The content goes where this store keeps one of its size; the row says so.
async fn artifact(
    tx: &Transaction<'_>,
    limits: ArtifactLimits,
    StoredArtifact { row, content }: StoredArtifact,
) -> Result<(), Failure> {
    let prepared = PreparedArtifact::copied(&row, content, limits, None)?;
    let parts = serde_json::to_string(&[&prepared.part]).map_err(|error| StoreError::Database {
        source: std::sync::Arc::new(error),
    })?;
    let id = row.artifact_id.as_str();
    tx.execute(
        "INSERT INTO artifacts (artifact_id, task_id, ts, name, description, parts, storage_ref,
                                size, hash, version)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
         ON CONFLICT (artifact_id) DO UPDATE SET
             parts = excluded.parts, storage_ref = excluded.storage_ref",
        &[
            &id,
            &row.task_id.as_str(),
            &row.ts.to_string(),
            &clean(&row.name),
            &clean(&row.description),
            &parts,
            &prepared.storage_ref,
            &to_sql(row.size),
            &row.hash,
            &i64::from(row.version),
        ],
    )
    .await?;
    if let Some(content) = &prepared.content {
        tx.execute(
            "INSERT INTO artifact_contents (artifact_id, content) VALUES ($1, $2)
             ON CONFLICT (artifact_id) DO UPDATE SET content = excluded.content",
            &[&id, content],
        )
        .await?;
    }
    Ok(())
}
