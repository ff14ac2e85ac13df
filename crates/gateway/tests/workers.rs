//! The example workers as processes: killed again and again while they count, their totals are the gateway's.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops where something is missing"
)]

#[path = "workers/pruned.rs"]
mod pruned;
mod support;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use event_payloads::{
    Actor, Cost, CostCorrected, CostSource, ModelCallCompleted, ModelCallFailed, ModelCallStarted,
    Payload, TaskCreated, TaskId, Usd,
};
use event_store::{Commit, EventStore, ManualClock, NewEvent, Parent, SqliteOptions, SqliteStore};
use serde_json::{Value, json};
use support::client::send;
use support::upstream::Upstream;
use support::{Gateway, LIMIT};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::task::JoinSet;

/// How often a worker is killed.
const KILLS: usize = 12;
const TYPES: &str =
    "MODEL_CALL_STARTED,MODEL_CALL_COMPLETED,MODEL_CALL_FAILED,COST_CORRECTED,TASK_PRUNED";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_worker_without_an_http_stack_counts_each_event_once_however_often_it_is_killed() {
    let program = tokio::task::spawn_blocking(built_example).await.unwrap();
    let state = tempfile::tempdir().unwrap();
    let file = state.path().join("costs.json");
    let (gateway, _upstream) = gateway_with_a_past().await;
    let worker = || {
        let mut worker = Command::new(&program);
        worker.arg("--state").arg(&file);
        worker
            .arg("--url")
            .arg(format!("http://{}", gateway.address));
        worker
    };
    let seen = |text: &str| serde_json::from_str::<Value>(text).unwrap()["cursor"].as_u64();
    let cursor = || seen(&std::fs::read_to_string(&file).ok()?);
    kill_while_it_counts(&gateway, &worker, &cursor, 3).await;
    let report = output_of(worker().arg("--once")).await;
    assert_totals(&gateway, &report).await;
    // All was read: nothing is counted again.
    assert_eq!(output_of(worker().arg("--once")).await, report);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_python_worker_counts_each_event_once_however_often_it_is_killed() {
    let state = tempfile::tempdir().unwrap();
    let file = state.path().join("costs.db");
    let (gateway, _upstream) = gateway_with_a_past().await;
    let worker = || python_worker(&gateway, &file);
    // Half of its life is its start.
    kill_while_it_counts(&gateway, &worker, &|| python_cursor(&file), 60).await;
    let report = python_reads_all(&gateway, &file).await;
    assert_totals(&gateway, &report).await;
    gateway.stop().await;
}

fn python() -> OsString {
    std::env::var_os("OCTO_TEST_PYTHON").unwrap_or_else(|| {
        panic!("OCTO_TEST_PYTHON is not set: run this by `cargo xtask test`, which sets it up")
    })
}

fn python_script() -> PathBuf {
    real_stack::workspace_root().join("examples/python-worker/cost_worker.py")
}

fn python_worker(gateway: &Gateway, file: &Path) -> Command {
    let mut worker = Command::new(python());
    worker.arg("-B").arg(python_script());
    worker.arg("--state").arg(file);
    worker
        .arg("--url")
        .arg(format!("http://{}", gateway.address));
    worker
}

fn python_cursor(file: &Path) -> Option<u64> {
    let books = rusqlite::Connection::open(file).unwrap();
    let row = books.query_row("SELECT cursor FROM log", [], |row| row.get::<_, i64>(0));
    row.ok().map(i64::unsigned_abs)
}

/// Lets the worker follow the log to its end, and gives its report.
async fn python_reads_all(gateway: &Gateway, file: &Path) -> String {
    let last = last_cursor(gateway).await;
    let following = quiet(python_worker(gateway, file)).spawn().unwrap();
    let caught_up = async {
        while python_cursor(file).is_none_or(|cursor| cursor < last) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LIMIT, caught_up).await.unwrap();
    drop(following);
    // Only now: a report from before its cursor was seen can be older than that.
    output_of(python_worker(gateway, file).arg("--show")).await
}

#[tokio::test]
async fn an_event_that_does_not_fit_its_schema_stops_the_python_worker_before_it_is_counted() {
    let workspace = real_stack::workspace_root();
    let schemas = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(workspace.join("crates/event-payloads/schemas")).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, schemas.path().join(path.file_name().unwrap())).unwrap();
    }
    // A schema of another time: an alias is a number there.
    let file = schemas.path().join("model_call_started.json");
    let mut schema: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    schema["properties"]["model_alias"]["type"] = json!("number");
    std::fs::write(&file, schema.to_string()).unwrap();
    let (gateway, _upstream) = gateway_with_a_past().await;
    let mut worker = Command::new(python());
    worker
        .arg("-B")
        .arg(python_script())
        .arg("--state")
        .arg(schemas.path().join("costs.db"));
    worker.arg("--schemas").arg(schemas.path());
    worker
        .arg("--url")
        .arg(format!("http://{}", gateway.address));
    let stopped = tokio::time::timeout(LIMIT, worker.kill_on_drop(true).output()).await;
    let stopped = stopped.unwrap().unwrap();
    let said = String::from_utf8(stopped.stderr).unwrap();
    assert_eq!(stopped.status.code(), Some(1), "{said}");
    assert!(
        said.contains("does not fit model_call_started.json: $.model_alias"),
        "{said}"
    );
    assert_eq!(String::from_utf8(stopped.stdout).unwrap(), "");
    gateway.stop().await;
}

