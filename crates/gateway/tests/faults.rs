//! `octo` as a process, treated badly: killed, ended, started twice, flooded.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops where something is missing"
)]

mod support;

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use serde_json::{Value, json};
use support::client::{send, try_send};
use support::octo::{Octo, check_books, octo};
use support::upstream::Upstream;
use support::{GOOD_TASK, Gateway, LIMIT, payload, types};
use tokio::task::JoinSet;

fn message(key: usize) -> Vec<u8> {
    json!({"text": format!("message {key}"), "idempotency_key": format!("key-{key}")})
        .to_string()
        .into_bytes()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_in_the_middle_of_calls_octo_closes_them_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let upstream = Upstream::closed().await;
    let first = Octo::start(dir.path(), &upstream.url()).await;
    let mut acknowledged = BTreeSet::new();
    for key in 0..20 {
        let taken = send(first.address, "POST", "/api/message", &[], &message(key)).await;
        assert_eq!(taken.status, 201);
        acknowledged.insert(taken.json()["task_id"].as_str().unwrap().to_owned());
    }
    upstream.waiting.acquire_many(20).await.unwrap().forget();
    // Some of them end, the rest is caught in mid-air.
    upstream.gate.add_permits(7);
    first.kill().await;

    let second = Octo::start(dir.path(), &upstream.url()).await;
    let views = check_books(&second).await;
    let found: BTreeSet<String> = views
        .iter()
        .map(|view| view["task"]["task_id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        found, acknowledged,
        "no acknowledged message is missing, none came twice"
    );
    let interrupted: Vec<&Value> = views
        .iter()
        .filter(|view| view["task"]["status"] == "FAILED")
        .collect();
    assert!(
        interrupted.len() >= 13,
        "at least those that never got an answer: {}",
        interrupted.len()
    );
    for view in interrupted {
        let failed = payload(view, "MODEL_CALL_FAILED");
        assert_eq!(
            (&failed["error_type"], &failed["cost_unavailable"]),
            (&json!("interrupted"), &json!(true))
        );
    }
    let costs = second.get("/api/costs").await;
    assert_eq!(
        (&costs["total"]["calls"], &costs["total"]["open_calls"]),
        (&json!(20), &json!(0))
    );
    // A message that was acknowledged before the crash is still known by its key.
    let again = send(second.address, "POST", "/api/message", &[], &message(3)).await;
    assert_eq!(
        (again.status.as_u16(), &again.json()["created"]),
        (200, &json!(false))
    );
    assert_eq!(second.end().await, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_kills_at_any_moment_leave_complete_books() {
    let dir = tempfile::tempdir().unwrap();
    let upstream = Upstream::open().await;
    let mut acknowledged = BTreeSet::new();
    for round in 0..10_usize {
        let octo = Octo::start(dir.path(), &upstream.url()).await;
        let mut sends = JoinSet::new();
        for key in 0..30 {
            let address = octo.address;
            sends.spawn(async move {
                try_send(
                    address,
                    "POST",
                    "/api/message",
                    &[],
                    &message(round * 100 + key),
                )
                .await
                .ok()
            });
        }
        // The kill falls somewhere among them: after as many answers as the round's number.
        for _ in 0..=round * 3 {
            if let Some(Ok(Some(answer))) = sends.join_next().await {
                assert_eq!(answer.status, 201, "{answer:?}");
                acknowledged.insert(answer.json()["task_id"].as_str().unwrap().to_owned());
            }
        }
        octo.kill().await;
    }
    let octo = Octo::start(dir.path(), &upstream.url()).await;
    let views = check_books(&octo).await;
    let found: BTreeSet<String> = views
        .iter()
        .map(|view| view["task"]["task_id"].as_str().unwrap().to_owned())
        .collect();
    assert!(
        found.is_superset(&acknowledged),
        "lost: {:?}",
        acknowledged.difference(&found)
    );
    assert!(acknowledged.len() >= 100);
    assert_eq!(octo.end().await, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_lets_a_call_in_flight_finish() {
    let dir = tempfile::tempdir().unwrap();
    let upstream = Upstream::closed().await;
    let octo = Octo::start(dir.path(), &upstream.url()).await;
    let address = octo.address;
    let mut call = JoinSet::new();
    let body =
        json!({"model": "planner", "messages": [{"role": "user", "content": "hi"}]}).to_string();
    call.spawn(async move {
        send(
            address,
            "POST",
            "/v1/chat/completions",
            &[],
            body.as_bytes(),
        )
        .await
    });
    upstream.waiting.acquire().await.unwrap().forget();
    let mut end = JoinSet::new();
    end.spawn(octo.end());
    // New work is refused from now on; only then the answer may come.
    let deadline = tokio::time::Instant::now() + LIMIT;
    while tokio::net::TcpStream::connect(address).await.is_ok() {
        assert!(
            tokio::time::Instant::now() < deadline,
            "it still takes connections"
        );
        tokio::task::yield_now().await;
    }
    upstream.gate.add_permits(1);
    let answer = call.join_next().await.unwrap().unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(end.join_next().await.unwrap().unwrap(), Some(0));
}

#[tokio::test]
async fn a_second_octo_on_the_same_store_is_refused_and_ask_goes_through_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let upstream = Upstream::open().await;
    let first = Octo::start(dir.path(), &upstream.url()).await;
    let second = octo(dir.path(), &upstream.url())
        .arg("serve")
        .output()
        .await
        .unwrap();
    assert_eq!(second.status.code(), Some(1));
    let message = String::from_utf8(second.stderr).unwrap();
    assert!(message.contains("another octo"), "{message}");

    let mut ask = octo(dir.path(), &upstream.url());
    ask.env("OCTO_LISTEN", first.address.to_string())
        .args(["ask", "2+2?", "--alias", "planner", "--json"]);
    let asked = ask.output().await.unwrap();
    assert_eq!(
        asked.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&asked.stderr)
    );
    let shown: Value = serde_json::from_slice(&asked.stdout).unwrap();
    assert_eq!(
        (&shown["content"], &shown["model_name"]),
        (&json!("Four."), &json!("gpt-4o-mini"))
    );
    assert_eq!(shown["cost_usd"].to_string(), "0.000006");

    let costs = octo(dir.path(), &upstream.url())
        .args(["costs", "--group-by", "alias"])
        .output()
        .await
        .unwrap();
    assert_eq!(
        costs.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&costs.stderr)
    );
    let table = String::from_utf8(costs.stdout).unwrap();
    assert!(
        table.contains("planner") && table.contains("0.000006"),
        "{table}"
    );
    assert_eq!(first.end().await, Some(0));
}

#[tokio::test]
async fn ask_alone_keeps_the_same_books() {
    let dir = tempfile::tempdir().unwrap();
    let upstream = Upstream::open().await;
    let asked = octo(dir.path(), &upstream.url())
        .args(["ask", "2+2?"])
        .output()
        .await
        .unwrap();
    assert_eq!(
        asked.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&asked.stderr)
    );
    let text = String::from_utf8(asked.stdout).unwrap();
    assert!(
        text.starts_with("Four.\n")
            && text.contains("gpt-4o-mini")
            && text.contains("0.000006 USD"),
        "{text}"
    );
    let echoed = octo(dir.path(), "http://127.0.0.1:1")
        .args(["ask", "Anybody?"])
        .output()
        .await
        .unwrap();
    assert_eq!(echoed.status.code(), Some(3), "only the fallback answered");
    let costs = octo(dir.path(), &upstream.url())
        .args(["costs", "--json"])
        .output()
        .await
        .unwrap();
    let report: Value = serde_json::from_slice(&costs.stdout).unwrap();
    assert_eq!(
        (
            &report["total"]["calls"],
            &report["total"]["fallback_calls"]
        ),
        (&json!(2), &json!(1))
    );
    for (args, code) in [
        (vec!["costs", "--from", "soon"], 2),
        (vec!["costs", "--task", "nobody"], 1),
        (vec!["dance"], 2),
    ] {
        let refused = octo(dir.path(), &upstream.url())
            .args(&args)
            .output()
            .await
            .unwrap();
        assert_eq!(refused.status.code(), Some(code), "{args:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_concurrent_messages_through_a_slow_upstream_all_end() {
    let upstream = Upstream::closed().await;
    let gateway = Gateway::start(&[("LITELLM_PROXY_URL", &upstream.url())]).await;
    let mut sends = JoinSet::new();
    for key in 0..500 {
        let address = gateway.address;
        sends.spawn(async move { send(address, "POST", "/api/message", &[], &message(key)).await });
    }
    let taken = sends.join_all().await;
    assert!(taken.iter().all(|answer| answer.status == 201));
    // Slow: an answer leaves only when another call has come in behind it.
    let gate = upstream.gate.clone();
    let waiting = upstream.waiting.clone();
    let mut pump = JoinSet::new();
    pump.spawn(async move {
        for _ in 0..500 {
            waiting.acquire().await.unwrap().forget();
            gate.add_permits(1);
        }
    });
    let mut streams = JoinSet::new();
    for answer in &taken {
        let (address, path) = (
            gateway.address,
            format!(
                "/api/stream/task/{}",
                answer.json()["task_id"].as_str().unwrap()
            ),
        );
        streams.spawn(async move { send(address, "GET", &path, &[], b"").await });
    }
    streams.join_all().await;
    pump.join_all().await;
    for answer in &taken {
        let view = gateway
            .get(&format!(
                "/api/tasks/{}",
                answer.json()["task_id"].as_str().unwrap()
            ))
            .await
            .json();
        assert_eq!(view["task"]["status"], "SUCCEEDED");
        assert_eq!(types(&view), GOOD_TASK);
    }
    assert_eq!(
        upstream.calls.load(Ordering::SeqCst),
        500,
        "no call was made twice"
    );
    let costs = gateway.get("/api/costs").await.json();
    assert_eq!(costs["total"]["cost_usd"].to_string(), "0.003");
    gateway.stop().await;
}

#[tokio::test]
async fn a_full_queue_refuses_with_retry_after_and_creates_nothing() {
    let upstream = Upstream::closed().await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("octo.toml");
    std::fs::write(&file, "[tasks]\nmax_running = 1\nmax_queued = 1\n").unwrap();
    let environment = gateway::config::Environment::of_pairs([
        (
            "OCTOAGENT_DATA_DIR",
            dir.path().join("data").to_str().unwrap().to_owned(),
        ),
        ("OCTO_LISTEN", "127.0.0.1:0".to_owned()),
        ("LITELLM_PROXY_URL", upstream.url()),
    ]);
    let overrides = gateway::config::Overrides {
        config: Some(file),
        listen: None,
    };
    let config = gateway::config::Config::load(&environment, &overrides).unwrap();
    let gateway = Gateway::start_with(dir, config).await;
    for key in 0..2 {
        assert_eq!(
            send(gateway.address, "POST", "/api/message", &[], &message(key))
                .await
                .status,
            201
        );
    }
    let refused = send(gateway.address, "POST", "/api/message", &[], &message(2)).await;
    assert_eq!(
        (refused.status.as_u16(), refused.header("retry-after")),
        (503, Some("1"))
    );
    assert_eq!(refused.json()["error"]["code"], "BUSY");
    assert_eq!(
        gateway.get("/api/tasks").await.json()["tasks"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    upstream.gate.add_permits(2);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_keeps_its_connection_does_not_keep_octo_from_ending() {
    let dir = tempfile::tempdir().unwrap();
    let upstream = Upstream::open().await;
    let octo = Octo::start(dir.path(), &upstream.url()).await;
    let stream = tokio::net::TcpStream::connect(octo.address).await.unwrap();
    let io = hyper_util::rt::TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let mut client = JoinSet::new();
    client.spawn(async move {
        let mut answered = 0_usize;
        loop {
            let body = json!({"model": "planner", "messages": [{"role": "user", "content": "hi"}]})
                .to_string();
            let request = http::Request::post("/v1/chat/completions").header("host", "localhost");
            let request = request
                .body(http_body_util::Full::new(bytes::Bytes::from(body)))
                .unwrap();
            match sender.send_request(request).await {
                Ok(answer) if answer.status() == 200 => answered += 1,
                _ => return answered,
            }
            if sender.ready().await.is_err() {
                return answered;
            }
        }
    });
    let ended = tokio::time::timeout(std::time::Duration::from_secs(20), octo.end());
    assert_eq!(
        ended.await.unwrap(),
        Some(0),
        "well within the grace period of 30 s"
    );
    let answered = client.join_next().await.unwrap().unwrap();
    let again = Octo::start(dir.path(), &upstream.url()).await;
    let costs = again.get("/api/costs").await;
    assert_eq!(
        (
            &costs["total"]["failed_calls"],
            &costs["total"]["open_calls"]
        ),
        (&json!(0), &json!(0))
    );
    assert!(
        costs["total"]["calls"].as_u64().unwrap() >= answered as u64,
        "every answer is in the books"
    );
    again.kill().await;
}

#[tokio::test]
async fn two_asks_at_once_both_get_an_answer() {
    let dir = tempfile::tempdir().unwrap();
    let upstream = Upstream::closed().await;
    let mut asks = JoinSet::new();
    for _ in 0..2 {
        // A port on which no gateway listens.
        let mut ask = octo(dir.path(), &upstream.url());
        ask.env("OCTO_LISTEN", "127.0.0.1:1").args(["ask", "2+2?"]);
        asks.spawn(async move { ask.output().await.unwrap() });
    }
    upstream.waiting.acquire().await.unwrap().forget();
    upstream.gate.add_permits(2);
    for asked in asks.join_all().await {
        assert_eq!(
            asked.status.code(),
            Some(0),
            "{}",
            String::from_utf8_lossy(&asked.stderr)
        );
    }
}
