//! A row that somebody damaged, and those beside it.

use std::time::Duration;

use event_payloads::TaskStatus;
use event_store::{EventStore, Progress, PruneQuery, StoreError};

use crate::database::{as_superuser, connected};
use crate::events::{commit, failed, message, moved};
use crate::house::{House, LOCK, call, in_time, seqs, verified};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_task_fails_its_own_commits_alone() {
    in_time(async {
        let house = House::fresh().await;
        let store = house.store().await;
        let (good, bad) = (house.running(&store).await, house.running(&store).await);
        let damage = format!("UPDATE tasks SET status = 'ODD' WHERE task_id = '{bad}'");
        as_superuser(house.database.url(), &damage).await;
        // While one commit waits for the lock, the next two gather behind it.
        let frozen = connected(house.database.url()).await;
        frozen.batch_execute("BEGIN").await.unwrap();
        frozen.batch_execute(LOCK).await.unwrap();
        let append = |task_id| store.append(commit(task_id, vec![message("a")]));
        let then = async {
            let waiting = "SELECT pid::text FROM pg_locks
                           WHERE locktype = 'advisory' AND NOT granted";
            while house.sql(waiting).await.is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            let free = async { frozen.batch_execute("COMMIT").await.unwrap() };
            let (refused, recorded, ()) = tokio::join!(append(&bad), append(&good), free);
            (refused, recorded)
        };
        let (first, (refused, recorded)) = tokio::join!(append(&good), then);
        first.unwrap();
        let error = refused.unwrap_err();
        assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
        assert_eq!(recorded.unwrap().into_events()[0].task_seq, 4);
        store.close().await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_the_database_refuses_leaves_nothing_and_holds_nobody_up() {
    in_time(async {
        let house = House::fresh().await;
        let store = house.store().await;
        let (good, bad) = (house.running(&store).await, house.running(&store).await);
        let refuse = format!(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 RAISE 'not this one'; END $$;
             CREATE TRIGGER refuse BEFORE UPDATE ON tasks FOR EACH ROW
                 WHEN (NEW.task_id = '{bad}') EXECUTE FUNCTION refuse()"
        );
        as_superuser(house.database.url(), &refuse).await;
        for seq in 3..6 {
            let error = store.append(commit(&bad, vec![message("a")])).await;
            let error = error.unwrap_err();
            assert!(matches!(error, StoreError::Database { .. }), "{error}");
            let recorded = store.append(commit(&good, vec![message("b")])).await;
            assert_eq!(recorded.unwrap().into_events()[0].task_seq, seq);
        }
        assert_eq!(seqs(&store, &bad).await, [1, 2]);
        verified(&store).await;
        store.close().await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_can_not_be_read_hides_no_other_orphan() {
    in_time(async {
        let house = House::fresh().await;
        let (here, there) = (house.store().await, house.store().await);
        let task_id = house.running(&there).await;
        let (good, bad) = (call(&there, &task_id).await, call(&there, &task_id).await);
        there.close().await.unwrap();
        let damage = format!("UPDATE model_calls SET started_at = 'x' WHERE call_id = '{bad}'");
        as_superuser(house.database.url(), &damage).await;
        let orphans = here.orphans().await.unwrap();
        let calls: Vec<_> = orphans.calls.iter().map(|call| &call.call_id).collect();
        assert_eq!(calls, [&good]);
        assert_eq!(orphans.tasks[0].task_id, task_id);
        here.close().await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_can_not_be_read_keeps_its_own_task_alone_from_being_pruned() {
    in_time(async {
        let house = House::fresh().await;
        let store = house.store().await;
        let mut tasks = Vec::new();
        for _ in 0..2 {
            let task_id = house.running(&store).await;
            let call_id = call(&store, &task_id).await;
            let end = moved(TaskStatus::Running, TaskStatus::Succeeded);
            let events = vec![failed(&call_id), end];
            store.append(commit(&task_id, events)).await.unwrap();
            tasks.push(task_id);
        }
        let (bad, good) = (&tasks[0], &tasks[1]);
        let damage = format!("UPDATE model_calls SET ended_at = 'x' WHERE task_id = '{bad}'");
        as_superuser(house.database.url(), &damage).await;
        let later = "9999-01-01T00:00:00Z".parse().unwrap();
        let pruned = store
            .prune(PruneQuery::before(later), &Progress::default())
            .await
            .unwrap();
        assert_eq!(pruned.tasks, 1);
        assert_eq!(seqs(&store, good).await, [1, 6]);
        assert_eq!(seqs(&store, bad).await, [1, 2, 3, 4, 5]);
        store.close().await.unwrap();
    })
    .await;
}
