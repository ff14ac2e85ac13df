//! The load: clients that send, send again, cancel and follow, and remember all that they are told.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::check::{Rule, mark};
use crate::dice::Dice;
use crate::support::LIMIT;
use crate::support::client::{Answer as Response, try_send};
use crate::support::sse::{try_follow, try_open};
use crate::told::{Answer, Told};

/// How many work at once.
const CLIENTS: usize = 16;
const CHAT: &str = "/v1/chat/completions";
const ALIASES: [&str; 6] = [
    "router",
    "extractor",
    "summarizer",
    "planner",
    "executor",
    "fallback",
];
/// What `/v1` says when its store does not work.
const STORE_ERRORS: [&str; 6] = [
    "storage_full",
    "storage_busy",
    "storage_error",
    "conflict",
    "end_not_recorded",
    "lost",
];

/// How long an answer may still be on its way to a client that has to stop.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// After a request that failed: octo, or its server, is gone.
const PAUSE: Duration = Duration::from_millis(2);

/// Clients at work.
pub(crate) struct Clients {
    stop: CancellationToken,
    working: JoinSet<()>,
}

struct Client {
    address: SocketAddr,
    told: Arc<Told>,
    dice: Dice,
}

impl Clients {
    /// Lets them work until they are stopped.
    pub(crate) fn start(address: SocketAddr, told: &Arc<Told>, dice: &mut Dice) -> Self {
        let stop = CancellationToken::new();
        let mut working = JoinSet::new();
        for _ in 0..CLIENTS {
            let mut client = Client {
                address,
                told: Arc::clone(told),
                dice: dice.fork(),
            };
            let stop = stop.clone();
            working.spawn(async move {
                while !stop.is_cancelled() {
                    client.act().await;
                }
            });
        }
        Self { stop, working }
    }

    /// Lets each put its last answer down: what octo sent before it was killed is an answer too.
    pub(crate) async fn stop(mut self) {
        self.stop.cancel();
        let all = async {
            while let Some(ended) = self.working.join_next().await {
                ended.unwrap();
            }
        };
        // Who follows a task that goes on would wait for its end.
        let _ = tokio::time::timeout(LAST_WORDS, all).await;
        self.working.shutdown().await;
    }
}

impl Client {
    async fn act(&mut self) {
        match self.dice.below(100) {
            0..40 => self.message().await,
            40..55 => self.message_again().await,
            55..68 => self.call(None).await,
            68..78 => self.call_in_session().await,
            78..85 => self.streamed_call().await,
            85..90 => self.cancel().await,
            _ => self.follow().await,
        }
    }

    /// An answer, if octo lived to give it; what failed is counted.
    async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Option<Response> {
        let body = body.to_string();
        let sent = try_send(self.address, method, path, headers, body.as_bytes());
        match tokio::time::timeout(LIMIT, sent).await {
            Ok(Ok(answer)) => {
                if answer.status.is_server_error() {
                    tokio::time::sleep(PAUSE).await;
                }
                Some(answer)
            }
            Ok(Err(_)) => {
                self.cut_off().await;
                None
            }
            Err(_) => {
                let what = format!("{method} {path} had no answer for {LIMIT:?}");
                self.told.record().complain(Rule::Runs, what);
                None
            }
        }
    }

    async fn cut_off(&self) {
        self.told.record().unanswered += 1;
        tokio::time::sleep(PAUSE).await;
    }

    async fn message(&mut self) {
        let key = {
            let mut told = self.told.record();
            let key = format!("key-{}", told.tried.len());
            told.tried.push(key.clone());
            key
        };
        self.submit(key).await;
    }

    /// A key of any time, answered or not, also of before earlier kills.
    async fn message_again(&mut self) {
        let key = {
            let told = self.told.record();
            let late = self.dice.percent(50);
            let key = if late {
                self.dice.pick_late(&told.tried)
            } else {
                self.dice.pick(&told.tried)
            };
            key.cloned()
        };
        if let Some(key) = key {
            self.submit(key).await;
        }
    }

    async fn submit(&mut self, key: String) {
        let mut body = json!({"text": format!("message {key}"), "idempotency_key": key});
        if self.dice.percent(70) {
            body["model_alias"] = self.alias().into();
        }
        let Some(answer) = self.send("POST", "/api/message", &[], &body).await else {
            return;
        };
        let mut told = self.told.record();
        if !matches!(answer.status.as_u16(), 200 | 201) {
            return told.refused("POST /api/message", answer.status.as_u16(), &answer.text());
        }
        let taken = answer.json();
        let task_id = taken["task_id"].as_str().unwrap();
        told.taken(&key, task_id, taken["created"] == true);
    }

