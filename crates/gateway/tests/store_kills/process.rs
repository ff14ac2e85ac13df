//! octo as a process that is killed.

use std::fs::File;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::check::{Findings, Rule};
use crate::database::Database;
use crate::old;
use crate::store::Fresh;
use crate::support::LIMIT;
use crate::support::client::try_send;
use crate::support::octo::octo;
use crate::told::Record;

/// A data folder, and what octo is told about it.
pub(crate) struct Place {
    dir: TempDir,
    store: Fresh,
    upstream: String,
}

/// An octo that listens. Killed when dropped.
pub(crate) struct Running {
    child: Child,
    pub address: SocketAddr,
}

impl Place {
    pub(crate) fn new(store: Fresh, upstream: String) -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            store,
            upstream,
        }
    }

    pub(crate) fn database(&self) -> Database {
        self.store.database(&self.data())
    }

    /// A database of an older version, for the first start to find.
    pub(crate) fn plant_old_database(&self, told: &mut Record) {
        old::plant(&self.data().join("sqlite/octoagent.db"), told);
    }

    pub(crate) fn artifacts(&self) -> PathBuf {
        self.data().join("artifacts")
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// Leaves the folder and the database where they are, for whoever looks for the cause.
    pub(crate) fn keep(mut self) -> PathBuf {
        self.store.keep();
        self.dir.keep()
    }

    /// octo on this folder. Low limits: most answers are cut in their event, and are files.
    pub(crate) fn octo(&self) -> Command {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.dir.path().join("octo.log"));
        let mut command = octo(self.dir.path(), &self.upstream);
        command
            .env("OCTOAGENT_EVENT_PAYLOAD_MAX_BYTES", "600")
            .env("OCTOAGENT_ARTIFACT_INLINE_THRESHOLD", "400")
            .stderr(log.unwrap());
        if let Some(url) = self.store.url() {
            command.env("OCTO_DATABASE_URL", url);
        }
        command
    }

    /// Starts octo and kills it before it is sure to listen: while it migrates, recovers, binds.
    pub(crate) async fn start_and_kill(&self, after: Duration) {
        let mut child = self.serve();
        tokio::time::sleep(after).await;
        child.kill().await.unwrap();
    }

    /// Starts octo and waits until it listens.
    pub(crate) async fn start(&self) -> Result<Running, String> {
        let mut child = self.serve();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = tokio::time::timeout(LIMIT, lines.next_line()).await;
        let address = match line {
            Ok(Ok(Some(line))) => line
                .strip_prefix("listening on http://")
                .and_then(|address| address.parse().ok()),
            _ => None,
        };
        match address {
            Some(address) => Ok(Running { child, address }),
            None => Err(format!("octo does not start, see {}", self.log())),
        }
    }

    fn serve(&self) -> Child {
        self.octo().arg("serve").spawn().unwrap()
    }

    pub(crate) fn log(&self) -> String {
        self.dir.path().join("octo.log").display().to_string()
    }

    /// Lets octo check its own books, once it is not running.
    pub(crate) async fn verify(&self, found: &mut Findings) {
        let mut verify = self.octo();
        let verify = verify.args(["store", "verify", "--json"]);
        let verify = verify.stderr(Stdio::piped()).output();
        let verify = verify.await.unwrap();
        found.unless(verify.status.success(), Rule::Verified, || {
            let told = [verify.stdout.as_slice(), &verify.stderr].concat();
            String::from_utf8_lossy(&told).into_owned()
        });
    }
}

impl Running {
    /// SIGKILL.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// SIGTERM; true if octo then ended well.
    pub(crate) async fn end(mut self) -> bool {
        let process_id = self.child.id().unwrap().to_string();
        let term = Command::new("kill").args(["-TERM", &process_id]).status();
        term.await.unwrap();
        let ended = tokio::time::timeout(LIMIT, self.child.wait()).await;
        ended.is_ok_and(|status| status.unwrap().success())
    }

    /// A `GET` that has to be answered.
    pub(crate) async fn text(&self, path: &str, found: &mut Findings) -> Option<String> {
        let asked = try_send(self.address, "GET", path, &[], b"");
        let answer = match tokio::time::timeout(LIMIT, asked).await {
            Ok(Ok(answer)) if answer.status == 200 => return Some(answer.text()),
            Ok(answer) => format!("{answer:?}"),
            Err(_) => format!("nothing for {LIMIT:?}"),
        };
        found.add(Rule::ApiShowsTheBooks, format!("{path}: {answer}"));
        None
    }

    /// The same, as JSON.
    pub(crate) async fn ask(&self, path: &str, found: &mut Findings) -> Option<Value> {
        let text = self.text(path, found).await?;
        Some(serde_json::from_str(&text).unwrap())
    }
}
