//! Answers about the stream that no server gives when a test wants them: the test gives them.

use std::time::Duration;

use async_nats::Client;
use async_nats::jetstream::stream::Config;
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::LIMIT;
use crate::books::Books;
use crate::running::Running;
use crate::server::Server;
use crate::told::Lines;

/// Where the stream ends.
const INFO: &str = "$JS.API.STREAM.INFO.OCTO_EVENTS";
/// What the last of our events in it is.
const LAST: &str = "$JS.API.STREAM.MSG.GET.OCTO_EVENTS";

/// A stream that ends at 7.
fn info() -> Value {
    let config = Config {
        name: "OCTO_EVENTS".into(),
        subjects: vec!["octo.events.>".into()],
        num_replicas: 1,
        ..Config::default()
    };
    let made = "2026-01-01T00:00:00Z";
    json!({
        "config": config,
        "created": made,
        "state": {
            "messages": 7, "bytes": 700, "consumer_count": 0,
            "first_seq": 1, "first_ts": made, "last_seq": 7, "last_ts": made,
        },
    })
}

/// Answers until there is a question without an answer.
async fn answer(client: &Client, answers: &[(&str, Value)]) {
    let mut asked = client.subscribe("$JS.API.>").await.unwrap();
    while let Some(question) = asked.next().await {
        let subject = question.subject.as_str();
        let Some((_, answer)) = answers.iter().find(|(of, _)| *of == subject) else {
            return;
        };
        let answer = answer.to_string().into();
        client
            .publish(question.reply.unwrap(), answer)
            .await
            .unwrap();
    }
}

/// Runs a relay for which the last event is `last`, until it says why events wait; none went out.
async fn waits_for_the_end(last: Value, why: &str) {
    let (lines, _here) = Lines::here();
    let (server, books) = (Server::start_without_streams().await, Books::open().await);
    books.write(1, 1, 3).await;
    let client = server.context().await.client();
    let mut offered = client.subscribe("octo.events.>").await.unwrap();
    let relay = Running::start(server.config(), &books.store);
    let told = async {
        while lines.about(why).is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let answers = [(INFO, info()), (LAST, last)];
    tokio::select! {
        () = answer(&client, &answers) => panic!("asked for something else"),
        told = tokio::time::timeout(LIMIT, told) => told.unwrap(),
    }
    relay.end().await;

    let after = "octo.events.after";
    client.publish(after, "x".into()).await.unwrap();
    let first = tokio::time::timeout(LIMIT, offered.next()).await;
    assert_eq!(first.unwrap().unwrap().subject.as_str(), after);
}

#[tokio::test]
async fn an_end_that_moves_faster_than_it_is_asked_for_is_not_built_upon() {
    let message = json!({
        "subject": "octo.events.A.t", "seq": 8, "time": "2026-01-01T00:00:01Z",
    });
    let why = "moves faster than it can be asked for";
    waits_for_the_end(json!({ "message": message }), why).await;
}

#[tokio::test]
async fn an_end_that_can_not_be_read_is_not_taken_for_an_empty_stream() {
    let error = json!({
        "code": 503, "err_code": 10008, "description": "temporarily unavailable",
    });
    let why = "cannot use the NATS stream OCTO_EVENTS: JetStream error: temporarily unavailable";
    waits_for_the_end(json!({ "error": error }), why).await;
}

#[tokio::test]
async fn a_gateway_that_ends_waits_for_no_answer_about_the_stream() {
    for answered in [&[][..], &[(INFO, info())]] {
        let (server, books) = (Server::start_without_streams().await, Books::open().await);
        let client = server.context().await.client();
        let relay = Running::start(server.config(), &books.store);
        let asked = answer(&client, answered);
        tokio::time::timeout(LIMIT, asked).await.unwrap();
        let began = Instant::now();
        relay.end().await;
        // An answer may take five seconds.
        let waited = began.elapsed();
        assert!(waited < Duration::from_secs(3), "{waited:?}");
    }
}
