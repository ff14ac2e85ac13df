//! What hostile or unlucky clients and disks run into.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops where something is missing"
)]

mod support;

use std::time::Duration;

use gateway::config::{Config, Environment, Overrides};
use serde_json::json;
use support::{Gateway, LIMIT};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// An echo gateway with lines of `octo.toml`.
async fn with_settings(toml: &str) -> Gateway {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("octo.toml");
    std::fs::write(&file, toml).unwrap();
    let environment = Environment::of_pairs([
        (
            "OCTOAGENT_DATA_DIR",
            dir.path().join("data").to_str().unwrap().to_owned(),
        ),
        ("OCTO_LISTEN", "127.0.0.1:0".to_owned()),
        ("OCTOAGENT_LLM_MODE", "echo".to_owned()),
    ]);
    let config = Config::load(
        &environment,
        &Overrides {
            config: Some(file),
            listen: None,
        },
    )
    .unwrap();
    Gateway::start_with(dir, config).await
}

/// Reads until the server closes; what came before that.
async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut all = Vec::new();
    tokio::time::timeout(LIMIT, stream.read_to_end(&mut all))
        .await
        .unwrap()
        .unwrap_or_default();
    String::from_utf8_lossy(&all).into_owned()
}

#[tokio::test]
async fn a_client_that_never_ends_its_head_is_put_out() {
    let gateway = with_settings("[server]\nheader_timeout_s = 0.2\n").await;
    let mut slow = TcpStream::connect(gateway.address).await.unwrap();
    slow.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\nx-drip: ")
        .await
        .unwrap();
    let answer = read_to_end(&mut slow).await;
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 408"),
        "{answer}"
    );
    assert_eq!(
        gateway.get("/health").await.status,
        200,
        "others are served"
    );
    gateway.stop().await;
}

#[tokio::test]
async fn connections_over_the_limit_wait_until_one_ends() {
    let gateway = with_settings("[server]\nmax_connections = 1\nheader_timeout_s = 30\n").await;
    let mut first = TcpStream::connect(gateway.address).await.unwrap();
    first
        .write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n")
        .await
        .unwrap();
    let mut second = TcpStream::connect(gateway.address).await.unwrap();
    second
        .write_all(b"GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut byte = [0];
    let early = tokio::time::timeout(Duration::from_millis(100), second.read(&mut byte)).await;
    assert!(
        early.is_err(),
        "the second waits while the first has the only place"
    );
    drop(first);
    assert!(read_to_end(&mut second).await.starts_with("HTTP/1.1 200"));
    gateway.stop().await;
}

#[tokio::test]
async fn garbage_instead_of_http_is_refused() {
    let gateway = with_settings("").await;
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"GARBAGE\r\n\r\n",
        &[0_u8; 64],
    ] {
        let mut stream = TcpStream::connect(gateway.address).await.unwrap();
        stream.write_all(garbage).await.unwrap();
        stream.shutdown().await.unwrap();
        let answer = read_to_end(&mut stream).await;
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 4"),
            "{answer}"
        );
    }
    assert_eq!(gateway.get("/health").await.status, 200);
    gateway.stop().await;
}

#[tokio::test]
async fn a_locked_database_is_said_and_leaves_nothing_half_written() {
    let gateway = with_settings("").await;
    let other = rusqlite::Connection::open(&gateway.app.config.storage.db_path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let body = json!({"text": "hi", "idempotency_key": "k"});
    let refused = gateway.post("/api/message", &body).await;
    assert_eq!(
        (refused.status.as_u16(), &refused.json()["error"]["code"]),
        (503, &json!("STORAGE_BUSY"))
    );
    assert_eq!(refused.header("retry-after"), Some("1"));
    let chat = json!({"model": "planner", "messages": [{"role": "user", "content": "hi"}]});
    let refused = gateway.post("/v1/chat/completions", &chat).await;
    assert_eq!(
        (refused.status.as_u16(), &refused.json()["error"]["code"]),
        (503, &json!("storage_busy"))
    );
    let ready = gateway.get("/ready").await;
    assert_eq!(ready.status, 503);
    assert!(
        ready.json()["checks"]["sqlite"]
            .as_str()
            .unwrap()
            .starts_with("error: ")
    );
    assert_eq!(
        gateway.get("/api/tasks").await.json(),
        json!({"tasks": [], "has_more": false}),
        "nothing is half there"
    );
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(
        gateway.post("/api/message", &body).await.status,
        201,
        "and then it works"
    );
    gateway.stop().await;
}
