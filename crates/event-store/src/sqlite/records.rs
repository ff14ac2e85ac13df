//! Records as they are, out of a database and into it.

use rusqlite::{Connection, params};

use super::failure::Failure;
use super::row::InOrder;
use super::{read, row, write};
use crate::StoreError;
use crate::files::{self, ArtifactFiles, StagedFile};
use crate::prepared::{ArtifactLimits, PreparedArtifact};
use crate::rows::{self, from_sql, to_sql};
use crate::sql::{self, ARTIFACT_COLUMNS, TASK_COLUMNS};
use crate::transfer::{Records, RecordsQuery, StoredArtifact, StoredTask};

pub(crate) fn some(
    conn: &Connection,
    files: &ArtifactFiles,
    query: &RecordsQuery,
    limit: usize,
) -> Result<Records, Failure> {
    let limit = to_sql(u64::try_from(limit).unwrap_or(u64::MAX));
    let mut records = Records::default();
    match query {
        RecordsQuery::Tasks(after) => {
            let sql = format!(
                "SELECT {TASK_COLUMNS} FROM tasks WHERE task_id > ?1 ORDER BY task_id LIMIT ?2"
            );
            records.tasks = row::all(conn, &sql, params![after, limit], |row| {
                rows::stored_task(row)
            })?;
        }
        RecordsQuery::Events(after) => {
            let params = params![to_sql(*after), limit];
            records.events = row::all(conn, &sql::log(), params, |row| rows::stored_event(row))?;
        }
        RecordsQuery::Artifacts(after) => {
            let sql = format!(
                "SELECT {ARTIFACT_COLUMNS} FROM artifacts WHERE artifact_id > ?1
                 ORDER BY artifact_id LIMIT ?2"
            );
            records.artifacts = row::all(conn, &sql, params![after, limit], |row| {
                artifact(row, files)
            })?;
        }
        RecordsQuery::Cursors => {
            records.cursors = conn
                .prepare("SELECT reader, position FROM log_cursors")?
                .query_map([], |row| Ok((row.get(0)?, row.get(1).map(from_sql)?)))?
                .collect::<Result<_, _>>()?;
        }
    }
    Ok(records)
}

fn artifact(row: &InOrder<'_>, files: &ArtifactFiles) -> Result<StoredArtifact, StoreError> {
    let row = rows::artifact(row)?;
    let content = read::content_of(&row, files)?;
    Ok(StoredArtifact { row, content })
}

/// Inside a transaction. The files are to be kept once it is on record.
pub(crate) fn take_in(
    conn: &Connection,
    files: &ArtifactFiles,
    limits: ArtifactLimits,
    records: Records,
) -> Result<Vec<StagedFile>, Failure> {
    for task in &records.tasks {
        self::task(conn, task)?;
    }
    write::events(conn, records.events)?;
    let mut staged = Vec::new();
    for artifact in records.artifacts {
        staged.extend(take_artifact(conn, files, limits, artifact)?);
    }
    for (reader, position) in records.cursors {
        conn.prepare_cached(sql::SAVE_CURSOR)?
            .execute(params![reader, to_sql(position)])?;
    }
    Ok(staged)
}

fn task(conn: &Connection, task: &StoredTask) -> Result<(), Failure> {
    conn.prepare_cached(
        "INSERT INTO tasks (task_id, created_at, updated_at, status, title, thread_id, scope_id,
                            requester, risk_level, pointers)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
         ON CONFLICT (task_id) DO UPDATE SET
             created_at = excluded.created_at, updated_at = excluded.updated_at,
             status = excluded.status, title = excluded.title, thread_id = excluded.thread_id,
             scope_id = excluded.scope_id, requester = excluded.requester,
             risk_level = excluded.risk_level, pointers = excluded.pointers",
    )?
    .execute(params![
        task.task_id,
        task.created_at,
        task.updated_at,
        task.status,
        task.title,
        task.thread_id,
        task.scope_id,
        task.requester,
        task.risk_level,
        task.pointers,
    ])?;
    Ok(())
}

/// The content goes where this store keeps one of its size; the row says so.
fn take_artifact(
    conn: &Connection,
    files: &ArtifactFiles,
    limits: ArtifactLimits,
    StoredArtifact { row, content }: StoredArtifact,
) -> Result<Option<StagedFile>, Failure> {
    if !(files::is_file_name(row.task_id.as_str()) && files::is_file_name(row.artifact_id.as_str()))
    {
        return Err(rows::corrupt(
            format!("artifact {}", row.artifact_id),
            "it can not be kept under its name",
        )
        .into());
    }
    let mut prepared = PreparedArtifact::copied(&row, content, limits, Some(files))?;
    let parts = serde_json::to_string(&[&prepared.part]);
    let parts = parts.map_err(|error| StoreError::Database {
        source: std::sync::Arc::new(error),
    })?;
    if let Some(file) = &mut prepared.file {
        file.place()?;
        // An earlier attempt may have brought a row for it.
        file.leave();
    }
    conn.prepare_cached(
        "INSERT INTO artifacts (artifact_id, task_id, ts, name, description, parts, storage_ref,
                                size, hash, version)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
         ON CONFLICT (artifact_id) DO UPDATE SET
             parts = excluded.parts, storage_ref = excluded.storage_ref",
    )?
    .execute(params![
        row.artifact_id.as_str(),
        row.task_id.as_str(),
        row.ts.to_string(),
        row.name,
        row.description,
        parts,
        prepared.storage_ref,
        to_sql(row.size),
        row.hash,
        row.version,
    ])?;
    Ok(prepared.file)
}
