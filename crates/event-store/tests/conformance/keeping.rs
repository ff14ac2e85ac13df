//! Checked, pruned, copied.

use std::sync::OnceLock;

use event_payloads::{Cost, CostSource, EventType, TaskId, TaskStatus, Timestamp};
use event_store::{
    CostQuery, CostRow, Dimension, EventStore, Progress, PruneQuery, StoreError, TaskQuery, copy,
    must_be_whole,
};

use crate::desk::{Desk, usd};
use crate::ended;
use crate::events::{failed, message, moved, started};
use crate::house::{House, NOON};

const DAY: i64 = 86_400_000_000;

fn known(text: &str) -> Cost {
    Cost::known(usd(text), CostSource::Proxy)
}

async fn ended(desk: &Desk, key: &str, cost: &Cost) -> TaskId {
    ended::task(desk.store.as_ref(), &desk.ids, key, cost).await
}

async fn problems(store: &dyn EventStore) -> Vec<String> {
    store.verify(&Progress::default()).await.unwrap().problems
}

/// Answers from all kinds of sums: of hours, days, months and all time.
async fn sums(store: &dyn EventStore) -> Vec<Vec<CostRow>> {
    let at = |micros| Some(Timestamp::from_unix_micros(micros));
    let groups = [
        vec![],
        vec![Dimension::Day],
        vec![Dimension::Alias],
        vec![Dimension::Day, Dimension::Alias],
        vec![Dimension::Alias, Dimension::Model],
        Dimension::ALL.to_vec(),
    ];
    let mut all = Vec::new();
    for from in [None, at(NOON), at(NOON - DAY / 2)] {
        for group_by in groups.clone() {
            let query = CostQuery {
                from,
                group_by,
                ..CostQuery::default()
            };
            all.push(store.cost_rollup(query).await.unwrap());
        }
    }
    all
}

pub(crate) async fn a_good_store_has_no_problems_and_everything_is_looked_at(house: &House) {
    let desk = house.open().await;
    for day in 0..3 {
        desk.clock.set_unix_micros(NOON + day * DAY);
        ended(&desk, &format!("key-{day}"), &known("0.25")).await;
    }
    let open = desk.running().await;
    let call_id = desk.call(&open).await;
    desk.append(&open, vec![failed(&call_id), started("router")])
        .await;
    let progress = Progress::default();
    let verified = desk.store.verify(&progress).await.unwrap();
    assert_eq!(verified.problems, [""; 0]);
    assert_eq!((verified.events, progress.done()), (3 * 7 + 5, 3 * 7 + 5));
    assert_eq!(
        (verified.tasks, verified.calls, verified.artifacts),
        (4, 5, 3)
    );
    // 4 tasks, 4 days' worth of hours and days, one month and one in all, for each of two models.
    assert!(verified.sums > 8, "{}", verified.sums);
}

