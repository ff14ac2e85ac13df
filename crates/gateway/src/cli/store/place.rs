//! Where a store is, and opening it.

use std::fmt;
use std::path::{Path, PathBuf};

use event_store::{EventStore, PostgresOptions, PostgresStore, SqliteStore};
use secrecy::{ExposeSecret, SecretString};

use super::error::StoreCommandError;
use crate::config::{Config, StorageConfig};
use crate::storage;

/// Where a store is. Shows itself without the password that its URL may hold.
#[derive(Clone)]
pub(super) enum Place {
    Sqlite {
        database: PathBuf,
        artifacts: PathBuf,
    },
    Postgres(SecretString),
}

/// What a store is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Reading, beside whoever writes.
    Read,
    /// Reading, while nobody writes.
    AtRest,
    /// Writing to what is there; in Postgres a little at a time, beside whoever else writes.
    Write,
    /// Writing to what is there, while nobody else writes.
    Alone,
    /// Writing, also where there is nothing yet, while nobody else writes.
    Make,
}

impl Place {
    /// The store that the gateway uses.
    pub(super) fn configured(storage: &StorageConfig) -> Self {
        if let Some(url) = &storage.database_url {
            return Self::Postgres(url.clone());
        }
        Self::Sqlite {
            database: storage.db_path.clone(),
            artifacts: storage.artifacts_dir.clone(),
        }
    }

    /// By a name from the command line.
    pub(super) fn named(name: &str) -> Result<Self, StoreCommandError> {
        match name.split_once("://") {
            Some(("postgres" | "postgresql", _)) => Ok(Self::Postgres(SecretString::from(name))),
            Some((scheme, _)) => Err(StoreCommandError::Scheme(scheme.to_owned())),
            None => Ok(Self::at(Path::new(name))),
        }
    }

    /// A database file or a data folder. A file lies beside its artifacts, or in the folder `sqlite` beside
    /// them.
    fn at(path: &Path) -> Self {
        let is_file = path.is_file() || path.extension().is_some_and(|word| word == "db");
        if !is_file {
            return Self::folder(path);
        }
        let parent = path.parent().unwrap_or(Path::new(""));
        let data = match parent.file_name() {
            Some(name) if name == "sqlite" => parent.parent().unwrap_or(Path::new("")),
            _ => parent,
        };
        Self::Sqlite {
            database: path.to_owned(),
            artifacts: data.join("artifacts"),
        }
    }

    /// A data folder, as `OCTOAGENT_DATA_DIR` names it.
    pub(super) fn folder(data: &Path) -> Self {
        let (database, artifacts) = in_folder(data);
        Self::Sqlite {
            database,
            artifacts,
        }
    }

    /// True if both are one, as far as their names tell.
    pub(super) fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Sqlite { database: one, .. }, Self::Sqlite { database: two, .. }) => {
                let found = |path: &Path| std::fs::canonicalize(path).ok();
                one == two || found(one).is_some_and(|one| Some(one) == found(two))
            }
            (Self::Postgres(one), Self::Postgres(two)) => {
                let (one, two) = (one.expose_secret(), two.expose_secret());
                one == two || server(one).is_some_and(|one| Some(one) == server(two))
            }
            _ => false,
        }
    }

    pub(super) async fn open(
        &self,
        access: Access,
        config: &Config,
    ) -> Result<Box<dyn EventStore>, StoreCommandError> {
        match self {
            Self::Sqlite {
                database,
                artifacts,
            } => Ok(Box::new(sqlite(database, artifacts, access, config).await?)),
            Self::Postgres(url) => Ok(Box::new(postgres(url, access, config).await?)),
        }
    }
}

/// The database and the artifacts of a data folder.
pub(super) fn in_folder(data: &Path) -> (PathBuf, PathBuf) {
    (data.join("sqlite/octoagent.db"), data.join("artifacts"))
}

/// A store in a file; only [`Access::Make`] makes one.
pub(super) async fn sqlite(
    database: &Path,
    artifacts: &Path,
    access: Access,
    config: &Config,
) -> Result<SqliteStore, StoreCommandError> {
    if access != Access::Make && !database.is_file() {
        return Err(StoreCommandError::Missing(database.to_owned()));
    }
    let options = storage::sqlite_at(database, artifacts, &config.storage);
    let store = match access {
        Access::Read => SqliteStore::open_read_only(options).await,
        Access::AtRest => SqliteStore::open_at_rest(options).await,
        // One process writes to a file, so whoever does is alone.
        Access::Write | Access::Alone | Access::Make => SqliteStore::open(options).await,
    };
    Ok(store?)
}

