//! A test in its two processes.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use event_store::{SqliteOptions, SqliteStore, StoreError};
use tempfile::TempDir;

use crate::disk::{Disk, FOLDER, PLAN, library};
use crate::load::Request;

/// How long a store under faults may take, before it is said to hang.
const PATIENCE: Duration = Duration::from_secs(90);
/// What the process under faults says when it is to be killed.
const DONE: &str = "done, to be killed";

/// Where a test keeps its files: the store's in one folder, the rest beside it.
pub(crate) struct Stage {
    base: PathBuf,
}

impl Stage {
    fn store(&self) -> PathBuf {
        self.base.join("store")
    }

    fn requests(&self) -> PathBuf {
        self.base.join("requests.json")
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.store().join("octo.db")
    }

    pub(crate) fn artifacts(&self) -> PathBuf {
        self.store().join("artifacts")
    }

    pub(crate) async fn open(&self) -> Result<SqliteStore, StoreError> {
        let options = SqliteOptions::new(self.database(), self.artifacts())
            .busy_timeout(Duration::from_millis(200));
        SqliteStore::open(options).await
    }
}

/// Runs a test: `under_faults` in a process whose disk can fail, and that is killed when it comes back;
/// then `after`, with what was handed over there.
pub(crate) fn play(
    name: &str,
    under_faults: impl AsyncFnOnce(&Stage, &Disk) -> Vec<Request>,
    after: impl AsyncFnOnce(&Stage, Vec<Request>),
) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    if let Some(folder) = std::env::var_os(FOLDER) {
        let base = Path::new(&folder).parent().unwrap().to_owned();
        let stage = Stage { base };
        runtime.block_on(async {
            let requests = under_faults(&stage, &Disk::of_this_process()).await;
            std::fs::write(stage.requests(), serde_json::to_vec(&requests).unwrap()).unwrap();
            println!("\n{DONE}");
            std::future::pending::<()>().await;
        });
    }
    let dir = TempDir::new().unwrap();
    // Without links, as the library sees paths.
    let base = std::fs::canonicalize(dir.path()).unwrap();
    let stage = Stage { base };
    std::fs::create_dir(stage.store()).unwrap();
    run_and_kill(name, &stage);
    let requests = std::fs::read(stage.requests()).unwrap();
    let requests = serde_json::from_slice(&requests).unwrap();
    runtime.block_on(after(&stage, requests));
}

/// Starts this program again for one test, until it says that it is done.
fn run_and_kill(name: &str, stage: &Stage) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([&format!("cases::{name}"), "--exact", "--nocapture"])
        .env("RUST_BACKTRACE", "0")
        .env("LD_PRELOAD", library(&stage.base))
        .env(FOLDER, stage.store())
        .env(PLAN, stage.base.join("plan"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = lines_of(&mut child);
    let mut said = Vec::new();
    let done = loop {
        match lines.recv_timeout(PATIENCE) {
            Ok(line) if line == DONE => break true,
            Ok(line) => said.push(line),
            Err(_) => break false,
        }
    };
    // SIGKILL: nothing of it runs any more.
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(done, "it ended by itself, or hung:\n{}", said.join("\n"));
    let panicked = said.iter().find(|line| line.contains("panicked at"));
    assert!(
        panicked.is_none(),
        "a thread panicked:\n{}",
        said.join("\n")
    );
}

/// What a process says, on either way.
fn lines_of(child: &mut Child) -> mpsc::Receiver<String> {
    let (sender, lines) = mpsc::channel();
    let out: Box<dyn std::io::Read + Send> = Box::new(child.stdout.take().unwrap());
    let err: Box<dyn std::io::Read + Send> = Box::new(child.stderr.take().unwrap());
    for stream in [out, err] {
        let sender = sender.clone();
        // They end with the process.
        std::thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
    }
    lines
}