pub(crate) async fn pruning_keeps_sums_chains_and_keys(house: &House) {
    let desk = house.open().await;
    let old = ended(&desk, "old", &known("0.25")).await;
    let open = desk.running().await;
    desk.clock.set_unix_micros(NOON + 10 * DAY);
    let new = ended(&desk, "new", &known("0.5")).await;
    let before_sums = sums(desk.store.as_ref()).await;
    let before = Timestamp::from_unix_micros(NOON + DAY);
    let head = *desk.store.head().borrow();

    let prunable = desk
        .store
        .prunable(PruneQuery::before(before))
        .await
        .unwrap();
    let pruned = desk
        .store
        .prune(PruneQuery::before(before), &Progress::default())
        .await
        .unwrap();
    assert_eq!(prunable, pruned, "as foretold");
    assert_eq!(
        (pruned.tasks, pruned.events, pruned.calls, pruned.artifacts),
        (1, 6, 1, 1)
    );
    assert_eq!(*desk.store.head().borrow(), head + 1);
    assert_eq!(problems(desk.store.as_ref()).await, [""; 0]);
    assert_eq!(sums(desk.store.as_ref()).await, before_sums);
    desk.store.rebuild().await.unwrap();
    assert_eq!(
        sums(desk.store.as_ref()).await,
        before_sums,
        "the tombstone has them"
    );
    assert_eq!(problems(desk.store.as_ref()).await, [""; 0]);

    let left = desk.store.events(&old, 0, 99).await.unwrap();
    let types: Vec<_> = left.iter().map(|event| event.event_type.clone()).collect();
    assert_eq!(types, [EventType::TaskCreated, EventType::TaskPruned]);
    assert_eq!(left[1].task_seq, 8);
    assert!(left[1].is_final(), "who follows the task sees its end");
    let task = desk.store.task_by_key("old").await.unwrap().unwrap();
    assert_eq!(
        (task.task_id, task.status),
        (old.clone(), TaskStatus::Succeeded)
    );
    assert_eq!(desk.store.artifacts(&old).await.unwrap(), []);
    assert_eq!(desk.store.events(&open, 0, 99).await.unwrap().len(), 2);
    assert_eq!(desk.store.events(&new, 0, 99).await.unwrap().len(), 7);

    // A second time there is nothing to do.
    let again = desk
        .store
        .prune(PruneQuery::before(before), &Progress::default())
        .await
        .unwrap();
    assert_eq!(again.tasks, 0);
    let far = Timestamp::from_unix_micros(NOON + 100 * DAY);
    assert_eq!(
        desk.store
            .prunable(PruneQuery::before(far))
            .await
            .unwrap()
            .tasks,
        1
    );
    let again = desk
        .store
        .prune(PruneQuery::before(far), &Progress::default())
        .await
        .unwrap();
    assert_eq!(again.tasks, 1, "not the tombstone's task");
    // What comes late follows the tombstone.
    let late = desk.append(&old, vec![message("late")]).await;
    assert_eq!(late[0].task_seq, left[1].task_seq + 1);
    assert_eq!(problems(desk.store.as_ref()).await, [""; 0]);
    assert_eq!(sums(desk.store.as_ref()).await, before_sums);
}

pub(crate) async fn what_another_reader_of_the_log_has_not_got_is_not_pruned(house: &House) {
    let desk = house.open().await;
    let first = ended(&desk, "first", &known("0.25")).await;
    let read = *desk.store.head().borrow();
    let second = ended(&desk, "second", &known("0.5")).await;
    desk.clock.set_unix_micros(NOON + 10 * DAY);
    let all = PruneQuery::before(Timestamp::from_unix_micros(NOON + DAY));
    let store = desk.store.as_ref();
    let count = async |task_id: &TaskId| store.events(task_id, 0, 99).await.unwrap().len();
    // One event of the first is missing, then none.
    for (up_to, prunes) in [(read - 1, 0), (read, 1), (read, 0)] {
        let query = all.up_to(up_to);
        let prunable = store.prunable(query).await.unwrap();
        let pruned = store.prune(query, &Progress::default()).await.unwrap();
        assert_eq!(prunable, pruned, "as foretold");
        assert_eq!(pruned.tasks, prunes);
    }
    assert_eq!((count(&first).await, count(&second).await), (2, 7));
    let pruned = store.prune(all, &Progress::default()).await.unwrap();
    assert_eq!(pruned.tasks, 1);
    assert_eq!(problems(store).await, [""; 0]);
}

pub(crate) async fn an_overview_counts_what_is_there(house: &House) {
    let desk = house.open().await;
    let empty = desk.store.overview().await.unwrap();
    assert_eq!((empty.events, empty.last_position), (0, None));
    ended(&desk, "old", &known("0.25")).await;
    desk.clock.set_unix_micros(NOON + DAY);
    let open = desk.running().await;
    desk.call(&open).await;
    let overview = desk.store.overview().await.unwrap();
    assert_eq!(
        (overview.tasks, overview.events, overview.open_calls),
        (2, 7 + 3, 1)
    );
    assert_eq!(overview.artifacts, 1);
    assert_eq!(
        (overview.first_position, overview.last_position),
        (Some(1), Some(10))
    );
    let at = Timestamp::from_unix_micros(NOON + DAY);
    assert_eq!(overview.last_event_at, Some(at));
    let layout = if desk.store.kind() == "sqlite" { 5 } else { 1 };
    assert!(overview.layout >= layout && overview.database_bytes > 4_096);
}

