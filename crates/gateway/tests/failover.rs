//! The server of the books dies in the middle of commits, and a standby takes its place.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "the functions that the tests share"
)]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use event_store::{EventStore as _, PostgresOptions, PostgresStore, Progress};
use real_stack::{Postgres, Servers};
use serde_json::json;
use tokio::task::JoinSet;

use support::{Gateway, LIMIT, until};

const WRITERS: usize = 8;
/// Messages that are taken before the server dies, and again after it.
const MESSAGES: usize = 80;

/// A server, and one that confirms each of its commits.
async fn pair(servers: &Servers) -> (Postgres, Postgres) {
    let primary = Postgres::start(servers).await.unwrap();
    let standby = Postgres::standby(servers, &primary).await.unwrap();
    let follow = "alter system set synchronous_standby_names = '*'";
    primary.query(follow).unwrap();
    primary.query("select pg_reload_conf()").unwrap();
    let state = "select sync_state from pg_stat_replication";
    let look = async || primary.query(state).unwrap();
    until(look, |state| state == "sync").await;
    (primary, standby)
}

/// One URL for both: the store takes the one that takes writes.
fn url_of_both(primary: &Postgres, standby: &Postgres) -> String {
    let (first, second) = (primary.url(), standby.url());
    let (start, database) = first.rsplit_once('/').unwrap();
    let (_, host) = second.rsplit_once('@').unwrap();
    let (host, _) = host.rsplit_once('/').unwrap();
    format!("{start},{host}/{database}")
}

/// Sends a message until it is taken, as a client does that wants it done once; gives its task.
async fn insist(gateway: &Gateway, key: &str) -> String {
    loop {
        let body = json!({"text": "What is 2 + 2?", "idempotency_key": key});
        let answer = gateway.post("/api/message", &body).await;
        match answer.status.as_u16() {
            200 | 201 => return answer.json()["task_id"].as_str().unwrap().to_owned(),
            503 => tokio::time::sleep(Duration::from_millis(50)).await,
            _ => panic!("{answer:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_that_takes_over_has_every_task_once() {
    let servers = Servers::ensure(|_| ()).unwrap();
    let (mut primary, standby) = pair(&servers).await;
    let url = url_of_both(&primary, &standby);
    let settings = [
        ("OCTO_DATABASE_URL", url.as_str()),
        ("OCTOAGENT_LLM_MODE", "echo"),
    ];
    let gateway = Arc::new(Gateway::start(&settings).await);
    let taken = Arc::new(AtomicUsize::new(0));
    let mut writing = JoinSet::new();
    for writer in 0..WRITERS {
        let (gateway, taken) = (Arc::clone(&gateway), Arc::clone(&taken));
        writing.spawn(async move {
            let mut tasks = BTreeMap::new();
            for round in 0.. {
                if taken.load(Ordering::Relaxed) >= 2 * MESSAGES {
                    break;
                }
                let key = format!("{writer}-{round}");
                tasks.insert(key.clone(), insist(&gateway, &key).await);
                taken.fetch_add(1, Ordering::Relaxed);
            }
            tasks
        });
    }
    let strike = async {
        while taken.load(Ordering::Relaxed) < MESSAGES {
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
        primary.kill().unwrap();
        let before = taken.load(Ordering::Relaxed);
        assert!(before < 2 * MESSAGES, "all were taken before it died");
        tokio::task::spawn_blocking(move || {
            standby.promote().unwrap();
            standby
        })
        .await
        .unwrap()
    };
    let standby = tokio::time::timeout(LIMIT, strike).await.unwrap();
    let tasks = tokio::time::timeout(LIMIT, writing.join_all())
        .await
        .unwrap();
    let tasks: BTreeMap<String, String> = tasks.into_iter().flatten().collect();
    assert!(tasks.len() >= 2 * MESSAGES);

    let open = "select count(*) from tasks where status <> 'SUCCEEDED'";
    until(async || standby.query(open).unwrap(), |open| open == "0").await;
    let rows =
        "select idempotency_key || ' ' || task_id from events where idempotency_key is not null";
    let rows = standby.query(rows).unwrap();
    let recorded: BTreeMap<_, _> = rows
        .lines()
        .filter_map(|row| row.split_once(' '))
        .map(|(key, task)| (key.to_owned(), task.to_owned()))
        .collect();
    assert_eq!(recorded, tasks);
    let gateway = Arc::into_inner(gateway).unwrap();
    drop(gateway.stop().await);
    let store = PostgresStore::open(PostgresOptions::new(&url).unwrap());
    let store = store.await.unwrap();
    let verified = store.verify(&Progress::default()).await.unwrap();
    assert_eq!(verified.problems, Vec::<String>::new());
    assert_eq!(verified.tasks, u64::try_from(tasks.len()).unwrap());
    store.close().await.unwrap();
}
