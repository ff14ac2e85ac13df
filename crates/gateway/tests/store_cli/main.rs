//! `octo store` as a program, on books that a real `octo serve` wrote.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops where something is wrong"
)]

mod books;
#[path = "../three_gateways/database.rs"]
#[expect(dead_code, reason = "its other user asks it more")]
mod database;
mod moves;
mod postgres;
mod prune;
#[path = "../support/mod.rs"]
mod support;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::{Value, json};
use support::client::send;
use support::octo::{Octo, octo};
use tokio::task::JoinSet;

/// Nobody listens there, and in echo mode nobody asks.
const NOWHERE: &str = "http://127.0.0.1:9";

fn database(folder: &Path) -> PathBuf {
    folder.join("data/sqlite/octoagent.db")
}

/// A gateway in echo mode, its data in `data` of this folder.
async fn serve(folder: &Path) -> Octo {
    fs::create_dir_all(folder.join("config")).unwrap();
    fs::write(folder.join("config/octo.toml"), "[llm]\nmode = \"echo\"\n").unwrap();
    Octo::start(folder, NOWHERE).await
}

/// Sends a message and follows its task to the end.
async fn message(octo: &Octo, key: &str, text: &str) -> String {
    let body = json!({"text": text, "idempotency_key": key}).to_string();
    let taken = send(octo.address, "POST", "/api/message", &[], body.as_bytes()).await;
    let task_id = taken.json()["task_id"].as_str().unwrap().to_owned();
    let path = format!("/api/stream/task/{task_id}");
    send(octo.address, "GET", &path, &[], b"").await;
    task_id
}

/// A gateway that has answered three messages, the last with an artifact in a file.
async fn filled(folder: &Path) -> Octo {
    let octo = serve(folder).await;
    for key in ["one", "two"] {
        message(&octo, key, "Hello").await;
    }
    message(&octo, "long", &"word ".repeat(2_000)).await;
    octo
}

/// Clients that send one message after the other.
fn load(address: SocketAddr) -> JoinSet<()> {
    let mut clients = JoinSet::new();
    for client in 0..4 {
        clients.spawn(async move {
            for index in 0.. {
                let key = format!("load-{client}-{index}");
                let body = json!({"text": "Hello", "idempotency_key": key}).to_string();
                let taken = send(address, "POST", "/api/message", &[], body.as_bytes()).await;
                assert_eq!(taken.status, 201);
            }
        });
    }
    clients
}

async fn run(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = octo(folder, NOWHERE);
    command.args(arguments).output().await.unwrap()
}

/// The exit code, and what was printed.
async fn store(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let output = run(folder, &[&["store"], arguments].concat()).await;
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

/// The JSON of a command that went well.
async fn json_of(folder: &Path, arguments: &[&str]) -> Value {
    let (code, stdout, stderr) = store(folder, arguments).await;
    assert_eq!((code, stderr.as_str()), (0, ""), "{arguments:?}: {stdout}");
    let named = stdout.replace(folder.to_str().unwrap(), "…");
    serde_json::from_str(&named).unwrap()
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}
