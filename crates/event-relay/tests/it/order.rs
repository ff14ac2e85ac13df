//! Everything arrives, once, in order.

use async_nats::jetstream::stream::Config;
use futures_util::StreamExt;

use crate::LIMIT;
use crate::books::Books;
use crate::reader::{check, read};
use crate::running::Running;
use crate::server::Server;

#[tokio::test(flavor = "multi_thread")]
async fn every_event_of_many_writers_arrives_once_and_in_order() {
    let (server, books) = (Server::start().await, Books::open().await);
    let relay = Running::start(server.config(), &books.store);
    books.write(16, 5, 25).await;
    let read = read(&server.context().await, 2000).await;
    check(&read, &books.log().await);
    let first = &read[0].logged.event;
    assert_eq!(
        read[0].subject,
        format!("octo.events.TASK_CREATED.{}", first.task_id)
    );
    relay.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_stream_does_not_take_is_not_overtaken() {
    let (server, books) = (Server::start().await, Books::open().await);
    let context = server.context().await;
    let mut config = Config {
        name: "OCTO_EVENTS".into(),
        subjects: vec!["octo.events.>".into()],
        max_message_size: 2000,
        ..Config::default()
    };
    context.create_stream(config.clone()).await.unwrap();
    // What goes to the server, whether the stream takes it or not.
    let client = context.client();
    let mut offered = client.subscribe("octo.events.>").await.unwrap();
    books.write(4, 1, 5).await;
    books.write_long(4000).await;
    books.write(4, 1, 20).await;

    let relay = Running::start(server.config(), &books.store);
    let twice = async {
        let mut long = 0;
        while long < 2 {
            long += usize::from(offered.next().await.unwrap().payload.len() > 4000);
        }
    };
    tokio::time::timeout(LIMIT, twice).await.unwrap();
    check(&read(&context, 20).await, &books.log().await[..20]);

    config.max_message_size = -1;
    context.update_stream(config).await.unwrap();
    check(&read(&context, 101).await, &books.log().await);
    relay.end().await;
}
