//! Streams that are not as they were left.

use async_nats::jetstream::stream::Config;
use event_relay::{NatsConfig, NatsStatus, RelayError};
use futures_util::StreamExt;

use crate::LIMIT;
use crate::books::Books;
use crate::reader::{check, read};
use crate::running::Running;
use crate::server::Server;

fn stream(subject: &str) -> Config {
    Config {
        name: "OCTO_EVENTS".into(),
        subjects: vec![subject.into()],
        ..Config::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_for_something_else_is_not_touched_and_events_wait() {
    let (server, books) = (Server::start().await, Books::open().await);
    let context = server.context().await;
    context.create_stream(stream("orders.>")).await.unwrap();
    let error = NatsStatus::ask(&server.config()).await.unwrap_err();
    assert!(matches!(error, RelayError::Subjects { .. }));
    assert_eq!(
        error.to_string(),
        "the NATS stream OCTO_EVENTS takes orders.>, not octo.events.>; name another stream, or add these subjects to it"
    );

    let relay = Running::start(server.config(), &books.store);
    books.write(4, 1, 25).await;
    context.update_stream(stream("octo.>")).await.unwrap();
    check(&read(&context, 100).await, &books.log().await);
    let found = NatsStatus::ask(&server.config()).await.unwrap();
    assert_eq!(found.messages, Some(100));
    relay.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_was_made_anew_gets_the_whole_log() {
    let (server, books) = (Server::start().await, Books::open().await);
    let relay = Running::start(server.config(), &books.store);
    books.write(4, 1, 25).await;
    let context = server.context().await;
    read(&context, 100).await;
    // While the relay is connected: its next event finds no stream.
    context.delete_stream("OCTO_EVENTS").await.unwrap();
    books.write(4, 1, 25).await;
    check(&read(&context, 200).await, &books.log().await);
    relay.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_was_made_anew_and_used_by_others_gets_the_whole_log() {
    let (server, books) = (Server::start().await, Books::open().await);
    let relay = Running::start(server.config(), &books.store);
    books.write(4, 1, 25).await;
    let context = server.context().await;
    read(&context, 100).await;
    relay.end().await;

    // Longer than the old one was, so its length does not tell that it is new.
    context.delete_stream("OCTO_EVENTS").await.unwrap();
    let stream = context.create_stream(stream("octo.>")).await.unwrap();
    for _ in 0..150 {
        let sent = context.publish("octo.other", "x".into()).await.unwrap();
        sent.await.unwrap();
    }
    stream.purge().await.unwrap();
    let relay = Running::start(server.config(), &books.store);
    check(&read(&context, 100).await, &books.log().await);
    relay.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_lost_its_end_gets_it_again() {
    let (server, books) = (Server::start().await, Books::open().await);
    let relay = Running::start(server.config(), &books.store);
    books.write(4, 1, 25).await;
    let context = server.context().await;
    let before = read(&context, 100).await;
    relay.end().await;

    // As after a power cut: a stream of that name with the first 60 of the messages.
    context.delete_stream("OCTO_EVENTS").await.unwrap();
    context
        .create_stream(stream("octo.events.>"))
        .await
        .unwrap();
    for read in &before[..60] {
        let mut headers = async_nats::HeaderMap::new();
        headers.insert("Nats-Msg-Id", read.logged.event.event_id.as_str());
        headers.insert("Octo-Cursor", read.logged.cursor.to_string());
        let payload = serde_json::to_vec(&read.logged).unwrap().into();
        let sent = context.publish_with_headers(read.subject.clone(), headers, payload);
        sent.await.unwrap().await.unwrap();
    }
    let relay = Running::start(server.config(), &books.store);
    check(&read(&context, 100).await, &books.log().await);
    relay.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_messages_removed_by_hand_do_not_stop_the_rest() {
    let (server, books) = (Server::start().await, Books::open().await);
    let relay = Running::start(server.config(), &books.store);
    books.write(1, 1, 10).await;
    let context = server.context().await;
    read(&context, 10).await;
    // Without a graceful end nothing is kept in the store yet, and the server knows the ids still.
    relay.abort().await;
    let stream = context.get_stream("OCTO_EVENTS").await.unwrap();
    for sequence in 8..=10 {
        stream.delete_message(sequence).await.unwrap();
    }
    let relay = Running::start(server.config(), &books.store);
    books.write(1, 1, 5).await;
    let read = read(&context, 12).await;
    let log = books.log().await;
    assert!(read[7..].iter().map(|read| &read.logged).eq(&log[10..]));
    relay.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_copy_of_another_log_is_left_alone() {
    let server = Server::start().await;
    let (ours, theirs) = (Books::open().await, Books::open().await);
    let relay = Running::start(server.config(), &theirs.store);
    theirs.write(1, 1, 10).await;
    let context = server.context().await;
    read(&context, 10).await;
    relay.end().await;

    // Fewer events than the stream has, then more.
    for _ in 0..2 {
        ours.write(1, 1, 8).await;
        let client = context.client();
        let questions = client.subscribe("$JS.API.STREAM.MSG.GET.OCTO_EVENTS").await;
        let relay = Running::start(server.config(), &ours.store);
        // Asked, found wrong, connected and asked again.
        let two = questions.unwrap().take(2).count();
        assert_eq!(tokio::time::timeout(LIMIT, two).await.unwrap(), 2);
        relay.end().await;
        check(&read(&context, 10).await, &theirs.log().await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_is_named_without_its_password() {
    let place = Server::place();
    let url = place.config().servers().replace("//", "//octo:hidden@");
    let error = NatsStatus::ask(&NatsConfig::new(&url).unwrap())
        .await
        .unwrap_err();
    let message = error.to_string();
    assert!(message.contains(&place.config().servers()), "{message}");
    assert!(message.contains("OCTO_NATS_URL"), "{message}");
    assert!(
        !format!("{error:?}{message}").contains("hidden"),
        "{error:?}"
    );
}
