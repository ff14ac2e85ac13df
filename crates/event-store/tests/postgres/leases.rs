//! Who works on what, and what nobody works on any more.

use std::sync::Arc;
use std::time::Duration;

use event_payloads::{Actor, Cost, Payload, TaskCreated};
use event_store::{EventStore, NewEvent, Orphans, PostgresStore};

use crate::database::as_superuser;
use crate::events::{commit, completed};
use crate::house::{House, call, in_time};

const LEASE: Duration = Duration::from_millis(900);

async fn store(house: &House) -> Arc<PostgresStore> {
    let options = house.options().lease(LEASE);
    Arc::new(PostgresStore::open(options).await.unwrap())
}

/// Looks until somebody's work is nobody's.
async fn found(store: &PostgresStore) -> Orphans {
    loop {
        let orphans = store.orphans().await.unwrap();
        if orphans != Orphans::default() {
            return orphans;
        }
        tokio::time::sleep(LEASE / 9).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_program_works_on_is_nobodys_once_it_is_closed() {
    in_time(async {
        let house = House::fresh().await;
        let (here, there) = (house.store().await, house.store().await);
        let task_id = house.running(&there).await;
        let call_id = call(&there, &task_id).await;
        assert_eq!(here.orphans().await.unwrap(), Orphans::default());
        there.close().await.unwrap();
        let orphans = here.orphans().await.unwrap();
        assert_eq!(orphans.calls[0].call_id, call_id);
        assert_eq!(orphans.tasks[0].task_id, task_id);
        here.close().await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_program_works_on_is_nobodys_once_it_is_not_heard_of() {
    in_time(async {
        let house = House::fresh().await;
        let (here, there) = (store(&house).await, store(&house).await);
        let mine = house.running(&here).await;
        call(&here, &mine).await;
        let task_id = house.running(&there).await;
        let call_id = call(&there, &task_id).await;
        // It stops without a word: its tasks end here, its row stays at the server.
        drop(there);
        let orphans = found(&here).await;
        let calls: Vec<_> = orphans.calls.iter().map(|call| &call.call_id).collect();
        assert_eq!(calls, [&call_id]);
        assert_eq!(orphans.tasks.len(), 1);
        here.close().await.unwrap();
    })
    .await;
}

/// After the database was away nobody is declared dead before he had the time to come back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_cut_off_himself_waits_a_whole_lease_before_he_judges() {
    in_time(async {
        let house = House::fresh().await;
        let (here, there) = (house.store().await, house.store().await);
        let task_id = house.running(&there).await;
        call(&there, &task_id).await;
        // As it is after both were cut off for longer than their lease.
        let cut_off = "UPDATE gateways SET expires_at = clock_timestamp() - interval '1 hour',
                                           since = clock_timestamp() - interval '2 hours'";
        as_superuser(house.database.url(), cut_off).await;
        assert_eq!(here.orphans().await.unwrap(), Orphans::default());
        // A commit makes this one known again, and only from now on does it judge.
        house.running(&here).await;
        assert_eq!(here.orphans().await.unwrap(), Orphans::default());
        let long_back = "UPDATE gateways SET since = clock_timestamp() - interval '1 hour'
                         WHERE expires_at > clock_timestamp()";
        as_superuser(house.database.url(), long_back).await;
        assert_eq!(here.orphans().await.unwrap().calls.len(), 1);
        for store in [here, there] {
            store.close().await.unwrap();
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_stood_still_and_comes_back_ends_what_nobody_ended_meanwhile() {
    in_time(async {
        let house = House::fresh().await;
        let (here, there) = (house.store().await, house.store().await);
        let task_id = house.running(&there).await;
        let (one, two) = (call(&there, &task_id).await, call(&there, &task_id).await);
        let gone = "UPDATE gateways SET expires_at = clock_timestamp() - interval '1 hour'";
        as_superuser(house.database.url(), gone).await;
        let cost = Cost::Unavailable("interrupted".into());
        here.append(commit(&task_id, vec![completed(&one, &cost)]))
            .await
            .unwrap();
        let late = there
            .append(commit(&task_id, vec![completed(&one, &cost)]))
            .await;
        assert!(late.unwrap_err().is_refusal());
        there
            .append(commit(&task_id, vec![completed(&two, &cost)]))
            .await
            .unwrap();
        // It is alive again: what it begins now is its own.
        let open = call(&there, &task_id).await;
        assert_eq!(here.open_calls().await.unwrap()[0].call_id, open);
        assert_eq!(here.orphans().await.unwrap(), Orphans::default());
        for store in [here, there] {
            store.close().await.unwrap();
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_program_is_judged_by_the_lease_that_it_asked_for() {
    in_time(async {
        let house = House::fresh().await;
        let there = {
            let options = house.options().lease(Duration::from_secs(600));
            Arc::new(PostgresStore::open(options).await.unwrap())
        };
        let task_id = house.running(&there).await;
        // It was not heard of for a minute longer than it asked for: a tenth of its lease.
        let away = "UPDATE gateways SET expires_at = clock_timestamp() - interval '1 minute'";
        as_superuser(house.database.url(), away).await;
        let here = house.store().await;
        let alive = "UPDATE gateways SET since = clock_timestamp() - interval '1 hour'";
        as_superuser(house.database.url(), alive).await;
        assert_eq!(here.orphans().await.unwrap(), Orphans::default());
        let gone = "UPDATE gateways SET expires_at = clock_timestamp() - interval '4 minutes'
                    WHERE expires_at < clock_timestamp()";
        as_superuser(house.database.url(), gone).await;
        assert_eq!(here.orphans().await.unwrap().tasks[0].task_id, task_id);
        for store in [here, there] {
            store.close().await.unwrap();
        }
    })
    .await;
}

/// Sessions stay open, and so do tasks in states that others are to leave: no look may go over all of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_look_for_orphans_reads_the_oldest_tasks_that_can_be_ended_alone() {
    in_time(async {
        let house = House::fresh().await;
        // So small a table would be read whole.
        let name = house.sql("SELECT current_database()::text").await.remove(0);
        let sql = format!("ALTER DATABASE {name} SET enable_seqscan = off");
        as_superuser(house.database.url(), &sql).await;
        let there = house.store().await;
        let task_id = house.running(&there).await;
        let session = house.ids.task_id();
        let channel = NewEvent::new(
            Actor::System,
            Payload::TaskCreated(TaskCreated {
                title: "s".to_owned(),
                thread_id: "s".to_owned(),
                scope_id: "chat:v1-session:s".to_owned(),
                channel: "v1-session".to_owned(),
                sender_id: "owner".to_owned(),
                risk_level: "low".to_owned(),
            }),
        );
        there.append(commit(&session, vec![channel])).await.unwrap();
        there.close().await.unwrap();
        let more = format!(
            "INSERT INTO tasks (task_id, created_at, updated_at, status, requester)
             SELECT '01' || lpad(number::text, 24, '0'), created_at, updated_at,
                    CASE number WHEN 0 THEN 'PAUSED' ELSE 'RUNNING' END, requester
             FROM tasks, generate_series(0, 1000) AS number WHERE task_id = '{task_id}'"
        );
        as_superuser(house.database.url(), &more).await;
        let here = house.store().await;
        let tasks = here.orphans().await.unwrap().tasks;
        assert_eq!(tasks.len(), 1000);
        assert_eq!(tasks[0].task_id.as_str(), format!("01{:024}", 1));
        assert!(!tasks.iter().any(|task| task.task_id == task_id));
        let ended = "UPDATE tasks SET status = 'FAILED' WHERE task_id < '010001'";
        as_superuser(house.database.url(), ended).await;
        let tasks = here.orphans().await.unwrap().tasks;
        assert_eq!(tasks.len(), 1);
        assert_eq!(tasks[0].task_id, task_id);
        // The counts come when the connections end.
        here.close().await.unwrap();
        let looks = "SELECT idx_scan::text FROM pg_stat_user_indexes
                     WHERE indexrelname = 'idx_tasks_unfinished' AND idx_scan > 0";
        while house.sql(looks).await.is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}
