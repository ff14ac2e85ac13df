//! `octo events`: the log on the command line, from the store and followed through the gateway.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops where something is missing"
)]

mod support;

use std::net::SocketAddr;
use std::path::Path;
use std::process::Output;

use event_payloads::LoggedEvent;
use serde_json::json;
use support::client::send;
use support::octo::{Octo, octo};
use support::upstream::Upstream;
use support::{GOOD_TASK, LIMIT};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

fn events(data: &Path, address: Option<SocketAddr>, arguments: &[&str]) -> Command {
    let mut command = octo(data, "http://127.0.0.1:1");
    if let Some(address) = address {
        command.env("OCTO_LISTEN", address.to_string());
    }
    command.arg("events").args(arguments);
    command
}

async fn run(data: &Path, address: Option<SocketAddr>, arguments: &[&str]) -> Output {
    let output = events(data, address, arguments).output();
    tokio::time::timeout(LIMIT, output).await.unwrap().unwrap()
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

fn parsed(lines: &str) -> Vec<LoggedEvent> {
    let lines = lines.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// One message to its end.
async fn message(octo: &Octo, key: &str) {
    let body =
        json!({"text": "2+2?", "idempotency_key": key, "model_alias": "planner"}).to_string();
    let taken = send(octo.address, "POST", "/api/message", &[], body.as_bytes()).await;
    let task_id = taken.json()["task_id"].as_str().unwrap().to_owned();
    send(
        octo.address,
        "GET",
        &format!("/api/stream/task/{task_id}"),
        &[],
        b"",
    )
    .await;
}

#[tokio::test]
async fn the_log_is_listed_beside_a_gateway_and_without_one() {
    let dir = tempfile::tempdir().unwrap();
    let upstream = Upstream::open().await;
    let octo = Octo::start(dir.path(), &upstream.url()).await;
    message(&octo, "1").await;
    let beside = run(dir.path(), None, &["--json"]).await;
    let page = octo.get("/api/events").await;
    octo.kill().await;
    assert_eq!(beside.status.code(), Some(0));
    let all = parsed(&text(beside.stdout));
    assert_eq!(json!(all), page["events"], "as the gateway gives it");

    let listed = run(dir.path(), None, &["--types", "MODEL_CALL_COMPLETED"]).await;
    let line = text(listed.stdout);
    assert!(
        line.trim_start().starts_with(&all[4].cursor.to_string()),
        "{line}"
    );
    let call = "planner → gpt-4o-mini, 28 in, 3 out, 0.000006 USD\n";
    assert!(line.ends_with(call) && line.lines().count() == 1, "{line}");

    let (after, head) = (all[1].cursor.to_string(), all[6].cursor);
    let part = run(
        dir.path(),
        None,
        &["--json", "--after", &after, "--limit", "2"],
    )
    .await;
    assert_eq!(parsed(&text(part.stdout)), all[2..4]);
    let none = run(dir.path(), None, &["--after", &head.to_string()]).await;
    assert_eq!((none.status.code(), none.stdout.len()), (Some(0), 0));
}

#[tokio::test]
async fn wrong_usage_a_cursor_ahead_and_a_gateway_that_is_away_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let upstream = Upstream::open().await;
    let octo = Octo::start(dir.path(), &upstream.url()).await;
    message(&octo, "1").await;
    let address = Some(octo.address);
    for (arguments, code, said) in [
        (&["--after", "x"][..], 2, "`after` is `x`"),
        (&["--types", "a"], 2, "`types` has `a`"),
        (&["--limit", "0"], 2, "--limit"),
        (&["--after", "latest"], 2, "--follow"),
        (&["--after", "99999"], 1, "does not reach to cursor 99999"),
        (&["--follow", "--after", "99999"], 1, "beyond the log"),
    ] {
        let refused = run(dir.path(), address, arguments).await;
        let message = text(refused.stderr);
        assert_eq!(
            refused.status.code(),
            Some(code),
            "{arguments:?}: {message}"
        );
        assert!(message.contains(said), "{arguments:?}: {message}");
    }
    octo.kill().await;
    let away = run(dir.path(), address, &["--follow"]).await;
    assert_eq!(away.status.code(), Some(1));
    assert!(text(away.stderr).contains("cannot reach the gateway"));
}

/// An `octo events --follow` that is being read. Killed when dropped.
struct Following {
    _child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Following {
    fn start(data: &Path, address: SocketAddr, arguments: &[&str]) -> Self {
        let mut command = events(data, Some(address), &["--follow", "--json"]);
        let mut child = command.args(arguments).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self {
            _child: child,
            lines,
        }
    }

    async fn take(&mut self, count: usize) -> Vec<LoggedEvent> {
        let mut events = Vec::new();
        while events.len() < count {
            let line = tokio::time::timeout(LIMIT, self.lines.next_line()).await;
            let line = line.unwrap().unwrap();
            let line = line.unwrap_or_else(|| panic!("it ended after {events:?}"));
            events.push(serde_json::from_str(&line).unwrap());
        }
        events
    }
}

#[tokio::test]
async fn following_goes_over_a_restart_of_the_gateway_with_each_event_once() {
    let dir = tempfile::tempdir().unwrap();
    let upstream = Upstream::open().await;
    let octo = Octo::start(dir.path(), &upstream.url()).await;
    let address = octo.address;
    message(&octo, "1").await;
    let mut following = Following::start(dir.path(), address, &[]);
    let mut seen = following.take(GOOD_TASK.len()).await;
    octo.kill().await;
    let octo = Octo::start_at(dir.path(), &upstream.url(), address).await;
    message(&octo, "2").await;
    seen.extend(following.take(GOOD_TASK.len()).await);
    let page = octo.get("/api/events").await;
    assert_eq!(json!(seen), page["events"]);

    let limited = ["--follow", "--after", "0", "--limit", "3", "--json"];
    let limited = run(dir.path(), Some(address), &limited).await;
    assert_eq!(limited.status.code(), Some(0));
    assert_eq!(parsed(&text(limited.stdout)), seen[..3]);
    octo.kill().await;
}
