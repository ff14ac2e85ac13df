//! What a prune asks of the database.

use std::time::Duration;

use event_payloads::TaskStatus;
use event_store::{EventStore, Progress, PruneQuery};
use tokio::task::JoinSet;

use crate::events::{commit, moved};
use crate::house::{House, in_time};

/// Rows of tasks that the stores have looked at by now. The server counts them when a connection ends.
async fn tasks_looked_at(house: &House) -> u64 {
    let open = "SELECT 'yes' FROM pg_stat_activity
                WHERE datname = current_database() AND application_name = 'octo'";
    while !house.sql(open).await.is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let looked_at = "SELECT (seq_tup_read + idx_tup_fetch)::text FROM pg_stat_user_tables
                     WHERE relname = 'tasks'";
    house.sql(looked_at).await.concat().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_task_is_looked_at_again_for_each_part_of_a_prune() {
    in_time(async {
        let house = House::fresh().await;
        let store = house.store().await;
        let task_count = 500;
        let mut ending = JoinSet::new();
        for _ in 0..task_count {
            let (store, task_id) = (store.clone(), house.running(&store).await);
            ending.spawn(async move {
                let end = moved(TaskStatus::Running, TaskStatus::Succeeded);
                store.append(commit(&task_id, vec![end])).await.unwrap();
            });
        }
        ending.join_all().await;
        store.close().await.unwrap();
        let before = tasks_looked_at(&house).await;

        let store = house.store().await;
        let all = PruneQuery::before("9999-01-01T00:00:00Z".parse().unwrap());
        let pruned = store.prune(all, &Progress::default()).await.unwrap();
        assert_eq!(pruned.tasks, task_count);
        store.close().await.unwrap();
        let each = (tasks_looked_at(&house).await - before) / task_count;
        // Twenty parts: sorting all tasks for each looks at a task twenty times.
        assert!(each < 8, "{each} times each");
    })
    .await;
}
