//! Everything arrives, once, in order.

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
