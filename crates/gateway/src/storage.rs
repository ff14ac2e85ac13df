//! The books, wherever the settings say that they are.

use std::path::Path;
use std::sync::Arc;

use event_store::{
    EventStore, PostgresOptions, PostgresStore, SqliteOptions, SqliteStore, StoreError,
};
use secrecy::{ExposeSecret, SecretString};

use crate::config::StorageConfig;

/// Opens the store for writing.
///
/// # Errors
/// It can not be opened: see [`SqliteStore::open`] and [`PostgresStore::open`].
pub async fn open(storage: &StorageConfig) -> Result<Arc<dyn EventStore>, StoreError> {
    Ok(match postgres(storage)? {
        Some(options) => Arc::new(PostgresStore::open(options).await?),
        None => Arc::new(SqliteStore::open(sqlite(storage)).await?),
    })
}

/// Opens the store for reading, beside the gateways that run on it.
///
/// # Errors
/// It can not be opened: see [`SqliteStore::open_read_only`] and [`PostgresStore::open_read_only`].
pub async fn open_read_only(storage: &StorageConfig) -> Result<Arc<dyn EventStore>, StoreError> {
    Ok(match postgres(storage)? {
        Some(options) => Arc::new(PostgresStore::open_read_only(options).await?),
        None => Arc::new(SqliteStore::open_read_only(sqlite(storage)).await?),
    })
}

/// How the file is opened.
#[must_use]
pub fn sqlite(storage: &StorageConfig) -> SqliteOptions {
    sqlite_at(&storage.db_path, &storage.artifacts_dir, storage)
}

/// How another file is opened, with the same limits.
pub(crate) fn sqlite_at(
    database: &Path,
    artifacts: &Path,
    storage: &StorageConfig,
) -> SqliteOptions {
    SqliteOptions::new(database, artifacts).inline_threshold(storage.artifact_inline_bytes)
}

/// How the Postgres database is opened; `None` if none is set.
///
/// # Errors
/// Its URL is none. The settings were checked, so it is one.
pub fn postgres(storage: &StorageConfig) -> Result<Option<PostgresOptions>, StoreError> {
    let url = storage.database_url.as_ref();
    url.map(|url| postgres_at(url, storage)).transpose()
}

/// How another Postgres database is opened, with the same limits.
pub(crate) fn postgres_at(
    url: &SecretString,
    storage: &StorageConfig,
) -> Result<PostgresOptions, StoreError> {
    Ok(PostgresOptions::new(url.expose_secret())?
        .inline_threshold(storage.artifact_inline_bytes)
        .lease(storage.lease))
}
