//! A clock that jumps back.

use std::sync::Arc;

use event_payloads::{LoggedEvent, Timestamp};
use event_store::LogFollow;

use crate::events::{created, message};
use crate::house::{House, NOON};

const DAY: i64 = 86_400_000_000;

pub(crate) async fn a_clock_that_jumps_back_a_day_changes_dates_alone(house: &House) {
    let desk = house.open().await;
    let (one, two) = (desk.ids.task_id(), desk.ids.task_id());
    let mut log = LogFollow::new(Arc::clone(&desk.store), 0, Vec::new());
    let times = [
        NOON,
        NOON + 5,
        NOON - DAY,
        NOON - DAY,
        NOON - 2 * DAY,
        0,
        NOON + DAY,
    ];
    let mut recorded = Vec::new();
    for (index, micros) in times.into_iter().enumerate() {
        desk.clock.set_unix_micros(micros);
        for task_id in [&one, &two] {
            let event = if index == 0 { created() } else { message("a") };
            recorded.extend(desk.append(task_id, vec![event]).await);
        }
        let LoggedEvent { event, .. } = log.next().await.unwrap().unwrap();
        assert_eq!(
            event.ts,
            Timestamp::from_unix_micros(micros),
            "followed at once"
        );
        assert_eq!(log.next().await.unwrap().unwrap().event.task_id, two);
    }
    assert!(recorded.is_sorted_by(|a, b| a.event_id < b.event_id));
    for task_id in [&one, &two] {
        let events = desk.store.events(task_id, 0, 100).await.unwrap();
        let seqs: Vec<_> = events.iter().map(|event| event.task_seq).collect();
        assert_eq!(seqs, [1, 2, 3, 4, 5, 6, 7]);
        let said: Vec<_> = events.iter().map(|event| event.ts).collect();
        assert_eq!(said, times.map(Timestamp::from_unix_micros));
    }
    let page = desk.log(0, 100).await;
    let in_log: Vec<_> = page.events.into_iter().map(|logged| logged.event).collect();
    assert_eq!(in_log, recorded);
}

pub(crate) async fn identifiers_grow_also_over_a_restart(house: &House) {
    let desk = house.open().await;
    let task_id = desk.running().await;
    let before = desk.append(&task_id, vec![message("a")]).await.remove(0);
    desk.clock.set_unix_micros(1);
    desk.store.close().await.unwrap();
    let again = house.open().await;
    let after = again.append(&task_id, vec![message("c")]).await.remove(0);
    assert!(after.event_id > before.event_id);
    assert_eq!(again.seqs(&task_id).await, [1, 2, 3, 4]);
}
