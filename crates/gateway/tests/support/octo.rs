//! `octo` as a process.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::client::send;
use super::{LIMIT, types};

/// An `octo serve`, killed when dropped.
pub struct Octo {
    child: Child,
    pub address: SocketAddr,
}

pub fn octo(data: &Path, upstream: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_octo"));
    command
        .current_dir(data)
        .env_clear()
        .env("OCTOAGENT_DATA_DIR", data.join("data"))
        .env("LITELLM_PROXY_URL", upstream)
        .env("OCTO_LISTEN", "127.0.0.1:0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

impl Octo {
    pub async fn start(data: &Path, upstream: &str) -> Self {
        Self::start_at(data, upstream, ([127, 0, 0, 1], 0).into()).await
    }

    /// The same on an address of the caller's choice: that of one that ended, for example.
    pub async fn start_at(data: &Path, upstream: &str, listen: SocketAddr) -> Self {
        let mut command = octo(data, upstream);
        command.env("OCTO_LISTEN", listen.to_string());
        Self::serve(command).await
    }

    /// One with settings of the caller's.
    pub async fn serve(mut command: Command) -> Self {
        let mut child = command.arg("serve").stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = tokio::time::timeout(LIMIT, lines.next_line())
            .await
            .unwrap()
            .unwrap();
        let line = line.unwrap_or_else(|| panic!("octo ended before it listened"));
        let address = line
            .strip_prefix("listening on http://")
            .unwrap()
            .parse()
            .unwrap();
        Self { child, address }
    }

    /// Its process, to look at from outside.
    pub fn process_id(&self) -> u32 {
        self.child.id().unwrap()
    }

    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    pub async fn signal(&self, signal: &str) {
        let pid = self.process_id().to_string();
        let kill = Command::new("kill").args([signal, &pid]).status();
        assert!(kill.await.unwrap().success(), "{signal}");
    }

    /// SIGTERM, and the exit code that follows.
    pub async fn end(mut self) -> Option<i32> {
        self.signal("-TERM").await;
        tokio::time::timeout(LIMIT, self.child.wait())
            .await
            .unwrap()
            .unwrap()
            .code()
    }

    pub async fn get(&self, path: &str) -> Value {
        send(self.address, "GET", path, &[], b"").await.json()
    }
}

/// Every task has ended, with a complete chain and exactly one end for each call.
pub async fn check_books(octo: &Octo) -> Vec<Value> {
    let tasks = octo.get("/api/tasks").await["tasks"]
        .as_array()
        .unwrap()
        .clone();
    let mut views = Vec::new();
    for task in tasks {
        let view = octo
            .get(&format!("/api/tasks/{}", task["task_id"].as_str().unwrap()))
            .await;
        let status = view["task"]["status"].as_str().unwrap().to_owned();
        assert!(
            ["SUCCEEDED", "FAILED", "CANCELLED"].contains(&status.as_str()),
            "{view}"
        );
        let types = types(&view);
        let count = |kind: &str| types.iter().filter(|each| *each == kind).count();
        let ends = count("MODEL_CALL_COMPLETED") + count("MODEL_CALL_FAILED");
        assert_eq!(
            ends,
            count("MODEL_CALL_STARTED"),
            "each call ends exactly once: {types:?}"
        );
        assert_eq!(types.last().unwrap(), "STATE_TRANSITION");
        views.push(view);
    }
    views
}
