//! Calls that were removed from the log, before a worker saw them and after.

use event_payloads::{StateTransition, TaskStatus};
use event_store::{Progress, PruneQuery};

use super::*;

/// A task with two calls.
const TWO: usize = 99;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_worker_without_an_http_stack_counts_calls_that_were_pruned() {
    let program = tokio::task::spawn_blocking(built_example).await.unwrap();
    let state = tempfile::tempdir().unwrap();
    count_around_a_prune(async |gateway, books| {
        let mut worker = Command::new(&program);
        worker.arg("--state").arg(state.path().join(books));
        worker.arg("--url");
        worker.arg(format!("http://{}", gateway.address));
        output_of(worker.arg("--once")).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_python_worker_counts_calls_that_were_pruned() {
    let state = tempfile::tempdir().unwrap();
    count_around_a_prune(async |gateway, books| {
        python_reads_all(gateway, &state.path().join(books)).await
    })
    .await;
}

/// `read` lets a worker with these books read all there is, and gives its report.
async fn count_around_a_prune(read: impl AsyncFn(&Gateway, &str) -> String) {
    let (gateway, _upstream) = gateway_with_a_past().await;
    let store = gateway.app.store.as_ref();
    append(
        store,
        vec![
            created(TWO),
            moved(TaskStatus::Created, TaskStatus::Running),
        ],
    )
    .await;
    call(store, 1).await;
    read(&gateway, "saw-a-part").await;
    correct(store, TWO, 1).await;
    call(store, 5).await;
    append(
        store,
        vec![moved(TaskStatus::Running, TaskStatus::Succeeded)],
    )
    .await;
    let before = read(&gateway, "saw-all").await;
    assert_totals(&gateway, &before).await;

    let all: event_payloads::Timestamp = "2999-01-01T00:00:00Z".parse().unwrap();
    let pruned = store
        .prune(PruneQuery::before(all), &Progress::default())
        .await
        .unwrap();
    assert_eq!((pruned.tasks, pruned.calls), (41, 42));
    for books in ["saw-a-part", "saw-all", "saw-none"] {
        let report = read(&gateway, books).await;
        assert_totals(&gateway, &report).await;
    }
    // What follows is counted as ever.
    let mut more = calls(&gateway, 6);
    while more.join_next().await.is_some() {}
    for books in ["saw-a-part", "saw-all", "saw-none"] {
        let report = read(&gateway, books).await;
        assert_totals(&gateway, &report).await;
    }
    gateway.stop().await;
}

fn moved(from_status: TaskStatus, to_status: TaskStatus) -> Payload {
    Payload::StateTransition(StateTransition {
        from_status,
        to_status,
        reason: String::new(),
    })
}

async fn append(store: &dyn EventStore, payloads: Vec<Payload>) {
    let events = payloads
        .into_iter()
        .map(|payload| NewEvent::new(Actor::System, payload));
    let commit = events.fold(Commit::new(task(TWO)), Commit::event);
    store.append(commit).await.unwrap();
}

async fn call(store: &dyn EventStore, number: usize) {
    let begun = Commit::new(task(TWO)).event(NewEvent::new(Actor::System, started(number)));
    let begun = store.append(begun).await.unwrap().into_events();
    let end = NewEvent::new(Actor::System, ended(number));
    let end = end.parent(Parent::Event(begun[0].event_id.clone()));
    let ended = Commit::new(task(TWO)).event(end);
    store.append(ended).await.unwrap();
}