#[tokio::test]
async fn the_python_worker_sends_its_key_to_no_address_that_is_not_http() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    let state = tempfile::tempdir().unwrap();
    for url in [
        format!("https://{address}"),
        address.to_string(),
        format!("http://{address}/behind"),
        "http://".to_owned(),
        "http://127.0.0.1:port".to_owned(),
    ] {
        let mut worker = Command::new(python());
        worker.arg("-B").arg(python_script()).arg("--state");
        worker.arg(state.path().join("costs.db")).arg("--url");
        worker.arg(&url).env("OCTO_GATEWAY_KEY", "hidden");
        let refused = tokio::time::timeout(LIMIT, worker.kill_on_drop(true).output()).await;
        let refused = refused.unwrap().unwrap();
        let said = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(2), "{url}: {said}");
        assert!(said.contains("--url") && said.contains(&url), "{said}");
        assert!(!said.contains("hidden"), "{said}");
    }
    let contacted = listener.accept().map(|(_, from)| from);
    assert_eq!(
        contacted.unwrap_err().kind(),
        std::io::ErrorKind::WouldBlock
    );
}

/// Calls go on while the worker is started and killed: in one round at a moment of no meaning, each time after
/// another while, in the next as soon as its cursor has moved.
async fn kill_while_it_counts(
    gateway: &Gateway,
    worker: &dyn Fn() -> Command,
    cursor: &dyn Fn() -> Option<u64>,
    step_ms: u64,
) {
    let mut behind = 0;
    for round in 0..KILLS {
        let before = cursor();
        let mut running = quiet(worker()).spawn().unwrap();
        let mut calls = calls(gateway, 10);
        let moment = async {
            correct(gateway.app.store.as_ref(), round % SEEDED, round).await;
            if round.is_multiple_of(2) {
                let spare = step_ms * u64::try_from(round).unwrap();
                tokio::time::sleep(Duration::from_millis(spare)).await;
            } else {
                moved(cursor, before).await;
            }
            running.kill().await.unwrap();
        };
        tokio::join!(async { while calls.join_next().await.is_some() {} }, moment);
        behind += usize::from(cursor().unwrap_or(0) < last_cursor(gateway).await);
    }
    assert!(behind > 0, "no kill came in the middle");
}

/// Waits until the worker has kept another cursor.
async fn moved(cursor: &dyn Fn() -> Option<u64>, before: Option<u64>) {
    let moved = async {
        while cursor().is_none_or(|now| Some(now) == before) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LIMIT, moved).await.unwrap();
}

/// Concurrent calls, each at a known cost.
fn calls(gateway: &Gateway, count: usize) -> JoinSet<()> {
    let mut calls = JoinSet::new();
    for number in 0..count {
        let address = gateway.address;
        let alias = ["planner", "router", "summarizer"][number % 3];
        let body = json!({"model": alias, "messages": [{"role": "user", "content": "2+2?"}]});
        calls.spawn(async move {
            let path = "/v1/chat/completions";
            let answer = send(address, "POST", path, &[], body.to_string().as_bytes()).await;
            assert_eq!(answer.status, 200, "{answer:?}");
        });
    }
    calls
}

async fn last_cursor(gateway: &Gateway) -> u64 {
    let (mut after, mut last) = (0, 0);
    loop {
        let path = format!("/api/events?after={after}&limit=1000&types={TYPES}");
        let page = gateway.get(&path).await.json();
        let cursor = page["events"].as_array().unwrap().last();
        last = cursor.map_or(last, |event| event["cursor"].as_u64().unwrap());
        after = page["next"].as_u64().unwrap();
        if page["caught_up"] == true {
            return last;
        }
    }
}

fn quiet(mut worker: Command) -> Command {
    worker
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    worker
}

async fn output_of(worker: &mut Command) -> String {
    let output = tokio::time::timeout(LIMIT, worker.kill_on_drop(true).output()).await;
    let output = output.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    String::from_utf8(output.stdout).unwrap()
}

/// What a worker printed is what the gateway's books say.
async fn assert_totals(gateway: &Gateway, report: &str) {
    let mut printed = BTreeMap::new();
    for line in report.lines().filter(|line| !line.starts_with("cursor")) {
        let (name, sum) = line.split_once(": ").unwrap();
        printed.insert(name.to_owned(), sum.to_owned());
    }
    let mut booked = BTreeMap::new();
    for dimension in ["alias", "day"] {
        let costs = gateway
            .get(&format!("/api/costs?group_by={dimension}"))
            .await;
        let costs = costs.json();
        assert_eq!(costs["total"]["open_calls"], 0);
        for row in costs["rows"].as_array().unwrap() {
            let sum = format!(
                "{} USD, {} calls, {} of unknown cost",
                row["cost_usd"], row["calls"], row["calls_without_cost"]
            );
            booked.insert(
                format!("{dimension} {}", row[dimension].as_str().unwrap()),
                sum,
            );
        }
    }
    assert!(booked.len() > 6, "{booked:?}");
    assert_eq!(printed, booked);
}

