//! Servers that are there and do not do what they should.

use std::time::Duration;

use async_nats::jetstream::Context;
use event_relay::{NatsStatus, RelayError, published};
use tokio::time::Instant;

use crate::books::Books;
use crate::reader::{check, read};
use crate::running::Running;
use crate::server::{Kind, Server};

/// A server that stands still under a relay, and more in the log than what may be on its way at once.
async fn frozen() -> (Server, Books, Running, Context) {
    let (server, books) = (Server::start().await, Books::open().await);
    let relay = Running::start(server.config(), &books.store);
    books.write(1, 1, 1).await;
    let context = server.context().await;
    read(&context, 1).await;
    server.freeze().await;
    books.write(16, 1, 25).await;
    (server, books, relay, context)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_still_waits_in_the_log_when_the_gateway_ends_goes_out() {
    let (server, books, relay, context) = frozen().await;
    // The relay is told to end first.
    tokio::join!(relay.end(), server.thaw());
    check(&read(&context, 401).await, &books.log().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stands_still_keeps_no_gateway_from_ending() {
    let (server, books, relay, context) = frozen().await;
    let began = Instant::now();
    relay.end().await;
    let waited = began.elapsed();
    assert!(
        (Duration::from_secs(3)..Duration::from_secs(4)).contains(&waited),
        "three seconds, not {waited:?}"
    );

    // What had been sent by then is seen by the next relay, and the rest goes out.
    server.thaw().await;
    let relay = Running::start(server.config(), &books.store);
    check(&read(&context, 401).await, &books.log().await);
    relay.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stood_still_for_longer_than_an_answer_may_take_has_each_event_once() {
    let (server, books, relay, context) = frozen().await;
    // An answer may take five.
    tokio::time::sleep(Duration::from_secs(6)).await;
    server.thaw().await;
    check(&read(&context, 401).await, &books.log().await);
    relay.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_wait_for_a_server_that_has_no_streams_yet() {
    let (mut server, books) = (Server::start_without_streams().await, Books::open().await);
    let error = NatsStatus::ask(&server.config()).await.unwrap_err();
    assert!(matches!(error, RelayError::Stream { .. }), "{error}");
    let message = error.to_string();
    assert!(message.contains("JetStream is on"), "{message}");

    let relay = Running::start(server.config(), &books.store);
    books.write(4, 1, 25).await;
    server.become_of(Kind::Usual).await;
    check(
        &read(&server.context().await, 100).await,
        &books.log().await,
    );
    relay.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn asking_makes_no_stream() {
    let server = Server::start().await;
    for _ in 0..2 {
        let found = NatsStatus::ask(&server.config()).await.unwrap();
        assert_eq!(found.messages, None);
        let books = Books::open().await;
        assert_eq!(published(&server.config(), &*books.store).await.unwrap(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_longer_than_the_server_takes_is_not_overtaken() {
    let (mut server, books) = (Server::start().await, Books::open().await);
    books.write(1, 1, 5).await;
    books.write_long(2_000_000).await;
    books.write(1, 1, 5).await;
    let relay = Running::start(server.config(), &books.store);
    check(
        &read(&server.context().await, 5).await,
        &books.log().await[..5],
    );
    server.become_of(Kind::ForLongMessages).await;
    check(&read(&server.context().await, 11).await, &books.log().await);
    relay.end().await;
}
