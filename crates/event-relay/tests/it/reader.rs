//! What a worker on another machine would get.

use std::collections::HashMap;

use async_nats::jetstream::Context;
use async_nats::jetstream::consumer::{OrderedPullConsumer, pull};
use event_payloads::LoggedEvent;
use futures_util::StreamExt;

use crate::LIMIT;

/// One message of the stream.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) subject: String,
    pub(crate) logged: LoggedEvent,
}

/// The messages of the stream, in its order, once it has so many.
pub(crate) async fn read(context: &Context, count: usize) -> Vec<Read> {
    let all = async {
        let stream = loop {
            if let Ok(stream) = context.get_stream("OCTO_EVENTS").await {
                break stream;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        };
        let consumer = stream.create_consumer(pull::OrderedConfig::default()).await;
        let consumer: OrderedPullConsumer = consumer.unwrap();
        let messages = consumer.messages().await.unwrap();
        let messages: Vec<_> = messages.take(count).collect().await;
        messages
            .into_iter()
            .map(|message| message.unwrap())
            .map(|message| {
                let logged: LoggedEvent = serde_json::from_slice(&message.payload).unwrap();
                let headers = message.headers.as_ref().unwrap();
                let header = |name: &str| headers.get(name).unwrap().as_str().to_owned();
                assert_eq!(header("Octo-Event-Id"), logged.event.event_id.as_str());
                assert_eq!(header("Octo-Cursor"), logged.cursor.to_string());
                Read {
                    subject: message.subject.to_string(),
                    logged,
                }
            })
            .collect()
    };
    let read: Vec<Read> = tokio::time::timeout(LIMIT, all).await.unwrap();
    let info = context.get_stream("OCTO_EVENTS").await.unwrap();
    assert_eq!(
        info.cached_info().state.messages,
        count as u64,
        "nothing twice, nothing more"
    );
    read
}

/// The stream is the log: the same events in the same order.
pub(crate) fn check(read: &[Read], log: &[LoggedEvent]) {
    assert_eq!(read.len(), log.len());
    let mut last = HashMap::new();
    for (read, logged) in read.iter().zip(log) {
        assert_eq!(&read.logged, logged);
        let event = &read.logged.event;
        let seq = last
            .insert(event.task_id.clone(), event.task_seq)
            .unwrap_or(0);
        assert_eq!(event.task_seq, seq + 1, "in order within the task");
    }
}