/// Tasks of other days.
const SEEDED: usize = 40;

/// A gateway whose books have calls of several days already: good ones, failed ones, some of unknown cost, some
/// corrected.
async fn gateway_with_a_past() -> (Gateway, Upstream) {
    let dir = tempfile::tempdir().unwrap();
    seed(&dir).await;
    let upstream = Upstream::open().await;
    let settings = [
        ("LITELLM_PROXY_URL", upstream.url()),
        ("OCTOAGENT_SSE_HEARTBEAT_INTERVAL", "0.2".to_owned()),
    ];
    let settings: Vec<(&str, &str)> = settings
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    (Gateway::start_in(dir, &settings).await, upstream)
}

async fn seed(dir: &TempDir) {
    // 2026-03-01T23:59:00Z: many calls end on another day than they began on.
    let clock = Arc::new(ManualClock::at_unix_micros(1_772_409_540_000_000));
    let database = dir.path().join("sqlite/octoagent.db");
    let options = SqliteOptions::new(database, dir.path().join("artifacts")).clock(clock.clone());
    let store = SqliteStore::open(options).await.unwrap();
    for number in 0..SEEDED {
        let begun = Commit::new(task(number))
            .event(NewEvent::new(Actor::System, created(number)))
            .event(NewEvent::new(Actor::System, started(number)));
        let begun = store.append(begun).await.unwrap().into_events();
        clock.advance_micros(90_000_000);
        let end = NewEvent::new(Actor::System, ended(number));
        let end = end.parent(Parent::Event(begun[1].event_id.clone()));
        store
            .append(Commit::new(task(number)).event(end))
            .await
            .unwrap();
        if number % 7 == 0 {
            correct(&store, number, number).await;
        }
        clock.advance_micros(7_200_000_000 - 90_000_000);
    }
    store.close().await.unwrap();
}

fn task(number: usize) -> TaskId {
    format!("seeded-{number}").parse().unwrap()
}

fn created(number: usize) -> Payload {
    Payload::TaskCreated(TaskCreated {
        title: format!("call {number}"),
        thread_id: "default".into(),
        scope_id: "chat:web:default".into(),
        channel: "web".into(),
        sender_id: "owner".into(),
        risk_level: "low".into(),
    })
}

fn started(number: usize) -> Payload {
    Payload::ModelCallStarted(ModelCallStarted {
        model_alias: ["planner", "executor", "extractor"][number % 3].into(),
        ..ModelCallStarted::default()
    })
}

fn ended(number: usize) -> Payload {
    // Down to single picodollars, which no float adds up exactly.
    let usd: Usd = format!("0.{:012}", 1 + number * number * 7_919_317)
        .parse()
        .unwrap();
    let cost = if number.is_multiple_of(5) {
        Cost::Unavailable("no price is known".into())
    } else {
        Cost::known(usd, CostSource::Proxy)
    };
    if number.is_multiple_of(4) {
        let failed = ModelCallFailed {
            error_type: "timeout".into(),
            ..ModelCallFailed::default()
        };
        return Payload::ModelCallFailed(Box::new(failed.with_cost(&cost)));
    }
    let completed = ModelCallCompleted::default().with_cost(&cost);
    Payload::ModelCallCompleted(Box::new(completed))
}

/// Says anew what the call of a seeded task cost.
async fn correct(store: &dyn EventStore, number: usize, pico: usize) {
    let call = store.calls(&task(number)).await.unwrap().remove(0);
    let correction = CostCorrected {
        call_id: call.call_id,
        cost_usd: format!("0.1{pico:011}").parse().unwrap(),
        cost_source: CostSource::PriceBook,
        previous_cost_usd: call.cost.map_or(Usd::ZERO, |pico| pico.to_usd().unwrap()),
        previous_cost_unavailable: call.cost.is_none(),
        previous_cost_source: call.cost_source,
        reason: String::new(),
        cost_breakdown: None,
    };
    let event = NewEvent::new(Actor::System, Payload::CostCorrected(Box::new(correction)));
    store
        .append(Commit::new(task(number)).event(event))
        .await
        .unwrap();
}

/// Builds the example as a user would, and says where it is.
fn built_example() -> PathBuf {
    let built = std::process::Command::new(env!("CARGO"))
        .args(["build", "--locked", "--offline", "-p", "event-payloads"])
        .args(["--example", "cost_worker", "--message-format=json"])
        .current_dir(real_stack::workspace_root())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "{said}");
    let messages = String::from_utf8(built.stdout).unwrap();
    let executable = messages.lines().find_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        let is_worker = message["target"]["name"] == "cost_worker";
        Some(Path::new(message["executable"].as_str().filter(|_| is_worker)?).to_path_buf())
    });
    executable.unwrap()
}