pub(crate) async fn more_tasks_than_a_transaction_takes_are_pruned(house: &House) {
    let desk = house.open().await;
    let task_count = 60;
    for number in 0..task_count {
        ended(&desk, &format!("key-{number}"), &known("0.25")).await;
    }
    let running = desk.running().await;
    let store = desk.store.as_ref();
    let before_sums = sums(store).await;
    let far = Timestamp::from_unix_micros(NOON + DAY);
    let pruned = store
        .prune(PruneQuery::before(far), &Progress::default())
        .await
        .unwrap();
    assert_eq!(pruned.tasks, task_count);
    assert_eq!(
        store.prunable(PruneQuery::before(far)).await.unwrap().tasks,
        0
    );
    assert_eq!(desk.seqs(&running).await, [1, 2]);
    assert_eq!(sums(store).await, before_sums);
    assert_eq!(problems(store).await, [""; 0]);
    let head = *store.head().borrow();
    let again = store
        .prune(PruneQuery::before(far), &Progress::default())
        .await
        .unwrap();
    assert_eq!((again.tasks, *store.head().borrow()), (0, head));
}

pub(crate) async fn a_store_that_is_closed_while_it_is_pruned_is_whole(house: &House) {
    let desk = house.open().await;
    let task_count = 60;
    for number in 0..task_count {
        ended(&desk, &format!("key-{number}"), &known("0.25")).await;
    }
    let before_sums = sums(desk.store.as_ref()).await;
    let all = PruneQuery::before(Timestamp::from_unix_micros(NOON + DAY));
    let progress = Progress::default();
    let (pruning, pruned) = (desk.store.prune(all, &progress), OnceLock::new());
    let prune = async { pruned.set(pruning.await).unwrap() };
    let close = async {
        while progress.done() == 0 && pruned.get().is_none() {
            tokio::task::yield_now().await;
        }
        desk.store.close().await.unwrap();
    };
    tokio::join!(prune, close);
    let pruned = pruned.into_inner().unwrap();
    assert!(
        matches!(pruned, Ok(_) | Err(StoreError::Closed)),
        "{pruned:?}"
    );

    let again = house.open().await;
    let store = again.store.as_ref();
    assert_eq!(problems(store).await, [""; 0]);
    let left = store.prunable(all).await.unwrap().tasks;
    assert!(left < task_count, "some were pruned, and stay so");
    let pruned = store.prune(all, &Progress::default()).await.unwrap();
    assert_eq!(pruned.tasks, left);
    assert_eq!(sums(store).await, before_sums);
    assert_eq!(problems(store).await, [""; 0]);
}

pub(crate) async fn a_call_that_is_open_keeps_its_task_from_being_pruned(house: &House) {
    let desk = house.open().await;
    let open = desk.running().await;
    desk.call(&open).await;
    let end = moved(TaskStatus::Running, TaskStatus::Cancelled);
    desk.append(&open, vec![end]).await;
    let far = Timestamp::from_unix_micros(NOON + 100 * DAY);
    assert_eq!(
        desk.store.prunable(PruneQuery::before(far)).await.unwrap(),
        Default::default()
    );
    let pruned = desk
        .store
        .prune(PruneQuery::before(far), &Progress::default())
        .await
        .unwrap();
    assert_eq!(pruned, Default::default());
}

