//! `octo serve` with a real NATS server: `cargo xtask test` says where its program is.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops where something is missing"
)]

mod support;

use std::net::TcpListener;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use async_nats::jetstream::{self, Context, consumer::pull};
use futures_util::StreamExt;
use serde_json::{Value, json};
use support::client::send;
use support::octo::{Octo, check_books, octo};
use support::{GOOD_TASK, LIMIT};
use tokio::process::{Child, Command};

/// A port that nobody listens on.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// The server, killed when dropped.
fn nats(port: u16, dir: &Path) -> Child {
    let program = std::env::var("OCTO_TEST_NATS_SERVER").unwrap_or_else(|_| {
        panic!("OCTO_TEST_NATS_SERVER is not set: it is set by `cargo xtask test`")
    });
    Command::new(program)
        .args(["-js", "-a", "127.0.0.1", "-p", &port.to_string(), "-sd"])
        .arg(dir)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

/// So many messages of the stream, in its order.
async fn read(port: u16, count: usize) -> Vec<Value> {
    let stream = async {
        loop {
            if let Ok(client) = async_nats::connect(format!("127.0.0.1:{port}")).await {
                let context: Context = jetstream::new(client);
                if let Ok(stream) = context.get_stream("OCTO_EVENTS").await {
                    return stream;
                }
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let all = async {
        let stream = stream.await;
        let consumer = stream.create_consumer(pull::OrderedConfig::default()).await;
        let messages = consumer.unwrap().messages().await.unwrap();
        let read = messages
            .take(count)
            .map(|message| serde_json::from_slice(&message.unwrap().payload).unwrap());
        read.collect().await
    };
    tokio::time::timeout(LIMIT, all).await.unwrap()
}

/// The finding of `octo doctor` about NATS.
async fn examined(data: &Path) -> Value {
    let output = octo(data, "").args(["doctor", "--json"]).output();
    let output = output.await.unwrap();
    let findings: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut findings = findings.as_array().unwrap().iter();
    findings
        .find(|each| each["check"] == "nats")
        .unwrap()
        .clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_reaches_a_server_that_comes_up_late() {
    let data = tempfile::tempdir().unwrap();
    let port = free_port();
    let settings =
        format!("OCTOAGENT_LLM_MODE=echo\nOCTO_NATS_URL=nats://octo:hidden@127.0.0.1:{port}\n");
    std::fs::write(data.path().join(".env"), settings).unwrap();
    let gateway = Octo::start(data.path(), "").await;
    let found = examined(data.path()).await;
    assert_eq!(found["level"], "problem");
    assert!(
        found["message"]
            .as_str()
            .unwrap()
            .contains(&port.to_string())
    );
    assert!(!found.to_string().contains("hidden"), "{found}");

    let messages = 6;
    let mut running = None;
    for number in 0..messages {
        if number == messages / 2 {
            running = Some(nats(port, &data.path().join("nats")));
        }
        let body = json!({"text": "hello", "idempotency_key": format!("m-{number}")});
        let body = body.to_string();
        let taken = send(
            gateway.address,
            "POST",
            "/api/message",
            &[],
            body.as_bytes(),
        )
        .await;
        assert_eq!(taken.status, 201, "NATS does not hold up a call: {taken:?}");
    }
    let read = read(port, messages * GOOD_TASK.len()).await;

    let views = check_books(&gateway).await;
    assert_eq!(views.len(), messages);
    for view in views {
        let task = &view["task"]["task_id"];
        let published: Vec<_> = read
            .iter()
            .map(|logged| &logged["event"])
            .filter(|event| event["task_id"] == *task)
            .collect();
        let ids = |events: &[&Value]| -> Vec<Value> {
            events
                .iter()
                .map(|event| event["event_id"].clone())
                .collect()
        };
        let recorded: Vec<_> = view["events"].as_array().unwrap().iter().collect();
        assert_eq!(ids(&published), ids(&recorded));
    }
    assert_eq!(examined(data.path()).await["level"], "ok");
    assert_eq!(gateway.end().await, Some(0));
    drop(running);
}

/// `octo store prune` of all that has ended.
async fn prune(data: &Path, options: &[&str]) -> Output {
    let arguments = ["store", "prune", "--before", "0d", "--json"];
    let prune = octo(data, "").args(arguments).args(options).output();
    prune.await.unwrap()
}

/// How many tasks it removed, and how many wait, if NATS was asked.
fn pruned(output: &Output) -> (u64, Option<u64>) {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let done: Value = serde_json::from_slice(&output.stdout).unwrap();
    (done["tasks"].as_u64().unwrap(), done["waiting"].as_u64())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nats_has_not_got_is_not_pruned() {
    let data = tempfile::tempdir().unwrap();
    let data = data.path();
    let port = free_port();
    let settings =
        format!("OCTOAGENT_LLM_MODE=echo\nOCTO_NATS_URL=nats://octo:hidden@127.0.0.1:{port}\n");
    std::fs::write(data.join(".env"), settings).unwrap();
    // One task a run of the gateway.
    let answer = async |key: &str| {
        let gateway = Octo::start(data, "").await;
        let body = json!({"text": "hello", "idempotency_key": key}).to_string();
        let body = body.as_bytes();
        let taken = send(gateway.address, "POST", "/api/message", &[], body).await;
        let task_id = taken.json()["task_id"].as_str().unwrap().to_owned();
        let stream = format!("/api/stream/task/{task_id}");
        send(gateway.address, "GET", &stream, &[], b"").await;
        gateway
    };
    let mut running = nats(port, &data.join("nats"));
    let gateway = answer("first").await;
    let events = GOOD_TASK.len();
    read(port, events).await;
    assert_eq!(gateway.end().await, Some(0));
    running.kill().await.unwrap();
    assert_eq!(answer("second").await.end().await, Some(0));

    let refused = prune(data, &["--yes"]).await;
    let told = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1), "{told}");
    assert!(told.contains("--without-nats"), "{told}");
    assert!(!told.contains("hidden"), "{told}");
    let mut running = nats(port, &data.join("nats"));
    read(port, events).await;
    assert_eq!(pruned(&prune(data, &["--dry-run"]).await), (1, Some(1)));
    assert_eq!(pruned(&prune(data, &["--yes"]).await), (1, Some(1)));

    // The second, then what says that the first is gone, then what comes later.
    let gateway = answer("third").await;
    let all = read(port, 3 * events + 1).await;
    assert_eq!(all[2 * events]["event"]["type"], "TASK_PRUNED");
    assert_eq!(gateway.end().await, Some(0));
    assert_eq!(pruned(&prune(data, &["--yes"]).await), (2, Some(0)));
    running.kill().await.unwrap();
    assert_eq!(answer("fourth").await.end().await, Some(0));
    let forced = prune(data, &["--yes", "--without-nats"]).await;
    assert_eq!(pruned(&forced), (1, None));
}
