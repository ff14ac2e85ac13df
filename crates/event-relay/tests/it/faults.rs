//! Servers and relays that go away.

use std::time::Duration;

use event_relay::{RelayError, published};

use crate::books::Books;
use crate::reader::{check, read};
use crate::running::Running;
use crate::server::Server;

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_again_and_again_and_down_at_the_start_loses_nothing() {
    let (mut server, books) = (Server::place(), Books::open().await);
    let relay = Running::start(server.config(), &books.store);
    books.write(4, 2, 25).await;
    let refused = published(&server.config(), &*books.store).await;
    assert!(matches!(refused, Err(RelayError::Connect { .. })));
    for _ in 0..5 {
        server.up().await;
        let kill = async {
            // Somewhere in the middle: what is there by then differs from run to run, the outcome does not.
            tokio::time::sleep(Duration::from_millis(40)).await;
            server.kill().await;
        };
        tokio::join!(books.write(16, 2, 10), kill);
    }
    server.up().await;
    let read = read(&server.context().await, 200 + 5 * 320).await;
    check(&read, &books.log().await);
    relay.end().await;
    let published = published(&server.config(), &*books.store).await.unwrap();
    assert_eq!(published, *books.store.head().borrow());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_relays_on_one_store_publish_one_log() {
    let (server, books) = (Server::start().await, Books::open().await);
    let one = Running::start(server.config(), &books.store);
    let other = Running::start(server.config(), &books.store);
    books.write(16, 5, 25).await;
    let read = read(&server.context().await, 2000).await;
    check(&read, &books.log().await);
    tokio::join!(one.end(), other.end());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_relay_goes_on_where_another_was_killed() {
    let (server, books) = (Server::start().await, Books::open().await);
    let writing = books.write(16, 5, 25);
    let relaying = async {
        for _ in 0..8 {
            let relay = Running::start(server.config(), &books.store);
            tokio::time::sleep(Duration::from_millis(20)).await;
            relay.abort().await;
        }
        Running::start(server.config(), &books.store)
    };
    let ((), relay) = tokio::join!(writing, relaying);
    let read = read(&server.context().await, 2000).await;
    check(&read, &books.log().await);
    relay.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_ends_publishes_what_is_in_the_log_and_keeps_how_far_it_is() {
    let (server, books) = (Server::start().await, Books::open().await);
    let relay = Running::start(server.config(), &books.store);
    let context = server.context().await;
    books.write(1, 1, 1).await;
    read(&context, 1).await;
    books.write(16, 1, 25).await;
    relay.end().await;
    check(&read(&context, 401).await, &books.log().await);
    let has = || async { published(&server.config(), &*books.store).await.unwrap() };
    assert_eq!(has().await, 401);

    // Nothing of it comes again, although the stream no longer says so.
    let stream = context.get_stream("OCTO_EVENTS").await.unwrap();
    stream.purge().await.unwrap();
    assert_eq!(has().await, 401, "it had them");
    let relay = Running::start(server.config(), &books.store);
    books.write(1, 1, 3).await;
    let read = read(&context, 3).await;
    assert_eq!(read[0].logged, books.log().await[401]);
    relay.end().await;
}
