//! What a call costs, on the real parts: what LiteLLM Proxy says, what our price book computes, and what octo
//! writes down.
//!
//! Each case is asked of the proxy itself and then through octo, plain and streamed. The table that comes of
//! it is `snapshots/real_costs__table.snap`; after a change that is meant, or with another LiteLLM, run this with
//! `INSTA_UPDATE=always` and review it. `cargo xtask integration` sets up what is needed.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops where something is missing"
)]

mod support;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Json;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use cost_tracker::{CallType, PriceBook, Priced, parse_billable};
use event_payloads::Usd;
use gateway::config::{Config, Environment, Overrides};
use real_stack::{Environments, LiteLlmProxy, ProxyConfig, ProxyOptions};
use serde_json::{Value, json};
use support::client::{Answer, send};
use support::{Gateway, payload};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

const KEY: &str = "sk-test-of-this-run";

/// Every call here is a chat.
const CALL: CallType = CallType::Generation;

/// Where the shared model is; without it, how to get it.
fn model_url() -> String {
    std::env::var("OCTO_TEST_MODEL_URL").unwrap_or_else(|_| panic!("OCTO_TEST_MODEL_URL is not set: the real parts are missing. Run `cargo xtask test`, or `cargo xtask integration` for these tests alone"))
}

/// A model with a custom price is in no other group: the proxy keeps such a price under the model's name. The dead
/// model costs something else than its spare. The real one takes nothing out of its cache, or the same question
/// would not cost the same again. Of a price of 0 the proxy says as little as of none.
const GROUPS: &str = r#"
  - {model_name: mocked, litellm_params: {model: openai/gpt-4o-mini, api_key: none, mock_response: "Four."}}
  - {model_name: plain, litellm_params: {<<: &scripted {api_base: "PROVIDER", api_key: none}, model: openai/gpt-4o-mini}}
  - {model_name: cached, litellm_params: {<<: *scripted, model: openai/gpt-4.1-mini}}
  - {model_name: custom, litellm_params: {<<: [*scripted, &custom {input_cost_per_token: 0.000003, output_cost_per_token: 0.000007}], model: openai/house-model}}
  - {model_name: custom-cached, litellm_params: {<<: [*scripted, *custom], model: openai/house-cached, cache_read_input_token_cost: 0.000001}}
  - {model_name: custom-uncached, litellm_params: {<<: [*scripted, *custom], model: openai/house-uncached}}
  - {model_name: custom-known, litellm_params: {<<: [*scripted, *custom], model: openai/gpt-4.1}}
  - {model_name: custom-known-cached, litellm_params: {<<: [*scripted, *custom], model: openai/gpt-4o-2024-08-06}}
  - {model_name: custom-zero, litellm_params: {<<: *scripted, model: openai/gpt-4-turbo, input_cost_per_token: 0, output_cost_per_token: 0}}
  - {model_name: custom-real, litellm_params: {<<: *custom, model: openai/gemma-3-270m, api_key: none, api_base: os.environ/OCTO_LOCAL_MODEL_URL, extra_body: {cache_prompt: false}}}
  - {model_name: unpriced, litellm_params: {<<: *scripted, model: openai/nobody-knows-me}}
  - {model_name: dead, litellm_params: {model: openai/gpt-4o, api_key: none, api_base: "http://127.0.0.1:9/v1", max_retries: 0}}
  - {model_name: spare, litellm_params: {<<: *scripted, model: openai/gpt-4.1-nano}}
"#;

/// One way in which a call is priced.
struct Case {
    /// The group that is asked for.
    group: &'static str,
    /// The model that answers, of the provider `openai`.
    model: &'static str,
    /// Of the scripted provider's 1000 input tokens, those out of its cache.
    cached: u64,
}

const fn case(group: &'static str, model: &'static str, cached: u64) -> Case {
    Case {
        group,
        model,
        cached,
    }
}

const CASES: [Case; 12] = [
    case("mocked", "gpt-4o-mini", 0),
    case("plain", "gpt-4o-mini", 0),
    case("cached", "gpt-4.1-mini", 600),
    case("custom", "house-model", 0),
    case("custom-cached", "house-cached", 600),
    case("custom-uncached", "house-uncached", 600),
    case("custom-known", "gpt-4.1", 0),
    case("custom-known-cached", "gpt-4o-2024-08-06", 600),
    case("custom-zero", "gpt-4-turbo", 0),
    case("custom-real", "gemma-3-270m", 0),
    case("unpriced", "nobody-knows-me", 0),
    case("dead", "gpt-4.1-nano", 0),
];

