//! Live events over SSE: history, then live, no gap, no duplicate, an end.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops where something is missing"
)]

mod support;

use serde_json::Value;
use support::client::{Answer, send};
use support::upstream::Upstream;
use support::{Gateway, types};

/// The events of a whole stream: id, event, data.
fn frames(answer: &Answer) -> Vec<(String, String, Value)> {
    assert_eq!(answer.header("content-type"), Some("text/event-stream"));
    let text = answer.text();
    let frames = text
        .split("\n\n")
        .filter(|frame| frame.starts_with("id:") || frame.starts_with("event:"))
        // Pieces of the answer may come between the events; they are stored nowhere and have no id.
        .filter(|frame| !frame.starts_with("event: MODEL_CALL_CHUNK"));
    frames
        .map(|frame| {
            let field = |name: &str| {
                let line = frame
                    .lines()
                    .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
                line.unwrap_or_else(|| panic!("no {name} in {frame}"))
                    .trim_start()
                    .to_owned()
            };
            (
                field("id"),
                field("event"),
                serde_json::from_str(&field("data")).unwrap(),
            )
        })
        .collect()
}

#[tokio::test]
async fn a_stream_opened_during_the_call_has_every_event_once_and_ends() {
    let upstream = Upstream::closed().await;
    let gateway = Gateway::start(&[("LITELLM_PROXY_URL", &upstream.url())]).await;
    let task_id = gateway.submit("hi", "k", None).await;
    let path = format!("/api/stream/task/{task_id}");
    upstream.waiting.acquire().await.unwrap().forget();
    let (streams, ()) = tokio::join!(
        async { tokio::join!(gateway.get(&path), gateway.get(&path)) },
        async { upstream.gate.add_permits(1) }
    );
    for stream in [streams.0, streams.1] {
        let frames = frames(&stream);
        let seqs: Vec<u64> = frames
            .iter()
            .map(|(_, _, data)| data["task_seq"].as_u64().unwrap())
            .collect();
        assert_eq!(seqs, [1, 2, 3, 4, 5, 6, 7]);
        for (id, event, data) in &frames {
            assert_eq!(
                (data["event_id"].as_str(), data["type"].as_str()),
                (Some(id.as_str()), Some(event.as_str()))
            );
        }
        let finals: Vec<bool> = frames
            .iter()
            .map(|(_, _, data)| data["final"].as_bool().unwrap())
            .collect();
        assert_eq!(finals, [false, false, false, false, false, false, true]);
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_stream_goes_on_after_the_last_event_that_was_seen() {
    let gateway = Gateway::start(&[("OCTOAGENT_LLM_MODE", "echo")]).await;
    let (task_id, view) = gateway.run_message("hi", "k", None).await;
    assert_eq!(types(&view).len(), 7);
    let path = format!("/api/stream/task/{task_id}");
    let id = |index: usize| {
        view["events"][index]["event_id"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let resumed = send(
        gateway.address,
        "GET",
        &path,
        &[("last-event-id", &id(4))],
        b"",
    )
    .await;
    let seqs: Vec<u64> = frames(&resumed)
        .iter()
        .map(|(_, _, data)| data["task_seq"].as_u64().unwrap())
        .collect();
    assert_eq!(seqs, [6, 7]);
    let all_seen = send(
        gateway.address,
        "GET",
        &path,
        &[("last-event-id", &id(6))],
        b"",
    )
    .await;
    assert_eq!(all_seen.status, 204, "a browser stops connecting again");
    let (_, other) = gateway.run_message("other", "k2", None).await;
    let foreign = other["events"][3]["event_id"].as_str().unwrap().to_owned();
    let restarted = send(
        gateway.address,
        "GET",
        &path,
        &[("last-event-id", &foreign)],
        b"",
    )
    .await;
    assert_eq!(
        frames(&restarted).len(),
        7,
        "an event of another task says nothing about this one"
    );
    gateway.stop().await;
}

#[tokio::test]
async fn an_idle_stream_has_heartbeats_and_ends_with_the_gateway() {
    let upstream = Upstream::closed().await;
    let settings = [
        ("LITELLM_PROXY_URL", upstream.url()),
        ("OCTOAGENT_SSE_HEARTBEAT_INTERVAL", "0.05".to_owned()),
    ];
    let settings: Vec<(&str, &str)> = settings
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let gateway = Gateway::start(&settings).await;
    let task_id = gateway.submit("hi", "k", None).await;
    let path = format!("/api/stream/task/{task_id}");
    let address = gateway.address;
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    tokio::io::AsyncWriteExt::write_all(&mut stream, request.as_bytes())
        .await
        .unwrap();
    let mut seen = String::new();
    let mut buffer = [0_u8; 4096];
    while !seen.contains(": heartbeat") {
        let count = tokio::io::AsyncReadExt::read(&mut stream, &mut buffer)
            .await
            .unwrap();
        assert!(count > 0, "the stream ended: {seen}");
        seen.push_str(&String::from_utf8_lossy(&buffer[..count]));
    }
    upstream.gate.add_permits(1);
    gateway.stop().await;
    while tokio::io::AsyncReadExt::read(&mut stream, &mut buffer)
        .await
        .unwrap_or(0)
        > 0
    {}
}
