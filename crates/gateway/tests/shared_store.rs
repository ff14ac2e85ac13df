//! Two gateways on one Postgres.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "the functions that the tests share"
)]

#[path = "three_gateways/database.rs"]
#[expect(dead_code, reason = "its other user looks into it more closely")]
mod database;
mod support;

use event_store::{EventStore as _, PostgresOptions, PostgresStore};
use gateway::app::App;
use gateway::config::{Config, Environment, Overrides};
use http::StatusCode;
use serde_json::{Value, json};

use database::Database;
use support::upstream::Upstream;
use support::{Gateway, types, until};

/// Both, in front of a model that answers when it is let.
async fn two(database: &Database, upstream: &Upstream) -> (Gateway, Gateway) {
    let url = upstream.url();
    let settings = [
        ("OCTO_DATABASE_URL", database.url.as_str()),
        ("LITELLM_PROXY_URL", url.as_str()),
    ];
    (
        Gateway::start(&settings).await,
        Gateway::start(&settings).await,
    )
}

/// Looks at a task until it is as it should be.
async fn seen(gateway: &Gateway, task_id: &str, good: impl Fn(&Value) -> bool) -> Value {
    let path = format!("/api/tasks/{task_id}");
    until(async || gateway.get(&path).await.json(), good).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_cancels_at_another_gateway_aborts_the_call_in_flight() {
    let database = Database::new();
    let upstream = Upstream::closed().await;
    let (here, there) = two(&database, &upstream).await;
    let task_id = here.submit("What is 2 + 2?", "k", None).await;
    upstream.waiting.acquire().await.unwrap().forget();

    let path = format!("/api/tasks/{task_id}/cancel");
    let answer = there.post(&path, &json!({})).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let again = there.post(&path, &json!({})).await;
    assert_eq!(again.status, StatusCode::CONFLICT);

    // The model never answers: it ends because it is told to.
    let ended = |view: &Value| types(view).iter().any(|kind| kind == "MODEL_CALL_FAILED");
    let view = seen(&there, &task_id, ended).await;
    assert_eq!(view["task"]["status"], "CANCELLED");
    database.wait_until_nothing_is_open().await;
    database.check_calls();
    drop((here.stop().await, there.stop().await));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_says_which_store_it_runs_on() {
    let database = Database::new();
    let upstream = Upstream::open().await;
    let (here, there) = two(&database, &upstream).await;
    let ready = here.get("/ready").await;
    assert_eq!(ready.status, StatusCode::OK);
    let checks = &ready.json()["checks"];
    assert_eq!(checks["postgres"], "ok");
    assert_eq!(checks["sqlite"], "skipped");
    let (task_id, _) = here.run_message("What is 2 + 2?", "k", None).await;
    let done = |view: &Value| view["task"]["status"] == "SUCCEEDED";
    seen(&there, &task_id, done).await;
    drop((here.stop().await, there.stop().await));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_that_fails_does_not_count_as_a_gateway() {
    let database = Database::new();
    let store = PostgresStore::open(PostgresOptions::new(&database.url).unwrap());
    let store = store.await.unwrap();
    // As a copy that was broken off leaves it.
    store.save_cursor("octo store copy", 1).await.unwrap();
    store.close().await.unwrap();
    let settings = [
        ("OCTO_DATABASE_URL", database.url.clone()),
        ("OCTOAGENT_LLM_MODE", "echo".to_owned()),
    ];
    let config = Config::load(&Environment::of_pairs(settings), &Overrides::default()).unwrap();
    let error = App::start(config).await.unwrap_err();
    assert!(error.to_string().contains("a copy that was"), "{error}");
    let alive = "SELECT count(*) FROM gateways WHERE expires_at > clock_timestamp()";
    assert_eq!(database.count(alive), 0);
}