pub(crate) async fn a_task_whose_start_has_to_stay_with_a_call_stays_whole(house: &House) {
    let desk = house.open().await;
    let store = desk.store.as_ref();
    let task_id = desk.running().await;
    desk.ended(&task_id, &known("0.25")).await;
    let end = vec![
        message("b").key("later"),
        moved(TaskStatus::Running, TaskStatus::Succeeded),
    ];
    desk.append(&task_id, end).await;
    let before_sums = sums(store).await;
    let far = Timestamp::from_unix_micros(NOON + 100 * DAY);
    assert_eq!(
        store.prunable(PruneQuery::before(far)).await.unwrap().tasks,
        0
    );
    assert_eq!(
        store
            .prune(PruneQuery::before(far), &Progress::default())
            .await
            .unwrap()
            .tasks,
        0
    );
    store.rebuild().await.unwrap();
    assert_eq!(sums(store).await, before_sums);
    assert_eq!(problems(store).await, [""; 0]);
}

pub(crate) async fn single_calls_that_were_pruned_are_not_counted_as_none(house: &House) {
    let desk = house.open().await;
    let old = ended(&desk, "old", &known("0.25")).await;
    let before = Timestamp::from_unix_micros(NOON + DAY);
    desk.store
        .prune(PruneQuery::before(before), &Progress::default())
        .await
        .unwrap();
    let half_an_hour = CostQuery {
        from: Some(Timestamp::from_unix_micros(NOON - DAY)),
        to: Some(Timestamp::from_unix_micros(NOON + DAY / 48)),
        ..CostQuery::default()
    };
    let error = desk.store.cost_rollup(half_an_hour).await.unwrap_err();
    assert!(matches!(error, StoreError::Pruned { .. }), "{error}");
    let over_the_hour = CostQuery {
        from: Some(Timestamp::from_unix_micros(NOON - DAY / 48)),
        to: Some(Timestamp::from_unix_micros(NOON + DAY / 96)),
        ..CostQuery::default()
    };
    let error = desk.store.cost_rollup(over_the_hour).await.unwrap_err();
    assert!(matches!(error, StoreError::Pruned { .. }), "{error}");
    let by_day_of_a_task = CostQuery {
        task: Some(old.clone()),
        group_by: vec![Dimension::Day],
        ..CostQuery::default()
    };
    let error = desk.store.cost_rollup(by_day_of_a_task).await.unwrap_err();
    assert!(matches!(error, StoreError::Pruned { .. }), "{error}");
    let of_the_task = CostQuery {
        task: Some(old),
        ..CostQuery::default()
    };
    let row = desk.store.cost_rollup(of_the_task).await.unwrap().remove(0);
    assert_eq!((row.calls, row.cost.get()), (1, 250_000_000_000));
}

pub(crate) async fn a_copy_is_the_same_and_goes_on_where_it_was(house: &House) {
    let desk = house.open().await;
    let store = desk.store.as_ref();
    ended(&desk, "one", &known("0.25")).await;
    desk.running().await;
    store.save_cursor("worker", 3).await.unwrap();
    let other = house.another().await;
    let target = other.open().await;
    let to = target.store.as_ref();
    let copied = copy(store, to, &Progress::default()).await.unwrap();
    assert_eq!((copied.events, copied.artifacts), (9, 1));

    ended(&desk, "two", &known("0.5")).await;
    let copied = copy(store, to, &Progress::default()).await.unwrap();
    assert_eq!(copied.events, 7, "the others are there");
    assert_eq!(copied.verified.problems, [""; 0]);
    assert_eq!(sums(to).await, sums(store).await);
    assert_eq!(to.cursor("worker").await.unwrap(), 3);
    let all = TaskQuery {
        status: None,
        limit: 99,
    };
    let tasks = to.tasks(all).await.unwrap();
    assert_eq!(tasks, store.tasks(all).await.unwrap());
    for task in tasks {
        let copies = to.events(&task.task_id, 0, 99).await.unwrap();
        assert_eq!(copies, store.events(&task.task_id, 0, 99).await.unwrap());
        for artifact in to.artifacts(&task.task_id).await.unwrap() {
            let content = to.artifact_content(&artifact.artifact_id).await.unwrap();
            assert_eq!(content.map(|content| content.len()), Some(9_000));
        }
    }
    let (ours, copied) = (
        store.overview().await.unwrap(),
        to.overview().await.unwrap(),
    );
    assert_eq!(
        (ours.tasks, ours.events, ours.artifacts, ours.last_position),
        (
            copied.tasks,
            copied.events,
            copied.artifacts,
            copied.last_position
        )
    );
    assert_eq!(ours.last_event_at, copied.last_event_at);

    // It goes on as a store of its own, and is a copy no more.
    target.running().await;
    let error = copy(store, to, &Progress::default()).await.unwrap_err();
    assert!(matches!(error, StoreError::NotACopy { .. }), "{error}");
}