impl Case {
    /// The question says what usage the scripted provider states.
    fn body(&self, streamed: bool) -> Value {
        let usage = json!({
            "prompt_tokens": 1000, "completion_tokens": 200, "total_tokens": 1200,
            "prompt_tokens_details": {"cached_tokens": self.cached},
        });
        let messages = json!([{"role": "user", "content": usage.to_string()}]);
        let mut body = json!({"model": self.group, "messages": messages, "max_tokens": 1});
        if streamed {
            body["stream"] = true.into();
            body["stream_options"] = json!({"include_usage": true});
        }
        body
    }
}

/// A provider that states the usage it was asked for.
async fn provider() -> (SocketAddr, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let routes = axum::Router::new().route("/v1/chat/completions", post(stated));
    let mut server = JoinSet::new();
    server.spawn(async move { axum::serve(listener, routes).await.unwrap() });
    (address, server)
}

async fn stated(Json(body): Json<Value>) -> Response {
    let asked = body["messages"][0]["content"].as_str().unwrap();
    let usage: Value = serde_json::from_str(asked).unwrap();
    let mut answer = json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 1_795_511_075, "model": body["model"]});
    let said = json!({"role": "assistant", "content": "Four."});
    if body["stream"] != true {
        answer["choices"] = json!([{"index": 0, "message": said, "finish_reason": "stop"}]);
        answer["usage"] = usage;
        return Json(answer).into_response();
    }
    answer["object"] = "chat.completion.chunk".into();
    let mut events = String::new();
    let end = json!({"index": 0, "delta": {}, "finish_reason": "stop"});
    for choice in [json!({"index": 0, "delta": said}), end] {
        answer["choices"] = json!([choice]);
        write!(events, "data: {answer}\n\n").unwrap();
    }
    answer["choices"] = json!([]);
    answer["usage"] = usage;
    write!(events, "data: {answer}\n\ndata: [DONE]\n\n").unwrap();
    ([("content-type", "text/event-stream")], events).into_response()
}

/// A proxy with these groups, which never asks twice.
async fn own_proxy(provider: SocketAddr) -> LiteLlmProxy {
    let environments = tokio::task::spawn_blocking(|| Environments::ensure(|_| {}))
        .await
        .unwrap()
        .unwrap();
    let groups = GROUPS.replace("PROVIDER", &format!("http://{provider}/v1"));
    let settings = "litellm_settings: {telemetry: false, num_retries: 0, fallbacks: [{dead: [spare]}]}\nrouter_settings: {num_retries: 0, allowed_fails: 1000000}\ngeneral_settings: {master_key: os.environ/LITELLM_MASTER_KEY}\n";
    let options = ProxyOptions {
        config: ProxyConfig::Yaml(format!("model_list:{groups}{settings}")),
        master_key: KEY.to_owned(),
        env: vec![("OCTO_LOCAL_MODEL_URL".to_owned(), model_url())],
    };
    LiteLlmProxy::start(&environments, options).await.unwrap()
}

/// A gateway in front of it, where each group is an alias of its own name.
async fn gateway_for(proxy: &LiteLlmProxy) -> Gateway {
    let dir = tempfile::tempdir().unwrap();
    let settings = dir.path().join("octo.toml");
    let aliases = CASES.map(|Case { group, .. }| {
        format!("[[alias]]\nname = \"{group}\"\ncategory = \"main\"\nruntime_group = \"{group}\"\ndescription = \"\"\n")
    });
    std::fs::write(&settings, aliases.concat()).unwrap();
    let environment = Environment::of_pairs([
        (
            "OCTOAGENT_DATA_DIR",
            dir.path().to_str().unwrap().to_owned(),
        ),
        ("OCTO_LISTEN", "127.0.0.1:0".to_owned()),
        ("LITELLM_PROXY_URL", proxy.url()),
        ("LITELLM_PROXY_KEY", KEY.to_owned()),
    ]);
    let overrides = Overrides {
        config: Some(settings),
        listen: None,
    };
    let config = Config::load(&environment, &overrides).unwrap();
    Gateway::start_with(dir, config).await
}

