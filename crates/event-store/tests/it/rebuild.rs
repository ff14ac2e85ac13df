//! Rows that something else has spoilt come right when they are computed anew.

use event_payloads::{Cost, CostSource, TaskStatus};
use event_store::EventStore;

use crate::desk::{Desk, dump};
use crate::events::{completed, failed, moved};

#[tokio::test]
async fn a_rebuild_repairs_rows() {
    let desk = Desk::new().await;
    let task_id = desk.running().await;
    let (one, two) = (desk.call(&task_id).await, desk.call(&task_id).await);
    let cost = Cost::known("0.5".parse().unwrap(), CostSource::Proxy);
    desk.append(&task_id, vec![completed(&one, &cost), failed(&two)])
        .await;
    desk.call(&task_id).await;
    let other = desk.running().await;
    desk.append(&other, vec![moved(TaskStatus::Running, TaskStatus::Failed)])
        .await;
    let sql = desk.sql();
    let rows = || ["tasks", "model_calls", "cost_sums"].map(|table| dump(&sql, table));
    let before = rows();
    for spoil in [
        "SELECT 1",
        "UPDATE tasks SET title = 'x', status = 'FAILED', pointers = 'no json', last_seq = 0, chain = NULL",
        "DELETE FROM model_calls",
        "DELETE FROM cost_sums",
        "UPDATE cost_sums SET calls = calls + 1",
    ] {
        sql.execute_batch(spoil).unwrap();
        let rebuilt = desk.store.rebuild().await.unwrap();
        assert_eq!((rebuilt.calls, rebuilt.undecodable), (3, 0));
        assert_eq!(rows(), before, "{spoil}");
    }
}
