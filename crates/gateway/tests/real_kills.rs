//! The real proxy and the real model, killed in the middle of streams.
//!
//! A few times in every run of the tests; `cargo xtask kills --times 100` does it as often as one likes.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops where something is missing"
)]

mod support;

use real_stack::{
    Environments, LiteLlmProxy, LocalModel, ProxyConfig, ProxyOptions, workspace_root,
};
use serde_json::{Value, json};
use support::Gateway;
use support::sse::open;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

const KEY: &str = "sk-test-of-this-run";
/// Streams in flight at each kill.
const STREAMS: usize = 3;

/// How often each part is killed.
fn times() -> usize {
    let asked = std::env::var("OCTO_TEST_KILLS").ok();
    asked.map_or(2, |times| times.parse().unwrap())
}

struct Stack {
    model: LocalModel,
    proxy: LiteLlmProxy,
    gateway: Gateway,
}

impl Stack {
    async fn start() -> Self {
        let ensure = || Environments::ensure(|_| {});
        let environments = tokio::task::spawn_blocking(ensure).await.unwrap().unwrap();
        let model = LocalModel::start(&environments).await.unwrap();
        let options = ProxyOptions {
            config: ProxyConfig::File(workspace_root().join("config/litellm-local.yaml")),
            master_key: KEY.to_owned(),
            env: vec![("OCTO_LOCAL_MODEL_URL".to_owned(), model.url())],
        };
        let proxy = LiteLlmProxy::start(&environments, options).await.unwrap();
        let settings = [
            ("LITELLM_PROXY_URL", proxy.url()),
            ("LITELLM_PROXY_KEY", KEY.to_owned()),
        ];
        let settings = settings
            .each_ref()
            .map(|(name, value)| (*name, value.as_str()));
        let gateway = Gateway::start(&settings).await;
        Self {
            model,
            proxy,
            gateway,
        }
    }

    /// Opens streams and kills when so many pieces of them have come; what each of them ended with.
    async fn killed_after(&mut self, pieces: usize, kill: impl FnOnce(&mut Self)) -> Vec<String> {
        // More than any model writes before it is killed.
        self.streams(400, pieces, kill).await
    }

    /// Short answers, undisturbed.
    async fn undisturbed(&mut self) -> Vec<String> {
        self.streams(4, usize::MAX, |_| {}).await
    }

    async fn streams(
        &mut self,
        max_tokens: usize,
        pieces: usize,
        kill: impl FnOnce(&mut Self),
    ) -> Vec<String> {
        let (heard, mut hearing) = mpsc::channel(10_000);
        let mut streams = JoinSet::new();
        for index in 0..STREAMS {
            let (address, heard) = (self.gateway.address, heard.clone());
            let asked = json!({
                "model": if index % 2 == 0 { "planner" } else { "router" },
                "stream": true, "max_tokens": max_tokens, "ignore_eos": true,
                "messages": [{"role": "user", "content": "Tell me a long story."}],
            });
            streams.spawn(async move {
                let mut answer = open(address, "/v1/chat/completions", &[], &asked).await;
                if answer.status != 200 {
                    return answer.json().await.to_string();
                }
                let mut last = String::new();
                while let Some(data) = answer.next().await {
                    last = data;
                    let _ = heard.send(()).await;
                }
                last
            });
        }
        drop(heard);
        for _ in 0..pieces {
            // None if they have all ended before.
            if hearing.recv().await.is_none() {
                break;
            }
        }
        kill(self);
        let draining = async { while hearing.recv().await.is_some() {} };
        tokio::join!(streams.join_all(), draining).0
    }

    async fn total(&self) -> Value {
        self.gateway.get("/api/costs").await.json()["total"].clone()
    }

    /// Each call has exactly one end, with a cost or a reason.
    async fn check(&self, calls: usize) {
        let total = self.total().await;
        assert_eq!(
            (&total["calls"], &total["open_calls"]),
            (&json!(calls), &json!(0))
        );
        let tasks = self.gateway.get("/api/tasks").await.json();
        for task in tasks["tasks"].as_array().unwrap() {
            let task_id = task["task_id"].as_str().unwrap();
            let view = self
                .gateway
                .get(&format!("/api/tasks/{task_id}"))
                .await
                .json();
            let events = view["events"].as_array().unwrap();
            let ends: Vec<&Value> = events
                .iter()
                .filter(|event| {
                    let kind = event["type"].as_str().unwrap();
                    ["MODEL_CALL_COMPLETED", "MODEL_CALL_FAILED"].contains(&kind)
                })
                .collect();
            assert_eq!(ends.len(), 1, "{view}");
            let call = &ends[0]["payload"];
            let has_cost = call["cost_usd"].as_f64().unwrap() > 0.0;
            let has_reason =
                call["cost_unavailable"] == true || call["error_type"] == "unreachable";
            assert!(has_cost || has_reason, "{call}");
        }
    }

    async fn end(mut self) {
        self.gateway.stop().await;
        self.proxy.stop().await.unwrap();
        self.model.stop().await.unwrap();
    }
}

/// An answer that was whole before the kill came to it ends with `[DONE]`, any other with an error.
fn count_errors(endings: &[String]) -> usize {
    let errors = endings.iter().filter(|last| *last != "[DONE]");
    errors
        .map(|last| {
            let error: Value = serde_json::from_str(last).unwrap_or_else(|_| panic!("{last}"));
            assert!(error["error"]["message"].is_string(), "{error}");
        })
        .count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_killed_in_the_middle_is_an_error_and_the_next_call_is_answered() {
    let mut stack = Stack::start().await;
    let mut errors = 0;
    for round in 0..times() {
        let pieces = 1 + (round * 37) % 100;
        let endings = stack
            .killed_after(pieces, |stack| stack.model.kill().unwrap())
            .await;
        errors += count_errors(&endings);
        stack.model.restart().await.unwrap();
    }
    assert!(
        errors >= times(),
        "{errors} of {} streams were cut",
        times() * STREAMS
    );
    stack.check(times() * STREAMS).await;
    let endings = stack.undisturbed().await;
    assert_eq!(count_errors(&endings), 0, "the model is back: {endings:?}");
    eprintln!(
        "{} kills of the model, {errors} streams cut, {}",
        times(),
        stack.total().await
    );
    stack.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_killed_in_the_middle_is_an_error_and_when_it_is_back_the_next_call_is_real() {
    let mut stack = Stack::start().await;
    // A start of the proxy takes some 13 s.
    let times = times();
    let mut errors = 0;
    for round in 0..times {
        let pieces = 1 + (round * 37) % 100;
        let endings = stack
            .killed_after(pieces, |stack| stack.proxy.kill().unwrap())
            .await;
        errors += count_errors(&endings);
        stack.proxy.restart().await.unwrap();
    }
    assert!(
        errors >= times,
        "{errors} of {} streams were cut",
        times * STREAMS
    );
    stack.check(times * STREAMS).await;
    let endings = stack.undisturbed().await;
    assert_eq!(count_errors(&endings), 0, "the proxy is back: {endings:?}");
    eprintln!(
        "{times} kills of the proxy, {errors} streams cut, {}",
        stack.total().await
    );
    stack.end().await;
}
