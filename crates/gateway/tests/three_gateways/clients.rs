//! Who sends messages: again and again until one gateway takes them, and some of them twice at once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use crate::dice::Dice;
use crate::followers::follow_task;
use crate::gateways::Gateways;
use crate::support::client::try_send;

const CLIENTS: usize = 24;

pub(crate) struct Clients {
    messages: usize,
    gateways: Arc<Gateways>,
    dice: Dice,
}

/// What gateways said.
#[derive(Debug, Default)]
pub(crate) struct Acknowledged {
    /// The task of each key.
    pub(crate) tasks: BTreeMap<String, String>,
    pub(crate) requests: usize,
}

/// Who follows tasks to their end, each at another gateway than the one that took it.
pub(crate) type Following = JoinSet<()>;

struct Shared {
    gateways: Arc<Gateways>,
    next: AtomicUsize,
    messages: usize,
    told: Mutex<Acknowledged>,
    following: Mutex<Following>,
}

impl Clients {
    pub(crate) fn new(messages: usize, gateways: &Arc<Gateways>, dice: Dice) -> Self {
        Self {
            messages,
            gateways: Arc::clone(gateways),
            dice,
        }
    }

    /// Returns once every message is taken. Those who follow go on: a task whose gateway was killed ends when
    /// another closes it.
    pub(crate) async fn run(mut self) -> (Acknowledged, Following) {
        let shared = Arc::new(Shared {
            gateways: self.gateways,
            next: AtomicUsize::new(0),
            messages: self.messages,
            told: Mutex::default(),
            following: Mutex::default(),
        });
        let mut running = JoinSet::new();
        for _ in 0..CLIENTS {
            running.spawn(client(Arc::clone(&shared), self.dice.fork()));
        }
        running.join_all().await;
        let shared = Arc::into_inner(shared).unwrap();
        (shared.told.into_inner(), shared.following.into_inner())
    }
}

async fn client(shared: Arc<Shared>, mut dice: Dice) {
    loop {
        let index = shared.next.fetch_add(1, Ordering::Relaxed);
        if index >= shared.messages {
            return;
        }
        let gateway = usize::try_from(dice.below(3)).unwrap();
        let key = format!("key-{index}");
        // At two gateways at the same time.
        let task = if dice.percent(20) {
            let (one, two) = tokio::join!(
                shared.submit(&key, gateway),
                shared.submit(&key, gateway + 1)
            );
            assert_eq!(one, two, "two tasks of one message");
            one
        } else {
            shared.submit(&key, gateway).await
        };
        // An earlier one again.
        if dice.percent(20) {
            let earlier = usize::try_from(dice.below(u64::try_from(index + 1).unwrap())).unwrap();
            shared.submit(&format!("key-{earlier}"), gateway + 2).await;
        }
        if dice.percent(8) {
            let gateways = Arc::clone(&shared.gateways);
            let follow = async move { follow_task(&gateways, &task, gateway + 1).await };
            shared.following.lock().await.spawn(follow);
        }
    }
}

impl Shared {
    /// Sends a message until a gateway says which task it is.
    async fn submit(&self, key: &str, mut gateway: usize) -> String {
        let body = json!({"text": format!("What is {key}?"), "idempotency_key": key});
        let body = body.to_string();
        let json = [("content-type", "application/json")];
        loop {
            let address = self.gateways.address(gateway);
            let answer = try_send(address, "POST", "/api/message", &json, body.as_bytes()).await;
            self.told.lock().await.requests += 1;
            match answer {
                Ok(answer) if answer.status.is_success() => {
                    let task = answer.json()["task_id"].as_str().unwrap().to_owned();
                    let mut told = self.told.lock().await;
                    let known = told.tasks.entry(key.to_owned()).or_insert(task.clone());
                    assert_eq!(*known, task, "{key} was another task before");
                    return task;
                }
                Ok(answer) => assert!(answer.status.is_server_error(), "{}", answer.text()),
                Err(_) => {}
            }
            // It is killed, or just starts: the next one.
            gateway += 1;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
