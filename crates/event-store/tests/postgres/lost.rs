//! Connections that break, and others that stand in the way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use event_payloads::TaskStatus;
use event_store::{EventStore, Follow, PostgresStore, StoreError};
use tokio::task::JoinSet;

use crate::database::{as_superuser, connected, server};
use crate::events::{commit, message, moved};
use crate::house::{House, LOCK, in_time, seqs, verified};

/// Appends with a key of its own each time, until told to stop; gives the keys that were acknowledged.
async fn load(
    store: Arc<PostgresStore>,
    house: Arc<House>,
    writer: usize,
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
) -> Vec<String> {
    let task_id = house.running(&store).await;
    let mut acknowledged = Vec::new();
    for round in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let key = format!("{writer}-{round}");
        let commit = commit(&task_id, vec![message("a").key(key.clone()), message("b")]);
        match store.append(commit).await {
            Ok(recorded) => {
                assert_eq!(recorded.event_ids().count(), 2);
                acknowledged.push(key);
            }
            Err(error) => panic!("{error}"),
        }
        done.fetch_add(1, Ordering::Relaxed);
    }
    acknowledged
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_survive_connections_that_are_ended_under_them() {
    in_time(async {
        let house = Arc::new(House::fresh().await);
        let stores = [house.store().await, house.store().await];
        let (stop, done) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicU64::new(0)),
        );
        let mut writing = JoinSet::new();
        for writer in 0..16_usize {
            let store = Arc::clone(&stores[writer % 2]);
            writing.spawn(load(
                store,
                house.clone(),
                writer,
                stop.clone(),
                done.clone(),
            ));
        }
        // How many are open when it strikes depends on how fast the stores come back.
        let (mut round, mut ended) = (0, 0);
        while round < 25 || ended <= 50 {
            round += 1;
            // Not in step with the commits: it strikes them anywhere.
            while done.load(Ordering::Relaxed) < round * 40 {
                tokio::time::sleep(Duration::from_millis(3)).await;
            }
            ended += house.break_connections().await;
        }
        stop.store(true, Ordering::Relaxed);
        let acknowledged: Vec<String> = writing.join_all().await.concat();
        let sql = "SELECT idempotency_key FROM events WHERE idempotency_key IS NOT NULL
                   ORDER BY position";
        let mut recorded = house.sql(sql).await;
        let mut expected = acknowledged;
        recorded.sort();
        expected.sort();
        assert_eq!(recorded, expected);
        verified(&stores[0]).await;
        for store in stores {
            store.close().await.unwrap();
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_misses_nothing_over_a_lost_connection() {
    in_time(async {
        let house = House::fresh().await;
        let (here, there) = (house.store().await, house.store().await);
        let task_id = house.running(&there).await;
        let mut follow = Follow::new(here.clone(), task_id.clone(), 2);
        for seq in 3..30 {
            if seq % 5 == 0 {
                house.break_connections().await;
            }
            there
                .append(commit(&task_id, vec![message("a")]))
                .await
                .unwrap();
            let next = follow.next().await.unwrap().unwrap();
            assert_eq!(next.event().unwrap().task_seq, seq);
        }
        for store in [here, there] {
            store.close().await.unwrap();
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_waits_too_long_for_another_program_is_told_that_it_is_busy() {
    in_time(async {
        let house = House::fresh().await;
        let options = house.options().lock_timeout(Duration::from_millis(300));
        let store = PostgresStore::open(options).await.unwrap();
        let task_id = house.running(&store).await;
        // Another program that stands still in the middle of a commit.
        let frozen = connected(house.database.url()).await;
        frozen.batch_execute("BEGIN").await.unwrap();
        frozen.batch_execute(LOCK).await.unwrap();
        let end = || {
            commit(
                &task_id,
                vec![moved(TaskStatus::Running, TaskStatus::Succeeded)],
            )
        };
        let error = store.append(end()).await.unwrap_err();
        assert!(error.is_busy(), "{error}");
        assert_eq!(seqs(&store, &task_id).await, [1, 2]);
        drop(frozen);
        store.append(end()).await.unwrap();
        store.close().await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_stands_still_in_a_commit_is_thrown_out() {
    in_time(async {
        let house = House::fresh().await;
        // What the writer's session is set to can be read in it alone: a function tells.
        let options = house.options().hold_limit(Duration::from_millis(1234));
        let store = PostgresStore::open(options).await.unwrap();
        let tell = "CREATE TABLE told (what TEXT);
             CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 INSERT INTO told VALUES (current_setting('idle_in_transaction_session_timeout')),
                                         (current_setting('synchronous_commit'));
                 RETURN NULL; END $$;
             CREATE TRIGGER tell AFTER INSERT ON events EXECUTE FUNCTION tell()";
        as_superuser(house.database.url(), tell).await;
        house.running(&store).await;
        assert_eq!(house.sql("SELECT what FROM told").await, ["1234ms", "on"]);
        store.close().await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_stays_away_is_unreachable_and_then_works_again() {
    in_time(async {
        let house = House::fresh().await;
        let options = house.options().retry_for(Duration::from_millis(400));
        let store = PostgresStore::open(options).await.unwrap();
        let task_id = house.running(&store).await;
        let name = house.sql("SELECT current_database()::text").await.remove(0);
        let allow = |allowed: bool| format!("ALTER DATABASE {name} ALLOW_CONNECTIONS {allowed}");
        as_superuser(&server(), &allow(false)).await;
        let end = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
        );
        as_superuser(&server(), &end).await;
        let error = store
            .append(commit(&task_id, vec![message("a")]))
            .await
            .unwrap_err();
        assert!(
            matches!(
                error,
                StoreError::Unreachable { .. } | StoreError::InDoubt { .. }
            ),
            "{error}"
        );
        assert!(store.check().await.is_err());
        as_superuser(&server(), &allow(true)).await;
        store
            .append(commit(&task_id, vec![message("b")]))
            .await
            .unwrap();
        store.check().await.unwrap();
        verified(&store).await;
        store.close().await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_that_was_dropped_holds_no_later_one_up() {
    in_time(async {
        let house = House::fresh().await;
        let store = PostgresStore::open(house.options().readers(1))
            .await
            .unwrap();
        let task_id = house.running(&store).await;
        assert!(store.task(&task_id).await.unwrap().is_some());
        let busy = connected(house.database.url()).await;
        busy.batch_execute("BEGIN; LOCK TABLE tasks IN ACCESS EXCLUSIVE MODE")
            .await
            .unwrap();
        let waiting = "SELECT pid::text FROM pg_locks WHERE NOT granted";
        let seen = async {
            while house.sql(waiting).await.is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            task = store.task(&task_id) => panic!("{task:?}"),
            () = seen => {}
        }
        let next = tokio::time::timeout(Duration::from_secs(5), store.calls(&task_id)).await;
        assert_eq!(next.unwrap().unwrap(), []);
        drop(busy);
        store.close().await.unwrap();
    })
    .await;
}
