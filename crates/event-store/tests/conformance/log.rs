//! The log of all tasks.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use event_payloads::{EventPage, EventType, TaskId, TaskStatus};
use event_store::{LogFollow, LogQuery};
use tokio::task::JoinSet;

use crate::desk::Desk;
use crate::events::{commit, created, message, moved};
use crate::house::House;

/// Every event of some types, page by page.
async fn pages(desk: &Desk, types: &[EventType], limit: usize) -> Vec<EventPage> {
    let mut pages: Vec<EventPage> = Vec::new();
    loop {
        let query = LogQuery {
            after: pages.last().map_or(0, |page| page.next),
            types: types.to_vec(),
            limit,
        };
        let page = desk.store.log(query).await.unwrap();
        let caught_up = page.caught_up;
        pages.push(page);
        if caught_up {
            return pages;
        }
    }
}

pub(crate) async fn pages_join_without_a_gap_or_a_repeat(house: &House) {
    let desk = house.open().await;
    let tasks = [desk.running().await, desk.running().await];
    for index in 0..10 {
        desk.append(&tasks[index % 2], vec![message("a"), message("b")])
            .await;
    }
    for limit in [1, 2, 3, 7, 23, 24, 25, 1_000] {
        let pages = pages(&desk, &[], limit).await;
        let events: Vec<_> = pages.iter().flat_map(|page| &page.events).collect();
        let ids: HashSet<_> = events.iter().map(|logged| &logged.event.event_id).collect();
        assert_eq!((events.len(), ids.len()), (24, 24), "limit {limit}");
        assert!(events.is_sorted_by(|a, b| a.cursor < b.cursor));
        for task_id in &tasks {
            let own = events.iter().filter(|each| each.event.task_id == *task_id);
            let seqs: Vec<_> = own.map(|each| each.event.task_seq).collect();
            assert_eq!(seqs, (1..=12).collect::<Vec<_>>());
        }
        assert!(pages.iter().all(|page| page.events.len() <= limit));
    }
    let whole = desk.log(0, 1_000).await;
    let read = desk.store.events(&tasks[0], 0, 100).await.unwrap();
    let logged = whole.events.iter().map(|logged| &logged.event);
    assert!(logged.filter(|each| each.task_id == tasks[0]).eq(&read));
    let end = desk.log(whole.next, 10).await;
    assert_eq!(
        (end.events.len(), end.next, end.caught_up),
        (0, whole.next, true)
    );
    let beyond = desk.log(whole.next + 1_000, 10).await;
    assert_eq!((beyond.events.len(), beyond.caught_up), (0, true));
}

pub(crate) async fn types_that_are_not_asked_for_are_passed_over(house: &House) {
    let desk = house.open().await;
    let task_id = desk.running().await;
    desk.append(&task_id, vec![message("a"), message("b")])
        .await;
    let failed = moved(TaskStatus::Running, TaskStatus::Failed);
    desk.append(&task_id, vec![failed]).await;
    let asked = [EventType::StateTransition, EventType::TaskCreated];
    let pages = pages(&desk, &asked, 2).await;
    let events = pages.iter().flat_map(|page| &page.events);
    let seqs: Vec<_> = events.map(|each| each.event.task_seq).collect();
    assert_eq!(seqs, [1, 2, 5]);
    let none = LogQuery {
        types: vec!["NO_SUCH_TYPE".into()],
        limit: 5,
        ..LogQuery::default()
    };
    let page = desk.store.log(none).await.unwrap();
    assert_eq!((page.events.len(), page.caught_up), (0, true));
    assert_eq!(
        page.next,
        *desk.store.head().borrow(),
        "it goes on from there"
    );
}

pub(crate) async fn rare_types_among_many_events_are_found_in_more_than_one_step(house: &House) {
    let desk = house.open().await;
    let task_id = desk.running().await;
    for _ in 0..23 {
        desk.append(&task_id, vec![message("a"); 500]).await;
    }
    let failed = moved(TaskStatus::Running, TaskStatus::Failed);
    desk.append(&task_id, vec![failed]).await;
    let rare = LogQuery {
        after: 2,
        types: vec![EventType::StateTransition],
        limit: 10,
    };
    let page = desk.store.log(rare.clone()).await.unwrap();
    assert_eq!((page.events.len(), page.caught_up), (0, false));
    assert!(page.next > 2, "it comes on");
    let after = page.next;
    let rest = desk.store.log(LogQuery { after, ..rare }).await.unwrap();
    assert_eq!((rest.events.len(), rest.caught_up), (1, true));
    assert_eq!(rest.events[0].event.task_seq, 11_503);
    let mut follow = LogFollow::new(Arc::clone(&desk.store), 2, vec![EventType::StateTransition]);
    let next = follow.next().await.unwrap().unwrap();
    assert_eq!(next, rest.events[0]);
}