/// Asks for a chat, whole or streamed; gives the answer and its usage.
async fn ask(address: SocketAddr, task: &str, body: &Value) -> (Answer, Value) {
    let key = format!("Bearer {KEY}");
    let headers = [
        ("authorization", key.as_str()),
        ("content-type", "application/json"),
        ("x-octo-task-id", task),
    ];
    let sent = body.to_string();
    let path = "/v1/chat/completions";
    let answer = send(address, "POST", path, &headers, sent.as_bytes()).await;
    assert_eq!(answer.status, 200, "{task}: {answer:?}");
    let text = answer.text();
    let last = match text.strip_suffix("\n\ndata: [DONE]\n\n") {
        Some(stream) => stream.rsplit("data: ").next().unwrap(),
        None => &text,
    };
    let last: Value = serde_json::from_str(last).unwrap();
    assert!(last["usage"].is_object(), "{task}: {text}");
    let usage = last["usage"].clone();
    (answer, usage)
}

/// The proxy's own word on what its answer cost, as it writes it.
fn proxys_word(answer: &Answer, usage: &Value) -> Option<String> {
    let in_usage = (!usage["cost"].is_null()).then(|| usage["cost"].to_string());
    match answer.header("x-litellm-response-cost") {
        Some(text) if text != "None" => Some(text.to_owned()),
        _ => in_usage,
    }
}

/// The map, and before it what was set at the proxy for its own models.
async fn book(gateway: &Gateway) -> Arc<PriceBook> {
    gateway.app.proxy.as_ref().unwrap().price_book().await
}

/// What the event has to hold, by the rule: a figure of the proxy above 0 counts, with drift where ours is more
/// than 1 % off; else ours; else the cost is not known.
fn meant(theirs: Option<Usd>, ours: Option<Usd>) -> Value {
    let reported = theirs.filter(|theirs| !theirs.is_zero());
    let (usd, source) = match (reported, ours) {
        (Some(theirs), _) => (theirs.rounded(), "proxy"),
        (None, Some(ours)) => (ours.rounded(), "price_book"),
        (None, None) => (Usd::ZERO, "none"),
    };
    let drift = theirs.zip(ours).filter(|(theirs, ours)| {
        let larger = (*theirs).max(*ours).as_decimal();
        theirs.abs_diff(*ours).as_decimal() * rust_decimal::Decimal::ONE_HUNDRED > larger
    });
    json!({
        "cost_usd": usd,
        "cost_source": source,
        "cost_drift": drift.map(|(theirs, ours)| json!({"proxy_usd": theirs, "price_book_usd": ours})),
        "cost_unavailable": source == "none",
    })
}

const fn answer_kind(streamed: bool) -> &'static str {
    if streamed { "stream" } else { "whole" }
}

/// What one question came to.
struct Outcome {
    theirs: Option<String>,
    ours: Option<Priced>,
    event: Value,
}

/// Asks the proxy, then octo, and holds what octo wrote down against both.
async fn run(case: &Case, streamed: bool, proxy: &LiteLlmProxy, gateway: &Gateway) -> Outcome {
    let task = format!("{}-{}", case.group, answer_kind(streamed));
    let body = case.body(streamed);
    let proxy = proxy.url().trim_start_matches("http://").parse().unwrap();
    let (direct, stated) = ask(proxy, &task, &body).await;
    let theirs = proxys_word(&direct, &stated);
    let usage = parse_billable(&stated, CALL).unwrap();
    let ours = book(gateway)
        .await
        .price_call(Some("openai"), case.model, &usage)
        .ok();

    let (answer, stated_again) = ask(gateway.address, &task, &body).await;
    assert_eq!(
        stated_again, stated,
        "{task}: the same call, the same usage"
    );
    let view = gateway.get(&format!("/api/tasks/{task}")).await.json();
    let event = payload(&view, "MODEL_CALL_COMPLETED");
    let mut meant = meant(
        theirs.as_deref().map(|text| text.parse().unwrap()),
        ours.as_ref().map(|ours| ours.total),
    );
    meant["provider"] = "openai".into();
    meant["model_name"] = case.model.into();
    meant["is_fallback"] = false.into();
    let fallbacks = (case.group == "dead").then_some(1);
    meant["attempted_fallbacks"] = fallbacks.into();
    meant["token_usage"] = json!(usage.tokens);
    for (field, value) in meant.as_object().unwrap() {
        assert_eq!(&event[field], value, "{task}: {field} in {event}");
    }
    // A stream's head goes out before it has a cost.
    let header = answer.header("x-octo-cost-usd").map(str::to_owned);
    let is_said = !streamed && event["cost_unavailable"] == false;
    assert_eq!(
        header,
        is_said.then(|| event["cost_usd"].to_string()),
        "{task}"
    );
    check_breakdown(event, ours.as_ref());
    check_report(gateway, &task, event).await;
    Outcome {
        theirs,
        ours,
        event: event.clone(),
    }
}

