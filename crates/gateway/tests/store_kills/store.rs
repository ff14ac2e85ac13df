//! Which store octo keeps its books in.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::database::Database;
use crate::psql::{Cluster, Psql};

/// A kind of store.
#[derive(Clone, Debug)]
pub(crate) enum Store {
    /// A file in the data folder.
    Sqlite,
    /// A database of a server.
    Postgres(Arc<Cluster>),
}

/// A fresh store of a kind, for one data folder. What a server has of it goes when it is dropped.
#[derive(Debug)]
pub(crate) enum Fresh {
    Sqlite,
    Postgres {
        cluster: Arc<Cluster>,
        name: String,
        psql: Psql,
        /// Left where it is, for whoever looks for the cause of a failure.
        kept: bool,
    },
}

impl Store {
    /// A database that is not there.
    pub(crate) fn nowhere(&self) -> Fresh {
        let Self::Postgres(cluster) = self else {
            return Fresh::Sqlite;
        };
        Fresh::Postgres {
            psql: cluster.named("nowhere"),
            cluster: Arc::clone(cluster),
            name: "nowhere".to_owned(),
            kept: true,
        }
    }

    pub(crate) fn fresh(&self) -> Fresh {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        match self {
            Self::Sqlite => Fresh::Sqlite,
            Self::Postgres(cluster) => {
                let number = NUMBER.fetch_add(1, Ordering::Relaxed);
                let name = format!("store_kills_{}_{number}", std::process::id());
                Fresh::Postgres {
                    psql: cluster.create(&name),
                    cluster: Arc::clone(cluster),
                    name,
                    kept: false,
                }
            }
        }
    }
}

impl Fresh {
    /// What `OCTO_DATABASE_URL` has to be.
    pub(crate) fn url(&self) -> Option<&str> {
        match self {
            Self::Sqlite => None,
            Self::Postgres { psql, .. } => Some(&psql.url),
        }
    }

    pub(crate) fn database(&self, data: &Path) -> Database {
        match self {
            Self::Sqlite => Database::Sqlite(data.join("sqlite/octoagent.db")),
            Self::Postgres { psql, .. } => Database::Postgres(psql.clone()),
        }
    }

    /// Leaves the database where it is.
    pub(crate) const fn keep(&mut self) {
        if let Self::Postgres { kept, .. } = self {
            *kept = true;
        }
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        if let Self::Postgres {
            cluster,
            name,
            kept: false,
            ..
        } = self
        {
            cluster.remove(name);
        }
    }
}