    fn alias(&mut self) -> &'static str {
        self.dice.pick(&ALIASES).unwrap()
    }

    fn question(&mut self, streamed: bool) -> Value {
        json!({
            "model": self.alias(), "stream": streamed,
            "messages": [{"role": "user", "content": "how much is the fish?"}],
        })
    }

    async fn call_in_session(&mut self) {
        // A new one now and then: one that was cancelled takes no more calls.
        let tried = self.told.record().tried.len();
        let session = format!("session-{}", tried / 40);
        self.call(Some(&session)).await;
    }

    async fn call(&mut self, session: Option<&str>) {
        let headers: Vec<_> = session
            .map(|id| ("x-octo-task-id", id))
            .into_iter()
            .collect();
        let question = self.question(false);
        let Some(response) = self.send("POST", CHAT, &headers, &question).await else {
            return;
        };
        let mut told = self.told.record();
        if let Some(task_id) = response.header("x-octo-task-id") {
            told.task(task_id);
        }
        if response.status != 200 {
            // What the upstream refuses is no fault of the books.
            let error = response.json()["error"]["code"].clone();
            if STORE_ERRORS.iter().any(|code| error == *code) {
                told.refused(CHAT, response.status.as_u16(), &response.text());
            }
            return;
        }
        let body = response.json();
        let text = body["choices"][0]["message"]["content"].as_str().unwrap();
        let answer = Answer {
            task_id: response.header("x-octo-task-id").unwrap().to_owned(),
            mark: mark(text).unwrap(),
            cost: response.header("x-octo-cost-usd").map(str::to_owned),
        };
        told.answers.push(answer);
    }

    /// Only a stream that came to its `[DONE]` is an answer.
    async fn streamed_call(&mut self) {
        let question = self.question(true);
        let Ok(mut answer) = try_open(self.address, CHAT, &[], &question).await else {
            return self.cut_off().await;
        };
        if answer.status != 200 {
            return;
        }
        let task_id = answer.header("x-octo-task-id").unwrap().to_owned();
        self.told.record().task(&task_id);
        let mut text = String::new();
        while let Some(data) = answer.next().await {
            if data == "[DONE]" {
                let mark = mark(&text).unwrap();
                let answer = Answer {
                    task_id,
                    mark,
                    cost: None,
                };
                self.told.record().answers.push(answer);
                return;
            }
            let piece: Value = serde_json::from_str(&data).unwrap();
            let piece = &piece["choices"][0]["delta"]["content"];
            text.push_str(piece.as_str().unwrap_or_default());
        }
    }

    fn late_task(&mut self) -> Option<String> {
        let told = self.told.record();
        self.dice.pick_late(&told.tasks).cloned()
    }

    async fn cancel(&mut self) {
        let Some(task_id) = self.late_task() else {
            return;
        };
        let path = format!("/api/tasks/{task_id}/cancel");
        let Some(answer) = self.send("POST", &path, &[], &json!({})).await else {
            return;
        };
        let mut told = self.told.record();
        match answer.status.as_u16() {
            200 => {
                told.cancelled.insert(task_id);
            }
            // It had ended already.
            409 => {}
            404 => told.complain(Rule::NothingLost, format!("{path}: {}", answer.text())),
            status => told.refused(&path, status, &answer.text()),
        }
    }

    /// Follows a task from where it was last seen.
    async fn follow(&mut self) {
        let Some(task_id) = self.late_task() else {
            return;
        };
        let progress = self.told.record().followed.get(&task_id).cloned();
        let progress = progress.unwrap_or_default();
        let last = progress.event_id.as_deref();
        let headers: Vec<_> = last.map(|id| ("last-event-id", id)).into_iter().collect();
        let path = format!("/api/stream/task/{task_id}");
        let Ok(mut stream) = try_follow(self.address, &path, &headers).await else {
            return self.cut_off().await;
        };
        match stream.status.as_u16() {
            200 => {}
            // All was seen already.
            204 if progress.ended => return,
            404 => {
                let what = format!("{path}: {} after a client was told of it", stream.status);
                return self.told.record().complain(Rule::NothingLost, what);
            }
            status => {
                self.told.record().refused(&path, status, "");
                return tokio::time::sleep(PAUSE).await;
            }
        }
        let mut seq = progress.seq;
        while let Some(event) = stream.event().await {
            // Pieces of an answer, and heartbeats, are not events.
            let Some(id) = event.id.as_deref() else {
                continue;
            };
            let shown = event.json();
            let mut told = self.told.record();
            let now = shown["task_seq"].as_u64().unwrap();
            if now != seq + 1 {
                let what = format!("{path}: after event {seq} came {now}");
                told.complain(Rule::NoGap, what);
            }
            seq = now;
            told.saw(&task_id, id, seq, &event.data);
        }
    }
}