/// The breakdown is that of the price book, and its lines add up.
fn check_breakdown(event: &Value, ours: Option<&Priced>) {
    let breakdown = ours.map(|ours| ours.breakdown(CALL));
    assert_eq!(event["cost_breakdown"], json!(breakdown), "{event}");
    let Some(breakdown) = breakdown else { return };
    let amounts = breakdown.lines.iter().map(|line| line.amount_usd);
    let sum = amounts.reduce(|sum, amount| sum.checked_add(amount).unwrap());
    assert_eq!(sum, Some(breakdown.total_usd), "{event}");
}

/// The report of the task says what its one event says.
async fn check_report(gateway: &Gateway, task: &str, event: &Value) {
    let report = gateway.get(&format!("/api/tasks/{task}/cost")).await.json();
    let (total, call) = (&report["total"], &report["calls"][0]);
    let drifts = !event["cost_drift"].is_null();
    let unknown = event["cost_unavailable"] == true;
    assert_eq!(total["calls"], 1, "{report}");
    assert_eq!(total["cost_usd"], event["cost_usd"], "{report}");
    assert_eq!(total["drift_calls"], u8::from(drifts), "{report}");
    assert_eq!(total["calls_without_cost"], u8::from(unknown), "{report}");
    assert_eq!(call["cost_drift"], drifts, "{report}");
    for field in ["cost_usd", "cost_source", "cost_unavailable"] {
        assert_eq!(call[field], event[field], "{report}");
    }
    let reason = event["cost_unavailable_reason"]
        .as_str()
        .unwrap_or_default();
    assert_eq!(call["cost_unavailable_reason"], reason, "{report}");
}

/// The columns of the table.
const COLUMNS: &str = "case|answer|proxy says|book says|event: usd|source|drift|unavailable";

/// The table that a reader looks at, and under it how our figures are made up.
#[derive(Default)]
struct Table {
    rows: String,
    sums: BTreeSet<String>,
}

impl Table {
    fn row<'a>(&mut self, cells: impl IntoIterator<Item = &'a str>) {
        let widths = [19, 7, 23, 11, 11, 11, 6, 0];
        for (cell, width) in cells.into_iter().zip(widths) {
            write!(self.rows, "{cell:width$} ").unwrap();
        }
        self.rows.truncate(self.rows.trim_end().len());
        self.rows.push('\n');
    }

    fn add(&mut self, case: &Case, streamed: bool, outcome: &Outcome) {
        let Outcome {
            theirs,
            ours,
            event,
        } = outcome;
        let total = ours.as_ref().map(|ours| ours.total.to_string());
        let has_drift = !event["cost_drift"].is_null();
        self.row([
            case.group,
            answer_kind(streamed),
            theirs.as_deref().unwrap_or("-"),
            total.as_deref().unwrap_or("-"),
            &event["cost_usd"].to_string(),
            event["cost_source"].as_str().unwrap(),
            if has_drift { "drift" } else { "-" },
            event["cost_unavailable_reason"].as_str().unwrap_or("-"),
        ]);
        let Some(ours) = ours else { return };
        let mut sum = format!("{:19} {} =", case.group, ours.total);
        for (index, line) in ours.lines.iter().enumerate() {
            let (plus, dimension) = (if index > 0 { " +" } else { "" }, line.dimension.as_str());
            write!(
                sum,
                "{plus} {} {dimension} × {}",
                line.quantity, line.unit_price
            )
            .unwrap();
        }
        self.sums.insert(format!("{sum} ({})\n", ours.key));
    }

    fn text(self) -> String {
        let sums: String = self.sums.into_iter().collect();
        format!("{}\nThe book's figures:\n{sums}", self.rows)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_event_holds_what_the_proxy_says_and_what_the_price_book_computes() {
    let (address, _provider) = provider().await;
    let mut proxy = own_proxy(address).await;
    let gateway = gateway_for(&proxy).await;
    let mut table = Table::default();
    table.row(COLUMNS.split('|'));
    for case in CASES {
        for streamed in [false, true] {
            let outcome = run(&case, streamed, &proxy, &gateway).await;
            table.add(&case, streamed, &outcome);
        }
    }
    insta::assert_snapshot!("table", table.text());
    gateway.stop().await;
    proxy.stop().await.unwrap();
}
