//! `octo store backup`

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use clap::Args;
use event_store::{EventStore, PostgresStore, Progress, SqliteStore, Verified, copy};
use serde::Serialize;

use super::Which;
use super::checked::Checked;
use super::error::StoreCommandError;
use super::place::{Access, Place, at_a_moment, in_folder, sqlite};
use super::watch::watch;
use crate::cli::{Exit, output};
use crate::config::Config;
use crate::storage;

#[derive(Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct BackupArgs {
    #[command(flatten)]
    which: Which,
    /// Where to: a folder that is empty or does not exist.
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// Keep the copy although the check finds problems: all of a damaged store that can still be read.
    #[arg(long)]
    even_if_damaged: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

const AFTER_HELP: &str = "\
Copies the store as it is at one moment, with its artifacts, and checks the copy as octo store verify does. It is \
written under the name DIR.partial, which becomes DIR once all is good: a folder DIR is a whole backup or none, \
unless --even-if-damaged asks for what is left. \
Gateways go on meanwhile. A store in Postgres becomes a data folder too.

Examples:
  octo store backup --to backups/2026-03-01
  OCTOAGENT_DATA_DIR=backups/2026-03-01 octo serve       a gateway on the backup
  octo costs                                             (with the same variable) what it says was spent

Exit codes: 0 backed up and good, 4 the copy is not good (and was removed, or kept with --even-if-damaged), 1 failed, \
2 wrong usage or settings.";

/// The folder that the backup is written in, removed unless it is kept.
struct Partial {
    path: PathBuf,
    kept: bool,
    /// The folder, locked: the system lets go of it when the process ends, however it ends.
    _lock: File,
}

#[derive(Serialize)]
struct Done<'a> {
    backed_up_to: String,
    /// False if the copy was removed, because it is not good.
    kept: bool,
    check: &'a Checked<'a>,
}

pub(super) async fn run(config: &Config, args: &BackupArgs) -> Result<Exit, StoreCommandError> {
    let from = args.which.place(config)?;
    let to = whole(&args.to)?;
    must_be_free(&to)?;
    let mut partial = Partial::make(&to)?;
    let verified = write(&from, &partial.path, config).await?;
    let place = Place::folder(&to);
    let checked = Checked::new(&place, &verified);
    let kept = verified.is_good() || args.even_if_damaged;
    if kept {
        partial.keep_as(&to)?;
    }
    if args.json {
        output::json(&Done {
            backed_up_to: to.display().to_string(),
            kept,
            check: &checked,
        });
        return Ok(checked.exit());
    }
    checked.print();
    if kept {
        output::line(format!("backed up to {}", to.display()));
    }
    if !verified.is_good() {
        output::note(if kept {
            "error: the copy is not good, and kept as it is: what the problems name is damaged in it too"
        } else {
            "error: the copy is not good and was removed; octo store verify shows whether the store itself is, and \
             --even-if-damaged keeps what is left of it"
        });
    }
    Ok(checked.exit())
}

async fn write(from: &Place, to: &Path, config: &Config) -> Result<Verified, StoreCommandError> {
    match from {
        Place::Sqlite {
            database,
            artifacts,
        } => {
            let store = sqlite(database, artifacts, Access::Read, config).await?;
            of_sqlite(store, to, config).await
        }
        Place::Postgres(url) => of_postgres(at_a_moment(url, config).await?, to, config).await,
    }
}

async fn of_sqlite(
    store: SqliteStore,
    to: &Path,
    config: &Config,
) -> Result<Verified, StoreCommandError> {
    let (target, artifacts) = in_folder(to);
    let progress = Progress::default();
    let to = storage::sqlite_at(&target, &artifacts, &config.storage);
    let backed_up = watch("backing up", &progress, store.backup(to)).await;
    store.close().await?;
    backed_up?;
    let copy = sqlite(&target, &artifacts, Access::Read, config).await?;
    let verified = watch("checking", &progress, copy.verify(&progress)).await;
    copy.close().await?;
    Ok(verified?)
}

