//! A store that is read as it was at one moment.

use std::sync::Arc;
use std::time::Duration;

use event_store::{EventStore, PostgresStore, RecordsQuery, StoreError};
use tokio::task::JoinSet;

use crate::events::{commit, message};
use crate::house::{House, in_time, seqs};

async fn at_a_moment(house: &House) -> Arc<PostgresStore> {
    let store = PostgresStore::open_at_a_moment(house.options()).await;
    Arc::new(store.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_recorded_later_is_not_seen() {
    in_time(async {
        let house = House::fresh().await;
        let store = house.store().await;
        let task_id = house.running(&store).await;
        let then = at_a_moment(&house).await;
        let more = commit(&task_id, vec![message("a")]);
        store.append(more).await.unwrap();
        let later = house.running(&store).await;
        // Also on connections that are made by now, and in reads of several questions.
        let mut reads = JoinSet::new();
        for _ in 0..8 {
            let (then, task_id) = (Arc::clone(&then), task_id.clone());
            reads.spawn(async move { seqs(&then, &task_id).await });
        }
        for seqs in reads.join_all().await {
            assert_eq!(seqs, [1, 2]);
        }
        let view = then.overview().await.unwrap();
        assert_eq!((view.tasks, view.events), (1, 2));
        assert_eq!(then.task(&later).await.unwrap(), None);
        let page = then.records(RecordsQuery::Events(0), 9).await.unwrap();
        assert_eq!(page.len(), 2);
        assert_eq!(seqs(&store, &task_id).await, [1, 2, 3]);
        let refused = then.append(commit(&task_id, vec![message("b")])).await;
        assert!(matches!(refused, Err(StoreError::ReadOnly)), "{refused:?}");
        then.close().await.unwrap();
        store.close().await.unwrap();
    })
    .await;
}

/// A copy would be half of this moment and half of another one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_its_connections_the_moment_is_gone_and_not_another_one() {
    in_time(async {
        let house = House::fresh().await;
        let store = house.store().await;
        let task_id = house.running(&store).await;
        store.close().await.unwrap();
        let then = at_a_moment(&house).await;
        assert_eq!(seqs(&then, &task_id).await, [1, 2]);
        house.break_connections().await;
        let still = "SELECT pid::text FROM pg_stat_activity
                     WHERE datname = current_database() AND application_name = 'octo'";
        while !house.sql(still).await.is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let lost = then.events(&task_id, 0, 9).await.unwrap_err();
        assert!(lost.is_unreachable(), "{lost}");
        then.close().await.unwrap();
    })
    .await;
}
