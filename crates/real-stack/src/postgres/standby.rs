//! A second server that follows the first, and takes its place.

use crate::setup::{self, Step};
use crate::{Servers, StackError};

use super::{Cluster, Postgres};

const COPY: Step = Step {
    name: "copying a Postgres data folder",
    way_out: "check that the first server runs, and that the folder for temporary files has 100 MB free",
};

impl Postgres {
    /// A server that follows `primary`: it answers questions and refuses changes (about 1 s, 120 s at most).
    /// Copying the data blocks.
    ///
    /// It follows a moment behind. With `alter system set synchronous_standby_names = '*'` and
    /// `select pg_reload_conf()` the primary confirms only what the standby has on disk too. Set it when the
    /// standby is there: a standby with a copy of it would wait for one of its own once it is promoted.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start); [`StackError::SetUp`] also when the primary does not run.
    pub async fn standby(servers: &Servers, primary: &Self) -> Result<Self, StackError> {
        let cluster = Cluster::empty(servers.postgres())?;
        let mut command = cluster.programs().command("pg_basebackup");
        command
            .current_dir(cluster.folder())
            .args(["--write-recovery-conf", "--wal-method", "stream"])
            .args(["--checkpoint", "fast", "--no-sync", "--no-password"])
            .args(["--dbname", &primary.url(), "--pgdata"])
            .arg(cluster.data());
        setup::run(command, COPY, &servers.layout().logs(), &|_| ())?;
        Self::run(servers, cluster).await
    }

    /// Makes a standby a server like any other; returns when it takes changes. It blocks (60 s at most).
    ///
    /// The old primary, if it still runs, knows nothing of it: end it first.
    ///
    /// # Errors
    ///
    /// [`StackError::Query`] when this is no standby, or it has not changed after 60 s.
    pub fn promote(&self) -> Result<(), StackError> {
        match self.query("select pg_promote(true, 60)")?.as_str() {
            "t" => Ok(()),
            _ => Err(StackError::Query {
                reason: "the standby was not promoted within 60 s".to_owned(),
            }),
        }
    }
}
