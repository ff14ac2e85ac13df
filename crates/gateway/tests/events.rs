//! The log of all tasks over HTTP: pages and streams, each event once, in the order of the commits.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops where something is missing"
)]

mod support;

use event_payloads::{Actor, ErrorClass, ErrorEvent, EventPage, LoggedEvent, Payload, TaskCreated};
use event_store::{Commit, EventStore, NewEvent};
use serde_json::{Value, json};
use support::client::{Answer, send};
use support::sse::{SseAnswer, follow_with};
use support::{GOOD_TASK, Gateway};
use tokio::task::JoinSet;

const STREAM: (&str, &str) = ("accept", "text/event-stream");

async fn echo(more: &[(&str, &str)]) -> Gateway {
    let mut settings = vec![("OCTOAGENT_LLM_MODE", "echo")];
    settings.extend(more);
    Gateway::start(&settings).await
}

async fn page(gateway: &Gateway, query: &str) -> EventPage {
    let answer = gateway.get(&format!("/api/events?{query}")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    serde_json::from_slice(&answer.body).unwrap()
}

/// The log in pages of so many events.
async fn in_pages(gateway: &Gateway, more: &str, limit: usize) -> Vec<LoggedEvent> {
    let (mut events, mut after) = (Vec::new(), 0);
    loop {
        let page = page(gateway, &format!("after={after}&limit={limit}{more}")).await;
        assert!(page.events.len() <= limit);
        after = page.next;
        events.extend(page.events);
        if page.caught_up {
            return events;
        }
    }
}

async fn stream(gateway: &Gateway, query: &str, last: Option<u64>) -> SseAnswer {
    let last = last.map(|last| last.to_string());
    let mut headers = vec![STREAM];
    headers.extend(last.as_deref().map(|last| ("last-event-id", last)));
    let path = format!("/api/events?{query}");
    let stream = follow_with(gateway.address, &path, &headers).await;
    assert_eq!(stream.status, 200);
    assert_eq!(stream.header("content-type"), Some("text/event-stream"));
    stream
}

/// The next event of a stream; frames that only move the cursor are read over.
async fn next(stream: &mut SseAnswer) -> LoggedEvent {
    loop {
        let frame = stream.event().await.unwrap();
        if frame.data.is_empty() {
            continue;
        }
        let event: LoggedEvent = serde_json::from_str(&frame.data).unwrap();
        assert_eq!(frame.id.unwrap(), event.cursor.to_string());
        assert_eq!(frame.kind.unwrap(), event.event.event_type.as_str());
        return event;
    }
}

async fn take(stream: &mut SseAnswer, count: usize) -> Vec<LoggedEvent> {
    let mut events = Vec::new();
    for _ in 0..count {
        events.push(next(stream).await);
    }
    events
}

/// A task with so many events, one commit each.
async fn fill(store: &dyn EventStore, task: &str, events: usize, text_bytes: usize) {
    let created = Payload::TaskCreated(TaskCreated {
        title: task.to_owned(),
        thread_id: "default".to_owned(),
        scope_id: "chat:web:default".to_owned(),
        channel: "web".to_owned(),
        sender_id: "owner".to_owned(),
        risk_level: "low".to_owned(),
    });
    let noted = |number: usize| {
        Payload::Error(ErrorEvent {
            error_type: ErrorClass::Tool,
            error_message: format!("{number} {}", "x".repeat(text_bytes)),
            recoverable: true,
            recovery_hint: String::new(),
        })
    };
    let payloads = std::iter::once(created).chain((1..events).map(noted));
    for payload in payloads {
        let event = NewEvent::new(Actor::Worker, payload);
        let commit = Commit::new(task.parse().unwrap()).event(event);
        store.append(commit).await.unwrap();
    }
}

fn refused(answer: &Answer) -> (u16, String, String) {
    let error = &answer.json()["error"];
    let text = |field: &str| error[field].as_str().unwrap().to_owned();
    (answer.status.as_u16(), text("code"), text("message"))
}

#[tokio::test]
async fn pages_and_streams_give_the_same_events_in_the_same_order() {
    let gateway = echo(&[]).await;
    for key in ["1", "2", "3"] {
        gateway.run_message("hi", key, None).await;
    }
    let pages = in_pages(&gateway, "", 4).await;
    assert_eq!(pages.len(), 3 * GOOD_TASK.len());
    assert!(pages.is_sorted_by(|one, next| one.cursor < next.cursor));
    assert_eq!(in_pages(&gateway, "", 1000).await, pages);
    let mut live = stream(&gateway, "", None).await;
    assert_eq!(take(&mut live, pages.len()).await, pages);
    // What comes later comes on the same stream, and a page after the last cursor holds just that.
    gateway.run_message("hi", "4", None).await;
    let later = take(&mut live, GOOD_TASK.len()).await;
    let after = pages.last().unwrap().cursor;
    let page = page(&gateway, &format!("after={after}")).await;
    assert_eq!((page.events, page.caught_up), (later, true));
    gateway.stop().await;
}

#[tokio::test]
async fn a_stream_that_is_cut_anywhere_goes_on_without_a_gap_or_a_repeat() {
    let gateway = echo(&[]).await;
    for key in ["1", "2", "3"] {
        gateway.run_message("hi", key, None).await;
    }
    let all = in_pages(&gateway, "", 1000).await;
    let mut seen: Vec<LoggedEvent> = Vec::new();
    for count in (1..=4).cycle() {
        if seen.len() == all.len() {
            break;
        }
        let last = seen.last().map(|event| event.cursor);
        // The first URL is sent again: what was seen wins over its `after`.
        let mut part = stream(&gateway, "after=0", last).await;
        let count = count.min(all.len() - seen.len());
        seen.extend(take(&mut part, count).await);
    }
    assert_eq!(seen, all);
    gateway.stop().await;
}

#[tokio::test]
async fn a_filter_gives_its_types_alone_and_still_moves_the_cursor() {
    let gateway = echo(&[("OCTOAGENT_SSE_HEARTBEAT_INTERVAL", "0.05")]).await;
    gateway.run_message("hi", "1", None).await;
    gateway.run_message("hi", "2", None).await;
    let all = in_pages(&gateway, "", 1000).await;
    let head = all.last().unwrap().cursor;
    let wanted = "types=USER_MESSAGE,MODEL_CALL_COMPLETED";
    let of_types = in_pages(&gateway, &format!("&{wanted}"), 1).await;
    let kinds: Vec<&str> = of_types
        .iter()
        .map(|event| event.event.event_type.as_str())
        .collect();
    let pair = ["USER_MESSAGE", "MODEL_CALL_COMPLETED"];
    assert_eq!(kinds, [pair, pair].concat());
    let mut live = stream(&gateway, wanted, None).await;
    assert_eq!(take(&mut live, 4).await, of_types);

    let none = page(&gateway, "types=OF_TOMORROW").await;
    assert_eq!(
        (none.events.len(), none.next, none.caught_up),
        (0, head, true)
    );
    let mut none = stream(&gateway, "types=OF_TOMORROW", None).await;
    let begin = none.event().await.unwrap();
    assert_eq!((begin.id.as_deref(), begin.data.as_str()), (Some("0"), ""));
    let mut moved = none.event().await.unwrap();
    while moved.id.is_none() {
        moved = none.event().await.unwrap();
    }
    assert_eq!((moved.id, moved.kind), (Some(head.to_string()), None));
    assert_eq!(moved.data, "", "nothing is dispatched");
    let idle = none.event().await.unwrap();
    assert_eq!(idle.id, None, "a heartbeat alone");
    gateway.stop().await;
}

#[tokio::test]
async fn from_now_on_is_a_place_in_the_log_from_the_first_frame() {
    let gateway = echo(&[]).await;
    gateway.run_message("old", "1", None).await;
    let head = page(&gateway, "after=latest").await;
    assert_eq!((head.events.len(), head.caught_up), (0, true));
    let mut live = stream(&gateway, "after=latest", None).await;
    let begin = live.event().await.unwrap().id.unwrap();
    assert_eq!(begin, head.next.to_string());
    // Cut before its first event: the client has a cursor to go on from.
    drop(live);
    gateway.run_message("new", "2", None).await;
    let mut again = stream(&gateway, "after=latest", begin.parse().ok()).await;
    let events = take(&mut again, GOOD_TASK.len()).await;
    assert_eq!(
        events,
        page(&gateway, &format!("after={begin}")).await.events
    );
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_followers_of_sixty_four_writers_miss_nothing_and_repeat_nothing() {
    const WRITERS: usize = 64;
    const EACH: usize = 20;
    let gateway = echo(&[]).await;
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let store = gateway.app.store.clone();
        writers
            .spawn(async move { fill(store.as_ref(), &format!("task-{writer}"), EACH, 0).await });
    }
    let mut followers = JoinSet::new();
    for follower in 0..4 {
        let mut live = stream(&gateway, "", None).await;
        followers.spawn(async move {
            // A slow one falls behind, and reads pages again.
            let mut events = Vec::new();
            while events.len() < WRITERS * EACH {
                events.push(next(&mut live).await);
                if follower == 0 {
                    tokio::task::yield_now().await;
                }
            }
            events
        });
    }
    writers.join_all().await;
    let all = in_pages(&gateway, "", 1000).await;
    assert_eq!(all.len(), WRITERS * EACH);
    for events in followers.join_all().await {
        assert_eq!(events, all);
    }
    let mut seqs = std::collections::BTreeMap::<String, u64>::new();
    for event in all {
        let last = seqs.entry(event.event.task_id.to_string()).or_default();
        assert_eq!(event.event.task_seq, *last + 1, "in order within a task");
        *last += 1;
    }
    gateway.stop().await;
}

#[tokio::test]
async fn what_can_not_be_asked_for_is_said() {
    let gateway = echo(&[]).await;
    let many = ["A"; 33].join(",");
    for query in [
        "after=-1",
        "after=x",
        "after=",
        "after=1.5",
        "after=18446744073709551616",
        "types=",
        "types=A,,B",
        "types=model_call_completed",
        &format!("types={many}"),
        &format!("types={}", "A".repeat(65)),
        "limit=0",
        "limit=1001",
        "limit=-1",
        "wait=31",
        "wait=0.5",
        "after=1&after=2",
    ] {
        let answer = gateway.get(&format!("/api/events?{query}")).await;
        let (status, code, message) = refused(&answer);
        assert_eq!(
            (status, code.as_str()),
            (422, "VALIDATION_ERROR"),
            "{query}"
        );
        let name = query.split('=').next().unwrap();
        assert!(message.contains(name), "{query}: {message}");
    }
    for (query, last) in [("limit=5", "0"), ("wait=5", "0"), ("", "x"), ("", "-1")] {
        let path = format!("/api/events?{query}");
        let headers = [STREAM, ("last-event-id", last)];
        let answer = send(gateway.address, "GET", &path, &headers, b"").await;
        assert_eq!(refused(&answer).0, 422, "{query} {last}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_cursor_that_the_log_has_not_reached_is_a_conflict_and_not_a_silence() {
    let gateway = echo(&[]).await;
    gateway.run_message("hi", "1", None).await;
    let head = page(&gateway, "").await.next;
    assert!(page(&gateway, &format!("after={head}")).await.caught_up);
    for ahead in [head + 1, u64::MAX] {
        let path = format!("/api/events?after={ahead}&wait=30");
        let (status, code, message) = refused(&gateway.get(&path).await);
        assert_eq!((status, code.as_str()), (409, "CURSOR_AHEAD"));
        assert!(message.contains(&format!("ends at {head}")), "{message}");
        let ahead = ahead.to_string();
        let headers = [STREAM, ("last-event-id", ahead.as_str())];
        let answer = send(gateway.address, "GET", "/api/events", &headers, b"").await;
        assert_eq!(refused(&answer).1, "CURSOR_AHEAD");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_page_waits_for_what_it_wants_and_no_longer_than_asked() {
    let gateway = echo(&[]).await;
    let (waited, _) = tokio::join!(
        page(&gateway, "after=0&types=MODEL_CALL_COMPLETED&wait=30"),
        gateway.run_message("hi", "1", None)
    );
    assert_eq!(
        waited.events.len(),
        1,
        "events of other types do not end it"
    );
    let head = page(&gateway, "after=latest").await.next;
    let began = std::time::Instant::now();
    let empty = page(&gateway, &format!("after={head}&wait=1")).await;
    assert!(began.elapsed() >= std::time::Duration::from_secs(1));
    assert_eq!((empty.events.len(), empty.next), (0, head));
    gateway.stop().await;
}

#[tokio::test]
async fn the_end_of_the_gateway_ends_streams_and_waits() {
    let gateway = echo(&[]).await;
    gateway.run_message("hi", "1", None).await;
    let mut live = stream(&gateway, "after=latest", None).await;
    live.event().await.unwrap();
    let address = gateway.address;
    let mut waiting = JoinSet::new();
    waiting.spawn(async move {
        send(address, "GET", "/api/events?after=latest&wait=30", &[], b"").await
    });
    // It has its place once it waits: the stream has the other one that is gone.
    let places = gateway.app.streams.clone();
    let all = gateway.app.config.server.max_connections.div_ceil(2);
    while places.available_permits() + 2 > all {
        tokio::task::yield_now().await;
    }
    let began = std::time::Instant::now();
    gateway.stop().await;
    assert!(began.elapsed() < std::time::Duration::from_secs(20));
    assert!(live.rest().await.iter().all(String::is_empty));
    let answer = waiting.join_next().await.unwrap().unwrap();
    assert_eq!(
        (answer.status.as_u16(), &answer.json()["events"]),
        (200, &json!([]))
    );
}

#[tokio::test]
async fn a_follower_that_does_not_read_holds_up_neither_the_log_nor_its_end() {
    let gateway = echo(&[]).await;
    let deaf = stream(&gateway, "", None).await;
    // Far more than the buffers of a connection hold.
    fill(gateway.app.store.as_ref(), "task-1", 1000, 16 << 10).await;
    let mut live = stream(&gateway, "", None).await;
    assert_eq!(take(&mut live, 1000).await.len(), 1000);
    drop(live);
    gateway.stop().await;
    drop(deaf);
}

#[tokio::test]
async fn streams_have_places_and_the_other_rules_of_the_api() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(
        dir.path().join("octo.toml"),
        "[server]\nmax_connections = 3\n",
    )
    .unwrap();
    let gateway = limited(dir, &[]).await;
    let (first, _second) = (
        stream(&gateway, "", None).await,
        stream(&gateway, "", None).await,
    );
    let full = send(gateway.address, "GET", "/api/events", &[STREAM], b"").await;
    assert_eq!(
        (refused(&full).1.as_str(), full.header("retry-after")),
        ("BUSY", Some("1"))
    );
    let full = gateway.get("/api/events?wait=5").await;
    assert_eq!(refused(&full).1, "BUSY", "who waits needs a place too");
    assert_eq!(gateway.get("/api/events").await.status, 200);
    drop(first);
    while gateway.app.streams.available_permits() == 0 {
        tokio::task::yield_now().await;
    }
    let free = stream(&gateway, "", None).await;
    drop(free);
    let foreign = [("origin", "https://evil.example")];
    let answer = send(gateway.address, "GET", "/api/events", &foreign, b"").await;
    assert_eq!(answer.status, 403);
    let posted = gateway.post("/api/events", &Value::Null).await;
    assert_eq!(posted.status, 405);
    gateway.stop().await;

    let gateway = echo(&[("OCTO_GATEWAY_KEY", "a-key-of-this-test")]).await;
    assert_eq!(gateway.get("/api/events").await.status, 401);
    let key = [("authorization", "Bearer a-key-of-this-test")];
    let answer = send(gateway.address, "GET", "/api/events", &key, b"").await;
    assert_eq!(answer.status, 200);
    gateway.stop().await;
}

/// An echo gateway with the `octo.toml` of this folder.
async fn limited(dir: tempfile::TempDir, more: &[(&str, &str)]) -> Gateway {
    use gateway::config::{Config, Environment, Overrides};
    let data = dir.path().join("data").to_str().unwrap().to_owned();
    let pairs = [
        ("OCTOAGENT_DATA_DIR", data),
        ("OCTO_LISTEN", "127.0.0.1:0".to_owned()),
        ("OCTOAGENT_LLM_MODE", "echo".to_owned()),
    ];
    let more = more
        .iter()
        .map(|(name, value)| (*name, (*value).to_owned()));
    let overrides = Overrides {
        config: Some(dir.path().join("octo.toml")),
        listen: None,
    };
    let environment = Environment::of_pairs(pairs.into_iter().chain(more));
    Gateway::start_with(dir, Config::load(&environment, &overrides).unwrap()).await
}
