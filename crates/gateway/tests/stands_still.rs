//! A gateway that stands still in the middle of a call, so long that another takes it for dead.
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

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use database::Database;
use support::client::send;
use support::octo::{Octo, octo};
use support::upstream::Upstream;
use support::{LIMIT, types, until};

/// `octo` with a lease as short as it may be.
fn short_lease(dir: &TempDir, database: &Database, upstream: &Upstream) -> Command {
    let config = dir.path().join("config");
    std::fs::create_dir_all(&config).unwrap();
    std::fs::write(config.join("octo.toml"), "[storage]\nlease_s = 3\n").unwrap();
    let mut command = octo(dir.path(), &upstream.url());
    command.env("OCTO_DATABASE_URL", &database.url);
    command
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_stood_still_ends_no_call_a_second_time() {
    let database = Database::new();
    let upstream = Upstream::closed().await;
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [still, awake] = [
        Octo::serve(short_lease(&dirs[0], &database, &upstream)).await,
        Octo::serve(short_lease(&dirs[1], &database, &upstream)).await,
    ];
    let body = json!({"text": "What is 2 + 2?", "idempotency_key": "k"}).to_string();
    let headers = [("content-type", "application/json")];
    let taken = send(
        still.address,
        "POST",
        "/api/message",
        &headers,
        body.as_bytes(),
    )
    .await;
    let path = format!("/api/tasks/{}", taken.json()["task_id"].as_str().unwrap());
    let called = tokio::time::timeout(LIMIT, upstream.waiting.acquire()).await;
    called.unwrap().unwrap().forget();

    still.signal("-STOP").await;
    let closed = |view: &Value| view["task"]["status"] == "FAILED";
    let view = until(async || awake.get(&path).await, closed).await;
    let kinds = types(&view);
    assert_eq!(
        kinds
            .iter()
            .filter(|kind| *kind == "MODEL_CALL_FAILED")
            .count(),
        1
    );

    // It finds the answer of the model and the news that its task has ended, and may see either first.
    upstream.gate.add_permits(1);
    still.signal("-CONT").await;
    let view = until(async || still.get(&path).await, closed).await;
    assert_eq!(view["task"]["status"], "FAILED");
    // It ends what it has begun before it goes.
    assert_eq!(still.end().await, Some(0));

    let view = awake.get(&path).await;
    let kinds = types(&view);
    let ends = |kind: &&String| kind.starts_with("MODEL_CALL_") && *kind != "MODEL_CALL_STARTED";
    assert_eq!(kinds.iter().filter(ends).count(), 1, "{kinds:?}");
    let cost = awake.get(&format!("{path}/cost")).await;
    if kinds.iter().any(|kind| kind == "COST_CORRECTED") {
        assert_eq!(cost["total"]["cost_usd"].to_string(), "0.000006", "{cost}");
    } else {
        assert_eq!(cost["total"]["calls_without_cost"], 1, "{cost}");
    }
    assert_eq!(awake.end().await, Some(0));
    let mut verify = short_lease(&dirs[0], &database, &upstream);
    let verified = verify.args(["store", "verify"]).output().await.unwrap();
    let told = String::from_utf8_lossy(&verified.stdout);
    assert!(verified.status.success(), "{told}");
}
