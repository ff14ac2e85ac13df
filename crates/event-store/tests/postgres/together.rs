//! Several programs on one database.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use event_payloads::{Cost, TaskStatus};
use event_store::{EventStore, Follow, Followed, LogFollow, PostgresStore, RecordsQuery};
use tokio::task::JoinSet;

use crate::database::as_superuser;
use crate::events::{commit, completed, created, message, moved};
use crate::house::{House, call, in_time, seqs, verified};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_programs_append_to_the_same_tasks_without_a_gap() {
    in_time(async {
        let house = House::fresh().await;
        let stores = [house.store().await, house.store().await];
        let mut tasks = Vec::new();
        for _ in 0..4 {
            tasks.push(house.running(&stores[0]).await);
        }
        let mut writing = JoinSet::new();
        for writer in 0..16_usize {
            let store = Arc::clone(&stores[writer % 2]);
            let tasks = tasks.clone();
            writing.spawn(async move {
                for round in 0..25_usize {
                    let task_id = &tasks[(writer + round) % tasks.len()];
                    let commit = commit(task_id, vec![message("a"), message("b")]);
                    store.append(commit).await.unwrap();
                }
            });
        }
        writing.join_all().await;
        for task_id in &tasks {
            let expected: Vec<u64> = (1..=202).collect();
            assert_eq!(seqs(&stores[1], task_id).await, expected);
        }
        verified(&stores[0]).await;
        for store in stores {
            store.close().await.unwrap();
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_requests_with_one_key_at_several_programs_one_makes_a_task() {
    in_time(async {
        let house = House::fresh().await;
        let stores = [
            house.store().await,
            house.store().await,
            house.store().await,
        ];
        let mut asking = JoinSet::new();
        for request in 0..90_usize {
            let store = Arc::clone(&stores[request % 3]);
            let key = format!("message-{}", request / 3 % 10);
            let commit = commit(&house.ids.task_id(), vec![created().key(key)]);
            asking.spawn(async move {
                match store.append(commit).await {
                    Ok(recorded) => (true, recorded.into_events()[0].task_id.clone()),
                    Err(error) => (false, error.duplicate_of().unwrap().clone()),
                }
            });
        }
        let answers = asking.join_all().await;
        assert_eq!(answers.iter().filter(|(made, _)| *made).count(), 10);
        let tasks: HashSet<_> = answers.into_iter().map(|(_, task_id)| task_id).collect();
        assert_eq!(tasks.len(), 10);
        for store in stores {
            store.close().await.unwrap();
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_two_programs_end_at_once_has_one_end() {
    in_time(async {
        let house = House::fresh().await;
        let stores = [house.store().await, house.store().await];
        let task_id = house.running(&stores[0]).await;
        for _ in 0..20 {
            let call_id = call(&stores[0], &task_id).await;
            let end = || {
                commit(
                    &task_id,
                    vec![completed(&call_id, &Cost::Unavailable("none".into()))],
                )
            };
            let (one, two) = tokio::join!(stores[0].append(end()), stores[1].append(end()));
            assert_eq!(u8::from(one.is_ok()) + u8::from(two.is_ok()), 1);
        }
        verified(&stores[1]).await;
        for store in stores {
            store.close().await.unwrap();
        }
    })
    .await;
}

/// The events of a task as a follower sees them, up to the final one.
async fn followed(store: Arc<PostgresStore>, task_id: event_payloads::TaskId) -> Vec<u64> {
    let mut follow = Follow::new(store, task_id, 0);
    let mut seen = Vec::new();
    while let Some(next) = follow.next().await.unwrap() {
        if let Followed::Event(event) = next {
            seen.push(event.task_seq);
            if event.is_final() {
                break;
            }
        }
    }
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn followers_at_every_program_see_each_event_once_and_in_order() {
    in_time(async {
        let house = House::fresh().await;
        let stores = [house.store().await, house.store().await];
        let mut work = JoinSet::new();
        for at in 0..10_usize {
            let task_id = house.running(&stores[at % 2]).await;
            for store in &stores {
                let (store, task_id) = (Arc::clone(store), task_id.clone());
                work.spawn(async move { followed(store, task_id).await });
            }
            let stores = stores.clone();
            work.spawn(async move {
                for round in 0..30_usize {
                    let commit = commit(&task_id, vec![message("a")]);
                    stores[round % 2].append(commit).await.unwrap();
                }
                let end = moved(TaskStatus::Running, TaskStatus::Succeeded);
                stores[at % 2]
                    .append(commit(&task_id, vec![end]))
                    .await
                    .unwrap();
                (1..=33).collect()
            });
        }
        let expected: Vec<u64> = (1..=33).collect();
        for seen in work.join_all().await {
            assert_eq!(seen, expected);
        }
        for store in stores {
            store.close().await.unwrap();
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_of_the_log_hears_of_another_program_at_once() {
    in_time(async {
        let house = House::fresh().await;
        let (here, there) = (house.store().await, house.store().await);
        let mut log = LogFollow::new(here.clone(), 0, Vec::new());
        let task_id = house.running(&there).await;
        for seq in 1..=2 {
            let event = log.next().await.unwrap().unwrap().event;
            assert_eq!((&event.task_id, event.task_seq), (&task_id, seq));
        }
        for store in [here, there] {
            store.close().await.unwrap();
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_see_each_other_whatever_isolation_the_database_is_set_to() {
    in_time(async {
        let house = House::fresh().await;
        let name = house.sql("SELECT current_database()::text").await.remove(0);
        let sql = format!("ALTER DATABASE {name} SET default_transaction_isolation = serializable");
        as_superuser(house.database.url(), &sql).await;
        let (here, there) = (house.store().await, house.store().await);
        let task_id = house.running(&here).await;
        for _ in 0..20 {
            let append = |store: &Arc<PostgresStore>| {
                let store = Arc::clone(store);
                let commit = commit(&task_id, vec![message("a")]);
                async move { store.append(commit).await.unwrap() }
            };
            tokio::join!(append(&here), append(&there));
        }
        let expected: Vec<u64> = (1..=42).collect();
        assert_eq!(seqs(&here, &task_id).await, expected);
        verified(&here).await;
        for store in [here, there] {
            store.close().await.unwrap();
        }
    })
    .await;
}

/// Each page of a copy that made a connection of its own would prepare all statements again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pages_of_a_copy_share_a_connection_that_goes_with_it() {
    in_time(async {
        let (from, to) = (House::fresh().await, House::fresh().await);
        let source = from.store().await;
        for _ in 0..3 {
            from.running(&source).await;
        }
        let target = to.store().await;
        let tell = "CREATE TABLE told (pid INT);
             CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 INSERT INTO told VALUES (pg_backend_pid());
                 RETURN NULL; END $$;
             CREATE TRIGGER tell AFTER INSERT ON events EXECUTE FUNCTION tell()";
        as_superuser(to.database.url(), tell).await;
        for after in 0..6 {
            let page = source
                .records(RecordsQuery::Events(after), 1)
                .await
                .unwrap();
            target.take_in(page).await.unwrap();
        }
        let pids = "SELECT pid::text || ' ' || count(*)::text FROM told GROUP BY pid";
        let pids = to.sql(pids).await;
        assert_eq!(pids.len(), 1, "{pids:?}");
        let (pid, count) = pids[0].split_once(' ').unwrap();
        assert_eq!(count, "6");
        target.rebuild().await.unwrap();
        verified(&target).await;
        let still = format!("SELECT pid::text FROM pg_stat_activity WHERE pid = {pid}");
        while !to.sql(&still).await.is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        for store in [source, target] {
            store.close().await.unwrap();
        }
    })
    .await;
}
