//! Opening a database, old or new.

use std::path::Path;
use std::sync::{Arc, Mutex};

use rusqlite::{Connection, OpenFlags};
use tokio::sync::mpsc;
use ulid::Ulid;

use super::adopt;
use super::checkpoint::Checkpoints;
use super::failure::Failure;
use super::lock::DatabaseLock;
use super::place::Place;
use super::read;
use super::readers::{self, Readers, STATEMENTS, blocking};
use super::schema::{self, PROJECTED};
use super::writer::Writer;
use super::{Handle, Mode, SqliteOptions, SqliteStore};
use crate::files::ArtifactFiles;
use crate::id::Monotonic;
use crate::live::Hub;
use crate::{Rebuilt, StoreError};

impl SqliteStore {
    /// Opens a database for reading and writing; makes it, or brings it to today's layout, if it has
    /// to.
    ///
    /// # Errors
    /// [`StoreError::InUse`] if another process has it open for writing, [`StoreError::TooNew`] if a
    /// newer version made it, and what can be wrong with a disk.
    pub async fn open(options: SqliteOptions) -> Result<Self, StoreError> {
        blocking(move || open(&options)).await?
    }

    /// Opens a database for reading, also while another process writes to it.
    ///
    /// Subscriptions end at once: they are told what this process records.
    ///
    /// # Errors
    /// There is no database, or [`StoreError::TooOld`]: it was never opened for writing by this
    /// version.
    pub async fn open_read_only(options: SqliteOptions) -> Result<Self, StoreError> {
        blocking(move || open_read_only(&options)).await?
    }

    /// Opens a database for reading while nobody writes to it: neither now nor until it is closed.
    ///
    /// # Errors
    /// As [`open_read_only`](Self::open_read_only), [`StoreError::InUse`] if another process has it open for
    /// writing, and [`StoreError::NotAdopted`].
    pub async fn open_at_rest(options: SqliteOptions) -> Result<Self, StoreError> {
        blocking(move || {
            let lock = DatabaseLock::share(&options.path)?;
            let store = open_read_only(&options)?;
            refuse_strangers(&options)?;
            Ok(Self {
                mode: Mode::ReadOnly { _lock: lock },
                ..store
            })
        })
        .await?
    }
}

fn open(options: &SqliteOptions) -> Result<SqliteStore, StoreError> {
    make_parent(&options.path)?;
    let files = ArtifactFiles::new(options.artifacts_dir.clone());
    let lock = DatabaseLock::take(&options.path)?;
    files.prepare()?;
    let (mut conn, migrated) = connect(options)?;
    files
        .clear_up(|task_id, artifact_id| read::has_artifact(&conn, task_id, artifact_id))
        .map_err(StoreError::from)?;
    let last = last_ulid(&conn)?;
    let opened_at = read::head(&conn)?;
    let hub = Hub::open(opened_at);
    let writer = Writer {
        checkpoints: Checkpoints::start(&mut conn, &options.path)?,
        conn,
        ids: Monotonic::after(last),
        clock: Arc::clone(&options.limits.clock),
        hub: Arc::clone(&hub),
        lock,
        place: Place::of(&options.path),
        in_doubt: false,
        known: None,
    };
    let (jobs, queue) = mpsc::channel(options.limits.queue.clamp(1, 1 << 20));
    let thread = std::thread::Builder::new()
        .name("event-store".to_owned())
        .spawn(move || writer.run(queue))
        .map_err(|error| StoreError::Io {
            doing: "start the writer's thread".to_owned(),
            source: Arc::new(error),
        })?;
    let mode = Mode::Writing(Mutex::new(Some(Handle { jobs, thread })));
    let store = assemble(options, files, hub, mode, migrated);
    Ok(SqliteStore { opened_at, ..store })
}

fn open_read_only(options: &SqliteOptions) -> Result<SqliteStore, StoreError> {
    let files = ArtifactFiles::new(options.artifacts_dir.clone());
    let found = layout_of(options)?;
    if found < PROJECTED {
        return Err(StoreError::TooOld {
            found,
            needed: PROJECTED,
        });
    }
    Ok(assemble(
        options,
        files,
        Arc::new(Hub::default()),
        Mode::ReadOnly { _lock: None },
        None,
    ))
}

/// Events that another program wrote have no place in the log yet: who reads that would leave them out.
fn refuse_strangers(options: &SqliteOptions) -> Result<(), StoreError> {
    let conn = readers::open(&options.path, options.busy_timeout)?;
    match adopt::has_strangers(&conn)? {
        true => Err(StoreError::NotAdopted),
        false => Ok(()),
    }
}

fn layout_of(options: &SqliteOptions) -> Result<i64, Failure> {
    let conn = readers::open(&options.path, options.busy_timeout)?;
    schema::layout(&conn)
}

fn assemble(
    options: &SqliteOptions,
    files: ArtifactFiles,
    hub: Arc<Hub>,
    mode: Mode,
    migrated: Option<Rebuilt>,
) -> SqliteStore {
    SqliteStore {
        readers: Readers::new(
            options.path.clone(),
            options.limits.readers,
            options.busy_timeout,
        ),
        files,
        limits: options.limits.artifacts,
        hub,
        mode,
        migrated,
        opened_at: 0,
    }
}

pub(super) fn make_parent(path: &Path) -> Result<(), StoreError> {
    let Some(parent) = path.parent() else {
        return Ok(());
    };
    std::fs::create_dir_all(parent).map_err(|error| StoreError::Io {
        doing: format!("make the folder {}", parent.display()),
        source: Arc::new(error),
    })
}

/// The writer's connection, on today's layout.
fn connect(options: &SqliteOptions) -> Result<(Connection, Option<Rebuilt>), Failure> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut conn = Connection::open_with_flags(&options.path, flags)?;
    conn.busy_timeout(options.busy_timeout)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS);
    // Before anything is changed.
    schema::layout(&conn)?;
    let journal: String = conn.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if journal != "wal" {
        tracing::warn!(
            journal,
            "this disk does not support a write-ahead log: reads and writes wait for each other"
        );
    }
    // In WAL mode the default would lose the last commits at a power loss.
    conn.pragma_update(None, "synchronous", "FULL")?;
    conn.pragma_update(None, "foreign_keys", true)?;
    if let Some(bytes) = options.max_database_bytes {
        limit_size(&conn, bytes)?;
    }
    let migrated = schema::migrate(&mut conn, &options.path)?;
    Ok((conn, migrated))
}

fn limit_size(conn: &Connection, bytes: u64) -> Result<(), Failure> {
    let page: u32 = conn.query_row("PRAGMA page_size", [], |row| row.get(0))?;
    let pages = u32::try_from(bytes / u64::from(page.max(1))).unwrap_or(u32::MAX - 1);
    let sql = format!("PRAGMA max_page_count = {}", pages.max(1));
    conn.query_row(&sql, [], |_| Ok(()))?;
    Ok(())
}

/// The last event's identifier, so that new ones sort after it whatever the clock says. Identifiers
/// that are no ULIDs were made elsewhere and have no time in them.
fn last_ulid(conn: &Connection) -> Result<Ulid, Failure> {
    let mut statement = conn.prepare("SELECT event_id FROM events ORDER BY event_id DESC")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        if let Ok(ulid) = Ulid::from_string(&row.get::<_, String>(0)?) {
            return Ok(ulid);
        }
    }
    Ok(Ulid::nil())
}
