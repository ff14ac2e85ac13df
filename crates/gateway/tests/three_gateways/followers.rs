//! Who follows, and goes on after the last event where a gateway is killed.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::gateways::{COUNT, Gateways};
use crate::support::LIMIT;
use crate::support::sse::{SseAnswer, try_follow};

/// One follower of the whole log at each gateway.
pub(crate) struct Log {
    running: JoinSet<(usize, Vec<(u64, String)>)>,
    until: watch::Sender<Option<u64>>,
}

impl Log {
    pub(crate) fn follow_each(gateways: &Arc<Gateways>) -> Self {
        let until = watch::Sender::new(None);
        let mut running = JoinSet::new();
        for index in 0..COUNT {
            running.spawn(follow_log(Arc::clone(gateways), index, until.subscribe()));
        }
        Self { running, until }
    }

    /// What each saw, once all have come to this position.
    pub(crate) async fn up_to(self, head: u64) -> Vec<Vec<(u64, String)>> {
        self.until.send_replace(Some(head));
        let mut all = tokio::time::timeout(LIMIT, self.running.join_all())
            .await
            .unwrap_or_else(|_| panic!("a follower never came to {head}"));
        all.sort();
        all.into_iter().map(|(_, seen)| seen).collect()
    }
}

/// Opens a stream, as often as it takes.
async fn stream(gateways: &Gateways, index: usize, path: &str, last: Option<&str>) -> SseAnswer {
    let mut headers = vec![("accept", "text/event-stream")];
    headers.extend(last.map(|last| ("last-event-id", last)));
    loop {
        match try_follow(gateways.address(index), path, &headers).await {
            Ok(answer) if answer.status.is_success() => return answer,
            Ok(answer) => assert!(answer.status.is_server_error(), "{}", answer.status),
            Err(_) => {}
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn follow_log(
    gateways: Arc<Gateways>,
    index: usize,
    mut until: watch::Receiver<Option<u64>>,
) -> (usize, Vec<(u64, String)>) {
    let mut seen: Vec<(u64, String)> = Vec::new();
    let mut last: Option<String> = None;
    loop {
        let mut answer = stream(&gateways, index, "/api/events", last.as_deref()).await;
        loop {
            let event = tokio::select! {
                event = answer.event() => event,
                _ = until.wait_for(|until| {
                    let reached = seen.last().map_or(0, |(cursor, _)| *cursor);
                    until.is_some_and(|until| reached >= until)
                }) => return (index, seen),
            };
            let Some(event) = event else { break };
            last = event.id.clone().or(last);
            // An id alone moves the cursor on.
            if event.data.is_empty() {
                continue;
            }
            let data = event.json();
            let id = data["event"]["event_id"].as_str().unwrap().to_owned();
            seen.push((data["cursor"].as_u64().unwrap(), id));
        }
    }
}

/// Follows a task to its end: each event once, in order, whichever gateway works on it.
pub(crate) async fn follow_task(gateways: &Gateways, task_id: &str, index: usize) {
    let path = format!("/api/stream/task/{task_id}");
    let mut last: Option<String> = None;
    let mut seq = 0;
    loop {
        let mut answer = stream(gateways, index, &path, last.as_deref()).await;
        while let Some(event) = answer.event().await {
            let Some(id) = event.id.clone() else { continue };
            let data = event.json();
            seq += 1;
            assert_eq!(data["task_seq"].as_u64(), Some(seq), "{data}");
            last = Some(id);
            if data["final"] == true {
                return;
            }
        }
    }
}