/// Follows until so many events came; fails if one comes twice or a task's come in another order.
async fn follow(mut log: LogFollow, events: usize) -> Vec<u64> {
    let mut last: HashMap<TaskId, u64> = HashMap::new();
    let mut cursors = Vec::new();
    while cursors.len() < events {
        let logged = log.next().await.unwrap().unwrap();
        let seq = last.entry(logged.event.task_id).or_default();
        assert_eq!(
            logged.event.task_seq,
            *seq + 1,
            "each once, in its task's order"
        );
        *seq += 1;
        cursors.push(logged.cursor);
    }
    assert!(cursors.is_sorted_by(|a, b| a < b));
    cursors
}

pub(crate) async fn followers_of_the_log_see_each_event_of_many_writers_once(house: &House) {
    const WRITERS: usize = 32;
    const COMMITS: usize = 15;
    const EVENTS: usize = 2 + WRITERS * (1 + 3 * COMMITS);
    let desks = house.several(3).await;
    let shared = desks[0].running().await;
    let mut followers = JoinSet::new();
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let desk = &desks[writer % desks.len()];
        if writer % 8 == 0 {
            let log = LogFollow::new(Arc::clone(&desk.store), 0, Vec::new());
            followers.spawn(follow(log, EVENTS));
        }
        let (store, own, shared) = (Arc::clone(&desk.store), desk.ids.task_id(), shared.clone());
        writers.spawn(async move {
            store.append(commit(&own, vec![created()])).await.unwrap();
            for _ in 0..COMMITS {
                let two = commit(&own, vec![message("a"), message("b")]);
                store.append(two).await.unwrap();
                let one = commit(&shared, vec![message("c")]);
                store.append(one).await.unwrap();
            }
        });
    }
    writers.join_all().await;
    let all = followers.join_all().await;
    let page = desks[0].log(0, EVENTS + 1).await;
    let recorded: Vec<_> = page.events.iter().map(|logged| logged.cursor).collect();
    for cursors in all {
        assert_eq!(cursors, recorded);
    }
}

pub(crate) async fn a_follower_goes_on_from_its_cursor(house: &House) {
    let desk = house.open().await;
    let task_id = desk.running().await;
    desk.append(&task_id, vec![message("a"); 10]).await;
    let mut log = LogFollow::new(Arc::clone(&desk.store), 0, Vec::new());
    for _ in 0..4 {
        log.next().await.unwrap().unwrap();
    }
    assert_eq!(desk.store.cursor("totals").await.unwrap(), 0);
    desk.store
        .save_cursor("totals", log.cursor())
        .await
        .unwrap();
    desk.store.save_cursor("other", 1).await.unwrap();
    desk.store.close().await.unwrap();
    let again = house.open().await;
    let cursor = again.store.cursor("totals").await.unwrap();
    let mut log = LogFollow::new(Arc::clone(&again.store), cursor, Vec::new());
    for seq in 5..=12 {
        let next = log.next().await.unwrap().unwrap();
        assert_eq!(next.event.task_seq, seq);
        assert_eq!(log.cursor(), next.cursor);
    }
    // It may go back: a reader that wants to read again says so.
    again.store.save_cursor("totals", 3).await.unwrap();
    assert_eq!(again.store.cursor("totals").await.unwrap(), 3);
    assert_eq!(again.store.cursor("other").await.unwrap(), 1);
}

pub(crate) async fn the_head_grows_and_ends_with_the_store(house: &House) {
    let desk = house.open().await;
    let mut head = desk.store.head();
    assert_eq!(*head.borrow(), 0);
    let task_id = desk.running().await;
    head.wait_for(|head| *head > 0).await.unwrap();
    let after_two = desk.log(0, 10).await.next;
    head.wait_for(|head| *head == after_two).await.unwrap();
    desk.append(&task_id, vec![message("a")]).await;
    head.wait_for(|head| *head > after_two).await.unwrap();
    let mut waiting = LogFollow::new(Arc::clone(&desk.store), after_two + 1, Vec::new());
    let (ended, closed) = tokio::join!(waiting.next(), desk.store.close());
    closed.unwrap();
    assert_eq!(ended.unwrap(), None);
    assert_eq!(waiting.next().await.unwrap(), None, "also who asks later");
    // What it still had to tell, then its end.
    while head.changed().await.is_ok() {}
    assert!(desk.store.head().changed().await.is_err());
    let again = house.open().await;
    assert_eq!(
        *again.store.head().borrow(),
        after_two + 1,
        "it goes on from there"
    );
}
