//! Streams that are not as they were left.

use async_nats::jetstream::Context;
use async_nats::jetstream::stream::Config;
use event_relay::{NatsConfig, NatsStatus, RelayError, published};
use futures_util::StreamExt;

use crate::LIMIT;
use crate::books::Books;
use crate::reader::{check, read};
use crate::running::Running;
use crate::server::{Login, Server};

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
        for name in ["Nats-Msg-Id", "Octo-Event-Id"] {
            headers.insert(name, read.logged.event.event_id.as_str());
        }
        headers.insert("Octo-Cursor", read.logged.cursor.to_string());
        let payload = serde_json::to_vec(&read.logged).unwrap().into();
        let sent = context.publish_with_headers(read.subject.clone(), headers, payload);
        sent.await.unwrap().await.unwrap();
    }
    let has = published(&server.config(), &*books.store).await.unwrap();
    assert_eq!(has, before[59].logged.cursor);
    let relay = Running::start(server.config(), &books.store);
    check(&read(&context, 100).await, &books.log().await);
    relay.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_the_server_takes_for_a_duplicate_and_has_not_is_published() {
    let (server, books) = (Server::start().await, Books::open().await);
    let context = server.context().await;
    let stream = context.create_stream(stream("octo.>")).await.unwrap();
    books.write(1, 1, 20).await;
    let log = books.log().await;
    // A cluster does this by itself, with two relays on it: it knows the id and has not the event.
    for logged in [&log[4], &log[5], &log[11]] {
        let mut headers = async_nats::HeaderMap::new();
        headers.insert("Nats-Msg-Id", logged.event.event_id.as_str());
        let sent = context.publish_with_headers("octo.other", headers, "x".into());
        sent.await.unwrap().await.unwrap();
    }
    stream.purge().await.unwrap();
    let relay = Running::start(server.config(), &books.store);
    check(&read(&context, 20).await, &log);
    relay.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_write_to_the_stream_pushes_no_event_out() {
    let (server, books) = (Server::start().await, Books::open().await);
    let context = server.context().await;
    let stream = context.create_stream(stream("octo.>")).await.unwrap();
    books.write(16, 5, 25).await;
    let relay = Running::start(server.config(), &books.store);
    // One for each step that the relay takes: right into what it has on its way.
    let ours = async {
        let mut seen = 0;
        while seen < 2000 {
            let now = relayed(&context).await;
            if now > seen {
                let sent = context.publish("octo.other", "x".into()).await.unwrap();
                sent.await.unwrap();
            }
            seen = now;
        }
    };
    tokio::time::timeout(LIMIT, ours).await.unwrap();
    stream.purge().filter("octo.other").await.unwrap();
    check(&read(&context, 2000).await, &books.log().await);
    relay.end().await;
}

/// The cursor of the last event in the stream.
async fn relayed(context: &Context) -> u64 {
    let stream = context.get_stream("OCTO_EVENTS").await.unwrap();
    let Ok(last) = stream
        .get_last_raw_message_by_subject("octo.events.>")
        .await
    else {
        return 0;
    };
    last.headers
        .get("Octo-Cursor")
        .unwrap()
        .as_str()
        .parse()
        .unwrap()
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
        let refused = published(&server.config(), &*ours.store).await;
        assert!(matches!(refused, Err(RelayError::OtherLog { .. })));
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

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_asks_for_a_login_gets_it_and_refuses_others() {
    for login in [Login::User, Login::Token] {
        let (server, books) = (Server::start_for(login).await, Books::open().await);
        let error = NatsStatus::ask(&server.config_for(Login::Nobody)).await;
        assert!(error.is_err(), "without a login");
        let relay = Running::start(server.config(), &books.store);
        books.write(1, 1, 5).await;
        let context = server.context().await;
        check(&read(&context, 5).await, &books.log().await);
        relay.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_acknowledges_nothing_is_no_use() {
    let server = Server::start().await;
    let deaf = Config {
        no_ack: true,
        ..stream("octo.events.>")
    };
    server.context().await.create_stream(deaf).await.unwrap();
    let error = NatsStatus::ask(&server.config()).await.unwrap_err();
    assert!(matches!(error, RelayError::NoAcks { .. }), "{error}");
}