async fn of_postgres(
    store: PostgresStore,
    to: &Path,
    config: &Config,
) -> Result<Verified, StoreCommandError> {
    let (target, artifacts) = in_folder(to);
    let progress = Progress::default();
    let target = sqlite(&target, &artifacts, Access::Make, config).await?;
    let copied = watch("copying", &progress, copy(&store, &target, &progress)).await;
    store.close().await?;
    target.close().await?;
    Ok(copied?.verified)
}

/// From the root on, and without a slash at its end: a name beside it is none inside of it.
fn whole(to: &Path) -> Result<PathBuf, StoreCommandError> {
    let to = std::path::absolute(to).map_err(StoreCommandError::io("find the folder of --to"))?;
    let to: PathBuf = to.components().collect();
    if to.file_name().is_some() {
        return Ok(to);
    }
    Err(StoreCommandError::Usage(format!(
        "--to is {}, allowed is a folder that is empty or does not exist, by its name",
        to.display()
    )))
}

/// A folder that is there has to be empty.
fn must_be_free(to: &Path) -> Result<(), StoreCommandError> {
    let doing = || format!("look into {}", to.display());
    match fs::read_dir(to) {
        Ok(mut entries) => match entries.next() {
            Some(_) => Err(StoreCommandError::NotEmpty(to.to_owned())),
            None => Ok(()),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(StoreCommandError::io(doing())(error)),
    }
}

impl Partial {
    /// An empty folder beside the one to be, for this process alone; what a killed one left there is removed.
    fn make(to: &Path) -> Result<Self, StoreCommandError> {
        let mut name: OsString = to.as_os_str().to_owned();
        name.push(".partial");
        let path = PathBuf::from(name);
        let shown = path.display().to_string();
        fs::create_dir_all(&path)
            .map_err(StoreCommandError::io(format!("make the folder {shown}")))?;
        let lock = lock(&path, to)?;
        let entries = fs::read_dir(&path)
            .and_then(Iterator::collect::<io::Result<Vec<_>>>)
            .map_err(StoreCommandError::io(format!("look into {shown}")))?;
        let is_ours = |entry: &fs::DirEntry| {
            entry.file_name() == "sqlite" || entry.file_name() == "artifacts"
        };
        if !entries.iter().all(is_ours) {
            return Err(StoreCommandError::NotEmpty(path));
        }
        for entry in entries {
            let left = entry.path();
            let doing = format!("remove {}", left.display());
            fs::remove_dir_all(left).map_err(StoreCommandError::io(doing))?;
        }
        Ok(Self {
            path,
            kept: false,
            _lock: lock,
        })
    }

    /// Gives it its name, for good: also after a power loss.
    fn keep_as(&mut self, to: &Path) -> Result<(), StoreCommandError> {
        let doing = format!("rename {} to {}", self.path.display(), to.display());
        let named = fs::rename(&self.path, to).and_then(|()| {
            let parent = self.path.parent().unwrap_or(Path::new("/"));
            File::open(parent)?.sync_all()
        });
        named.map_err(StoreCommandError::io(doing))?;
        self.kept = true;
        Ok(())
    }
}

/// Takes the folder for this process. Two backups to one place would each take the other's half for its own.
fn lock(path: &Path, to: &Path) -> Result<File, StoreCommandError> {
    let doing = || format!("lock {}", path.display());
    let folder = File::open(path).map_err(StoreCommandError::io(doing()))?;
    match folder.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(StoreCommandError::Twice(to.to_owned())),
        Err(TryLockError::Error(error)) => return Err(StoreCommandError::io(doing())(error)),
    }
    // Who had it may have been done in between, and this is its backup under the final name.
    let locked = folder.metadata().map_err(StoreCommandError::io(doing()))?;
    let named = fs::metadata(path).ok();
    if named.is_some_and(|named| (named.dev(), named.ino()) == (locked.dev(), locked.ino())) {
        Ok(folder)
    } else {
        Err(StoreCommandError::Twice(to.to_owned()))
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.kept {
            // What stays behind has a name that says what it is, and the next backup removes it.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}