/// A store in Postgres, to which any number of programs may write, but for what needs them all to rest.
async fn postgres(
    url: &SecretString,
    access: Access,
    config: &Config,
) -> Result<PostgresStore, StoreCommandError> {
    let options = storage::postgres_at(url, &config.storage)?;
    let server = options.server();
    let store = match access {
        Access::Read | Access::AtRest => PostgresStore::open_read_only(options).await?,
        Access::Write | Access::Alone => {
            // Its tables are there, or nothing is made.
            let there = PostgresStore::open_read_only(options.clone()).await?;
            there.close().await?;
            PostgresStore::open(options).await?
        }
        Access::Make => PostgresStore::open(options).await?,
    };
    if matches!(access, Access::AtRest | Access::Alone | Access::Make) {
        let others = store.others().await;
        if !matches!(others, Ok(0)) {
            store.close().await?;
            return Err(StoreCommandError::OthersWrite {
                server,
                count: others?,
            });
        }
    }
    Ok(store)
}

/// A store in Postgres as it is now, beside whoever writes to it.
pub(super) async fn at_a_moment(
    url: &SecretString,
    config: &Config,
) -> Result<PostgresStore, StoreCommandError> {
    let options = storage::postgres_at(url, &config.storage)?;
    Ok(PostgresStore::open_at_a_moment(options).await?)
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite { database, .. } => write!(f, "{}", database.display()),
            Self::Postgres(url) => f.write_str(&without_secrets(url.expose_secret())),
        }
    }
}

/// A URL as people may see it: the server and the database, and the scheme alone where readers of URLs would
/// not agree which part is the password.
pub(in crate::cli) fn without_secrets(url: &str) -> String {
    let scheme = url
        .split_once("://")
        .map_or("postgres", |(scheme, _)| scheme);
    let server = server(url).unwrap_or_else(|| "…".to_owned());
    format!("{scheme}://{server}")
}

/// Host, port and database of a URL; `None` if it is none, or if what is read as one of them can be a part of
/// a password.
fn server(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    let (_, after_user) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    if after_user.contains('@') {
        return None;
    }
    let server = PostgresOptions::new(url).ok()?.server();
    (!server.contains('@')).then_some(server)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(name: &str) -> (String, String) {
        match Place::named(name) {
            Ok(Place::Sqlite {
                database,
                artifacts,
            }) => (
                database.display().to_string(),
                artifacts.display().to_string(),
            ),
            _ => panic!("{name} is no file"),
        }
    }

    #[test]
    fn a_file_a_folder_and_a_file_in_a_folder_are_found() {
        let folder = ("data/sqlite/octoagent.db".into(), "data/artifacts".into());
        assert_eq!(parts("data"), folder);
        assert_eq!(parts("data/sqlite/octoagent.db"), folder);
        assert_eq!(parts("a/b.db"), ("a/b.db".into(), "a/artifacts".into()));
        assert_eq!(parts("b.db"), ("b.db".into(), "artifacts".into()));
        assert_eq!(
            parts("sqlite/b.db"),
            ("sqlite/b.db".into(), "artifacts".into())
        );
    }

    #[test]
    fn a_url_shows_no_password_wherever_it_stands() {
        for (url, shown) in [
            (
                "postgres://octo:s3cret@db:5433/octo?connect_timeout=5",
                "postgres://db:5433/octo",
            ),
            (
                "postgresql://db/octo?password=s3cret",
                "postgresql://db:5432/octo",
            ),
            ("postgres://octo:s3cret@", "postgres://…"),
            ("postgres://octo:s3cret@db/octo?colour=red", "postgres://…"),
            ("postgres://octo:s3:cr@et@db/octo", "postgres://…"),
            ("postgres://octo:s3/cret@db/octo", "postgres://…"),
            ("postgres://octo:s3?cret@db/octo", "postgres://…"),
            ("postgres://octo:s3#cret@db/octo", "postgres://…"),
            ("postgres://octo:s3/c@et/x@db/octo", "postgres://…"),
            ("postgres://db/octo?password=s3@cret", "postgres://…"),
        ] {
            assert_eq!(Place::named(url).unwrap().to_string(), shown);
        }
        let Err(error) = Place::named("mysql://octo:s3cret@db/octo") else {
            panic!("mysql is no store of ours");
        };
        assert!(error.to_string().contains("`mysql://`"), "{error}");
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }

    #[test]
    fn a_database_is_one_however_its_url_is_written() {
        let is = |one, two| Place::named(one).unwrap().is(&Place::named(two).unwrap());
        let url = "postgres://octo:s3cret@db/octo";
        for same in [
            "postgresql://octo:s3cret@db/octo",
            "postgres://other:pw@db:5432/octo?application_name=x",
            "postgres://db/octo",
        ] {
            assert!(is(url, same), "{same}");
        }
        for other in [
            "postgres://octo:s3cret@db/books",
            "postgres://octo:s3cret@db:5433/octo",
            "postgres://octo:s3cret@db2/octo",
            "octo",
        ] {
            assert!(!is(url, other), "{other}");
        }
        let unclear = "postgres://octo:s3@cret@db/octo";
        assert!(is(unclear, unclear));
    }
}