pub(crate) async fn a_log_that_was_pruned_since_is_not_the_one_that_was_copied(house: &House) {
    let desk = house.open().await;
    let store = desk.store.as_ref();
    ended(&desk, "one", &known("0.25")).await;
    let other = house.another().await;
    let target = other.open().await;
    let to = target.store.as_ref();
    copy(store, to, &Progress::default()).await.unwrap();

    let open = desk.running().await;
    desk.append(&open, vec![started("planner")]).await;
    ended(&desk, "two", &known("0.5")).await;
    let before = Timestamp::from_unix_micros(NOON + DAY);
    store
        .prune(PruneQuery::before(before), &Progress::default())
        .await
        .unwrap();
    let error = copy(store, to, &Progress::default()).await;
    assert!(
        matches!(error, Err(StoreError::NotACopy { position: 7 })),
        "what was pruned since is no longer there to compare with: {error:?}"
    );
    assert_eq!(problems(to).await, [""; 0], "it stays as it was");
    must_be_whole(to).await.unwrap();

    let third = house.another().await;
    let fresh = third.open().await;
    let copied = copy(store, fresh.store.as_ref(), &Progress::default()).await;
    assert_eq!(copied.unwrap().verified.problems, [""; 0]);
    assert_eq!(sums(fresh.store.as_ref()).await, sums(store).await);
}

pub(crate) async fn a_copy_of_what_was_pruned_since_is_not_gone_on_with(house: &House) {
    let desk = house.open().await;
    let store = desk.store.as_ref();
    ended(&desk, "one", &known("0.25")).await;
    // The last event of the copy stays at the source.
    desk.running().await;
    let other = house.another().await;
    let target = other.open().await;
    let to = target.store.as_ref();
    copy(store, to, &Progress::default()).await.unwrap();
    let copied = sums(to).await;

    let before = Timestamp::from_unix_micros(NOON + DAY);
    store
        .prune(PruneQuery::before(before), &Progress::default())
        .await
        .unwrap();
    let error = copy(store, to, &Progress::default()).await;
    assert!(
        matches!(error, Err(StoreError::OldCopy { events: 6 })),
        "its calls would count twice: {error:?}"
    );
    assert_eq!(problems(to).await, [""; 0], "it stays as it was");
    assert_eq!(sums(to).await, copied);
    must_be_whole(to).await.unwrap();

    // Tombstones that both have are no reason.
    let third = house.another().await;
    let fresh = third.open().await;
    copy(store, fresh.store.as_ref(), &Progress::default())
        .await
        .unwrap();
    ended(&desk, "two", &known("0.5")).await;
    let copied = copy(store, fresh.store.as_ref(), &Progress::default()).await;
    let copied = copied.unwrap();
    assert_eq!((copied.events, copied.verified.is_good()), (7, true));
    assert_eq!(sums(fresh.store.as_ref()).await, sums(store).await);
}

pub(crate) async fn a_store_is_not_copied_into_itself(house: &House) {
    let desk = house.open().await;
    let store = desk.store.as_ref();
    ended(&desk, "one", &known("0.25")).await;
    let error = copy(store, store, &Progress::default()).await;
    assert!(matches!(error, Err(StoreError::SameStore)), "{error:?}");
    must_be_whole(store).await.unwrap();
    assert_eq!(problems(store).await, [""; 0]);
}
