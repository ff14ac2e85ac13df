//! Three gateways on one Postgres, one of them killed every moment: a message is one task, whoever took it,
//! and who follows sees every event once and in order, wherever.
//!
//! `OCTO_TEST_MESSAGES` says how many messages; a few hundred unless it is set.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "the functions that the tests share"
)]

#[path = "../support/mod.rs"]
mod support;

mod clients;
mod database;
#[path = "../store_kills/dice.rs"]
#[expect(dead_code, reason = "its other user picks as well")]
mod dice;
mod followers;
mod gateways;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use clients::{Acknowledged, Clients};
use database::Database;
use dice::Dice;
use followers::Log;
use gateways::Gateways;
use support::upstream::Upstream;

fn messages() -> usize {
    let wanted = std::env::var("OCTO_TEST_MESSAGES").ok();
    wanted.map_or(400, |count| count.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_gateways_make_one_task_of_a_message_and_tell_every_follower_all_of_it() {
    let database = Database::new();
    let upstream = Upstream::open().await;
    let gateways = Arc::new(Gateways::start(&database.url, &upstream.url()).await);
    let (stop, stopped) = watch::channel(false);
    let followers = Log::follow_each(&gateways);
    let seed = Dice::new_seed();
    println!("seed {seed}");
    let mut dice = Dice::new(seed);
    let clients = Clients::new(messages(), &gateways, dice.fork());

    let mut killing = JoinSet::new();
    killing.spawn(kill_again_and_again(
        Arc::clone(&gateways),
        dice.fork(),
        stopped.clone(),
    ));
    let (acknowledged, following) = clients.run().await;
    stop.send_replace(true);
    let kills: usize = killing.join_all().await.into_iter().sum();
    assert!(kills > 0, "nothing was killed");

    database.wait_until_nothing_is_open().await;
    let followed = following.len();
    let ended = tokio::time::timeout(support::LIMIT, following.join_all()).await;
    assert!(ended.is_ok(), "a task was not followed to its end");
    let head = database.head();
    let logs = followers.up_to(head).await;
    check_keys(&acknowledged, &database);
    check_logs(&logs, &database);
    database.check_calls();
    gateways.verify(&database.url).await;
    println!(
        "{} messages ({} requests) at three gateways, {kills} kills, {} events, {} followed tasks",
        acknowledged.tasks.len(),
        acknowledged.requests,
        database.count("SELECT count(*) FROM events"),
        followed,
    );
    gateways.stop().await;
}

/// One gateway after the other, each started again at the same address.
async fn kill_again_and_again(
    gateways: Arc<Gateways>,
    mut dice: Dice,
    mut stopped: watch::Receiver<bool>,
) -> usize {
    let mut kills = 0;
    loop {
        // Every few seconds of a long run, and some times in a short one.
        let (least, more) = if messages() < 2_000 {
            (50, 300)
        } else {
            (700, 1_600)
        };
        let pause = Duration::from_millis(least) + dice.micros_below(more * 1_000);
        tokio::select! {
            _ = stopped.wait_for(|stopped| *stopped) => return kills,
            () = tokio::time::sleep(pause) => {}
        }
        gateways.kill_and_restart(kills % gateways::COUNT).await;
        kills += 1;
    }
}

/// Exactly one task a key: the one that every acknowledgement named.
fn check_keys(acknowledged: &Acknowledged, database: &Database) {
    let rows = database.rows(
        "SELECT idempotency_key, string_agg(DISTINCT task_id, ' ') FROM events
         WHERE idempotency_key IS NOT NULL GROUP BY 1",
    );
    let stored: BTreeMap<&str, &str> = rows
        .iter()
        .map(|row| row.split_once('|').unwrap())
        .collect();
    let told = acknowledged.tasks.iter();
    let told: BTreeMap<&str, &str> = told.map(|(key, task)| (&**key, &**task)).collect();
    assert_eq!(stored, told);
    let tasks = database.count("SELECT count(*) FROM tasks");
    assert_eq!(tasks, u64::try_from(told.len()).unwrap(), "a task too many");
}

/// Every follower saw the whole log: each event once, in the order of the log, and so of each task.
fn check_logs(logs: &[Vec<(u64, String)>], database: &Database) {
    let rows = database.rows("SELECT position, event_id FROM events ORDER BY position");
    let stored: Vec<(u64, String)> = rows
        .iter()
        .map(|row| {
            let (position, event_id) = row.split_once('|').unwrap();
            (position.parse().unwrap(), event_id.to_owned())
        })
        .collect();
    assert_eq!(logs.len(), gateways::COUNT);
    for (index, seen) in logs.iter().enumerate() {
        let once: HashSet<_> = seen.iter().map(|(_, event_id)| event_id).collect();
        assert_eq!(once.len(), seen.len(), "gateway {index} told one twice");
        assert!(*seen == stored, "gateway {index} told another log");
    }
}
