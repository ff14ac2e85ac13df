//! Tasks from their message to their end, over a real store and clients that do as they are told.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops where something is missing"
)]

#[path = "shared/gate.rs"]
mod gate;

use std::sync::Arc;
use std::time::Duration;

use alias_registry::AliasRegistry;
use async_trait::async_trait;
use event_payloads::{Cost, Event, EventType, Payload, TaskId, TaskStatus};
use event_store::{CostQuery, Dimension, EventStore, SqliteOptions, SqliteStore};
use gate::{Gate, in_one_piece};
use provider_core::{
    Completion, Endpoint, ModelCall, ModelClient, ModelRequest, ModelStream, ProviderError,
    TimeoutPhase,
};
use provider_echo::EchoClient;
use provider_service::{
    CancelError, DirectCall, DirectError, FallbackManager, FallbackPolicy, Limits, LlmService,
    Message, SubmitError, TaskService, report, task_cost,
};
use tempfile::TempDir;

/// Runs out of time.
struct Slow;

#[async_trait]
impl ModelClient for Slow {
    fn name(&self) -> &'static str {
        "slow"
    }

    async fn complete(&self, _: &ModelCall) -> Result<Completion, ProviderError> {
        let limit = Duration::from_secs(30);
        Err(ProviderError::Timeout {
            phase: TimeoutPhase::Call,
            limit,
            elapsed: limit,
        })
    }

    async fn stream(&self, call: &ModelCall) -> Result<ModelStream, ProviderError> {
        self.complete(call).await.map(in_one_piece)
    }
}

struct House {
    store: Arc<dyn EventStore>,
    tasks: TaskService,
    dir: TempDir,
}

async fn open(dir: &TempDir) -> Arc<dyn EventStore> {
    let options = SqliteOptions::new(dir.path().join("octo.db"), dir.path().join("artifacts"));
    Arc::new(SqliteStore::open(options).await.unwrap())
}

async fn house(client: impl ModelClient + 'static, limits: Limits) -> House {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir).await;
    let clients = FallbackManager::without_fallback(Arc::new(client));
    let tasks = TaskService::new(
        store.clone(),
        LlmService::new(AliasRegistry::default(), clients),
        limits,
    );
    House { store, tasks, dir }
}

/// A house with one place: a message that runs has it, and another one waits.
async fn one_runs_and_one_waits(gate: &Gate) -> (House, TaskId) {
    let limits = Limits {
        max_running: 1,
        max_queued: 5,
    };
    let house = house(gate.clone(), limits).await;
    house.tasks.submit(Message::new("one", "1")).await.unwrap();
    gate.wait_for_calls(1).await;
    let waiting = house.tasks.submit(Message::new("two", "2")).await.unwrap();
    (house, waiting.task_id)
}

impl House {
    /// Lets all work end, and looks at a task.
    async fn end_of(&self, task_id: &TaskId) -> (TaskStatus, Vec<Event>) {
        self.tasks.shut_down(Duration::from_secs(30)).await;
        self.look_at(task_id).await
    }

    async fn look_at(&self, task_id: &TaskId) -> (TaskStatus, Vec<Event>) {
        let events = self.store.events(task_id, 0, 1000).await.unwrap();
        let seqs: Vec<u64> = events.iter().map(|event| event.task_seq).collect();
        assert_eq!(
            seqs,
            (1..=events.len() as u64).collect::<Vec<_>>(),
            "no gap in the sequence"
        );
        (
            self.store.task(task_id).await.unwrap().unwrap().status,
            events,
        )
    }
}

fn types(events: &[Event]) -> Vec<&str> {
    events
        .iter()
        .map(|event| event.event_type.as_str())
        .collect()
}

fn chat(task: Option<&str>) -> DirectCall {
    DirectCall {
        model: "planner".into(),
        request: ModelRequest::from_json(
            Endpoint::ChatCompletions,
            br#"{"model":"planner","messages":[{"role":"user","content":"hi"}]}"#,
        )
        .unwrap(),
        task: task.map(|name| name.parse().unwrap()),
        fallback: FallbackPolicy::Refuse,
    }
}

#[tokio::test]
async fn a_good_task_has_the_seven_events_in_order() {
    let house = house(EchoClient, Limits::default()).await;
    let submitted = house
        .tasks
        .submit(Message::new("hi there", "k1"))
        .await
        .unwrap();
    assert_eq!(
        (submitted.status, submitted.created),
        (TaskStatus::Created, true)
    );
    let (status, events) = house.end_of(&submitted.task_id).await;
    assert_eq!(status, TaskStatus::Succeeded);
    assert_eq!(
        types(&events),
        [
            "TASK_CREATED",
            "USER_MESSAGE",
            "STATE_TRANSITION",
            "MODEL_CALL_STARTED",
            "MODEL_CALL_COMPLETED",
            "ARTIFACT_CREATED",
            "STATE_TRANSITION",
        ]
    );
    let Payload::ModelCallCompleted(call) = events[4].decode().unwrap() else {
        panic!()
    };
    assert_eq!(
        (call.response_summary.as_str(), call.model_name.as_str()),
        ("Echo: hi there", "echo")
    );
    assert_eq!(
        (call.category.as_str(), call.runtime_group.as_str()),
        ("main", "main")
    );
    assert_eq!(
        events[4].causality.parent_event_id.as_ref(),
        Some(&events[3].event_id)
    );
    let content = house
        .store
        .artifact_content(&call.artifact_ref.unwrap())
        .await
        .unwrap();
    assert_eq!(content.unwrap(), b"Echo: hi there");
    assert!(events[6].is_final());
}

#[tokio::test]
async fn a_failed_task_says_why_and_that_its_cost_is_unknown() {
    let house = house(Slow, Limits::default()).await;
    let submitted = house.tasks.submit(Message::new("hi", "k1")).await.unwrap();
    let (status, events) = house.end_of(&submitted.task_id).await;
    assert_eq!(status, TaskStatus::Failed);
    assert_eq!(
        types(&events)[3..],
        [
            "MODEL_CALL_STARTED",
            "MODEL_CALL_FAILED",
            "STATE_TRANSITION"
        ]
    );
    let Payload::ModelCallFailed(failed) = events[4].decode().unwrap() else {
        panic!()
    };
    assert_eq!(
        (failed.error_type.as_str(), failed.timeout_ms),
        ("timeout", Some(30_000))
    );
    assert!(matches!(failed.cost(), Cost::Unavailable(_)));
    let cost = task_cost(house.store.as_ref(), &submitted.task_id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (
            cost.total.calls,
            cost.total.calls_without_cost,
            cost.total.failed_calls
        ),
        (1, 1, 1)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_concurrent_messages_of_one_key_are_one_task() {
    let house = house(EchoClient, Limits::default()).await;
    let mut submits = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let tasks = house.tasks.clone();
        submits.spawn(async move { tasks.submit(Message::new("hi", "same")).await.unwrap() });
    }
    let all = submits.join_all().await;
    assert_eq!(all.iter().filter(|submitted| submitted.created).count(), 1);
    assert!(
        all.iter()
            .all(|submitted| submitted.task_id == all[0].task_id)
    );
    let (status, events) = house.end_of(&all[0].task_id).await;
    assert_eq!((status, events.len()), (TaskStatus::Succeeded, 7));
}

#[tokio::test]
async fn a_full_house_refuses_and_creates_nothing() {
    let gate = Gate::new(Cost::FREE);
    let house = house(
        gate.clone(),
        Limits {
            max_running: 1,
            max_queued: 1,
        },
    )
    .await;
    let first = house.tasks.submit(Message::new("one", "1")).await.unwrap();
    gate.wait_for_calls(1).await;
    let second = house.tasks.submit(Message::new("two", "2")).await.unwrap();
    let refused = house
        .tasks
        .submit(Message::new("three", "3"))
        .await
        .unwrap_err();
    assert!(matches!(refused, SubmitError::NotAdmitted(_)), "{refused}");
    assert!(house.store.task_by_key("3").await.unwrap().is_none());
    let again = house.tasks.submit(Message::new("one", "1")).await.unwrap();
    assert_eq!(
        (again.task_id, again.created),
        (first.task_id.clone(), false),
        "a known key is no new work"
    );
    assert!(matches!(
        house.tasks.answer(chat(None)).await.unwrap_err(),
        DirectError::NotAdmitted(_)
    ));
    gate.release.add_permits(2);
    assert_eq!(house.end_of(&first.task_id).await.0, TaskStatus::Succeeded);
    assert_eq!(
        house.look_at(&second.task_id).await.0,
        TaskStatus::Succeeded
    );
}

#[tokio::test]
async fn cancelling_aborts_the_call_and_accounts_for_it() {
    let gate = Gate::new(Cost::FREE);
    let house = house(gate.clone(), Limits::default()).await;
    let task_id = house
        .tasks
        .submit(Message::new("hi", "k"))
        .await
        .unwrap()
        .task_id;
    gate.wait_for_calls(1).await;
    house.tasks.cancel(&task_id).await.unwrap();
    let (status, events) = house.look_at(&task_id).await;
    assert_eq!(status, TaskStatus::Cancelled);
    assert_eq!(
        types(&events)[4..],
        ["MODEL_CALL_FAILED", "STATE_TRANSITION"]
    );
    let Payload::ModelCallFailed(failed) = events[4].decode().unwrap() else {
        panic!()
    };
    assert_eq!(failed.error_type, "cancelled");
    assert!(
        failed.cost_unavailable,
        "a provider may bill for an aborted call"
    );
    let again = house.tasks.cancel(&task_id).await.unwrap_err();
    assert!(matches!(
        again,
        CancelError::AlreadyTerminal {
            status: TaskStatus::Cancelled,
            ..
        }
    ));
    let nobody = house
        .tasks
        .cancel(&"nobody".parse().unwrap())
        .await
        .unwrap_err();
    assert!(matches!(nobody, CancelError::UnknownTask(_)));
}

#[tokio::test]
async fn a_task_that_waits_is_cancelled_without_a_call() {
    let gate = Gate::new(Cost::FREE);
    let (house, waiting) = one_runs_and_one_waits(&gate).await;
    house.tasks.cancel(&waiting).await.unwrap();
    let (status, events) = house.look_at(&waiting).await;
    assert_eq!(status, TaskStatus::Cancelled);
    assert_eq!(
        types(&events),
        ["TASK_CREATED", "USER_MESSAGE", "STATE_TRANSITION"]
    );
    gate.release.add_permits(1);
    house.tasks.shut_down(Duration::from_secs(30)).await;
}

#[tokio::test]
async fn shutting_down_records_what_it_has_to_stop() {
    let gate = Gate::new(Cost::FREE);
    let house = house(gate.clone(), Limits::default()).await;
    let task_id = house
        .tasks
        .submit(Message::new("hi", "k"))
        .await
        .unwrap()
        .task_id;
    gate.wait_for_calls(1).await;
    house.tasks.shut_down(Duration::ZERO).await;
    let (status, events) = house.look_at(&task_id).await;
    assert_eq!(status, TaskStatus::Failed);
    let Payload::ModelCallFailed(failed) = events[4].decode().unwrap() else {
        panic!()
    };
    assert_eq!(failed.error_type, "interrupted");
}

#[tokio::test]
async fn a_caller_that_hangs_up_leaves_a_complete_record() {
    let gate = Gate::new(Cost::FREE);
    let house = house(gate.clone(), Limits::default()).await;
    let caller = {
        let tasks = house.tasks.clone();
        let mut set = tokio::task::JoinSet::new();
        set.spawn(async move { tasks.answer(chat(Some("run-1"))).await });
        set
    };
    gate.wait_for_calls(1).await;
    drop(caller);
    gate.release.add_permits(1);
    let (status, events) = house.end_of(&"run-1".parse().unwrap()).await;
    assert_eq!(
        status,
        TaskStatus::Running,
        "a task that the caller named stays open"
    );
    assert!(types(&events).contains(&"MODEL_CALL_COMPLETED"));
}

#[tokio::test]
async fn a_call_is_a_task_of_its_own_unless_it_names_one() {
    let house = house(EchoClient, Limits::default()).await;
    let alone = house.tasks.answer(chat(None)).await.unwrap();
    assert_eq!(house.look_at(&alone.task_id).await.0, TaskStatus::Succeeded);
    for _ in 0..3 {
        house.tasks.answer(chat(Some("run-2"))).await.unwrap();
    }
    let run: TaskId = "run-2".parse().unwrap();
    let cost = task_cost(house.store.as_ref(), &run)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((cost.total.calls, cost.by_alias[0].sum.calls), (3, 3));
    house.tasks.cancel(&run).await.unwrap();
    let ended = house.tasks.answer(chat(Some("run-2"))).await.unwrap_err();
    assert!(
        matches!(
            ended,
            DirectError::TaskEnded {
                status: TaskStatus::Cancelled,
                ..
            }
        ),
        "{ended}"
    );
    let closed = house
        .tasks
        .answer(chat(Some(alone.task_id.as_str())))
        .await
        .unwrap_err();
    assert!(matches!(closed, DirectError::TaskEnded { .. }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_first_calls_of_a_session_share_one_task() {
    let house = house(EchoClient, Limits::default()).await;
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let tasks = house.tasks.clone();
        calls.spawn(async move { tasks.answer(chat(Some("run-3"))).await.unwrap().task_id });
    }
    let ids = calls.join_all().await;
    assert!(ids.iter().all(|id| id.as_str() == "run-3"));
    let (_, events) = house.look_at(&ids[0]).await;
    let count = |kind: EventType| {
        events
            .iter()
            .filter(|event| event.event_type == kind)
            .count()
    };
    assert_eq!(
        (
            count(EventType::TaskCreated),
            count(EventType::ModelCallCompleted)
        ),
        (1, 20)
    );
}

#[tokio::test]
async fn what_a_crash_left_open_is_closed_once() {
    let gate = Gate::new(Cost::FREE);
    let House { store, tasks, dir } = house(
        gate.clone(),
        Limits {
            max_running: 2,
            max_queued: 9,
        },
    )
    .await;
    let running = tasks
        .submit(Message::new("one", "1"))
        .await
        .unwrap()
        .task_id;
    let session = {
        let tasks = tasks.clone();
        let mut set = tokio::task::JoinSet::new();
        set.spawn(async move { tasks.answer(chat(Some("run-4"))).await });
        set
    };
    gate.wait_for_calls(2).await;
    let waiting = tasks
        .submit(Message::new("two", "2"))
        .await
        .unwrap()
        .task_id;
    // The store is closed under the running calls: nothing of theirs is written any more.
    store.close().await.unwrap();
    gate.release.add_permits(3);
    drop(session);
    tasks.shut_down(Duration::ZERO).await;
    drop((store, tasks));

    let store = open(&dir).await;
    let clients = FallbackManager::without_fallback(Arc::new(EchoClient));
    let tasks = TaskService::new(
        store.clone(),
        LlmService::new(AliasRegistry::default(), clients),
        Limits::default(),
    );
    let recovered = tasks.recover().await.unwrap();
    assert_eq!((recovered.calls, recovered.tasks), (2, 2));
    assert_eq!(
        tasks.recover().await.unwrap(),
        Default::default(),
        "a second time there is nothing to do"
    );
    let house = House { store, tasks, dir };
    let (status, events) = house.look_at(&running).await;
    assert_eq!(status, TaskStatus::Failed);
    assert_eq!(
        types(&events)[3..],
        [
            "MODEL_CALL_STARTED",
            "MODEL_CALL_FAILED",
            "STATE_TRANSITION"
        ]
    );
    let Payload::ModelCallFailed(failed) = events[4].decode().unwrap() else {
        panic!()
    };
    assert_eq!(
        (failed.error_type.as_str(), failed.cost_unavailable),
        ("interrupted", true)
    );
    assert_eq!(house.look_at(&waiting).await.0, TaskStatus::Failed);
    let (status, events) = house.look_at(&"run-4".parse().unwrap()).await;
    assert_eq!(status, TaskStatus::Running, "a session goes on");
    assert_eq!(types(&events).last(), Some(&"MODEL_CALL_FAILED"));
}

#[tokio::test]
async fn a_sender_that_hangs_up_in_the_middle_leaves_a_task_that_runs_all_the_same() {
    let house = house(EchoClient, Limits::default()).await;
    // The database is held, so the sender goes while its message waits to be recorded.
    let other = rusqlite::Connection::open(house.dir.path().join("octo.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let sender = house.tasks.submit(Message::new("hi", "k"));
    assert!(
        tokio::time::timeout(Duration::from_millis(50), sender)
            .await
            .is_err()
    );
    other.execute_batch("ROLLBACK").unwrap();
    house.tasks.shut_down(Duration::from_secs(30)).await;
    let task = house.store.task_by_key("k").await.unwrap().unwrap();
    assert_eq!(house.look_at(&task.task_id).await.0, TaskStatus::Succeeded);
}

#[tokio::test]
async fn what_waits_when_the_house_closes_is_never_sent() {
    let gate = Gate::new(Cost::FREE);
    let (house, waiting) = one_runs_and_one_waits(&gate).await;
    let queued = house.tasks.answer(chat(Some("run-5")));
    let (queued, ()) = tokio::join!(queued, house.tasks.shut_down(Duration::from_millis(50)));
    assert!(matches!(queued.unwrap_err(), DirectError::NotAdmitted(_)));
    assert!(
        house
            .store
            .task(&"run-5".parse().unwrap())
            .await
            .unwrap()
            .is_none(),
        "nothing was created"
    );
    let (status, events) = house.look_at(&waiting).await;
    assert_eq!(status, TaskStatus::Failed);
    assert!(!types(&events).contains(&"MODEL_CALL_STARTED"));
    let late = house
        .tasks
        .submit(Message::new("three", "3"))
        .await
        .unwrap_err();
    assert!(late.to_string().contains("shutting down"), "{late}");
}

/// Hits a fault of its own.
struct Faulty;

#[async_trait]
impl ModelClient for Faulty {
    fn name(&self) -> &'static str {
        "faulty"
    }

    async fn complete(&self, _: &ModelCall) -> Result<Completion, ProviderError> {
        panic!("a fault, on purpose");
    }

    async fn stream(&self, _: &ModelCall) -> Result<ModelStream, ProviderError> {
        panic!("a fault, on purpose");
    }
}

#[tokio::test]
async fn a_client_that_panics_leaves_no_call_open() {
    let house = house(Faulty, Limits::default()).await;
    let error = house.tasks.answer(chat(Some("run-6"))).await.unwrap_err();
    assert!(matches!(error, DirectError::Call { .. }), "{error}");
    assert!(house.store.open_calls().await.unwrap().is_empty());
}

#[tokio::test]
async fn cancelling_a_session_ends_every_call_in_it() {
    let gate = Gate::new(Cost::FREE);
    let house = house(gate.clone(), Limits::default()).await;
    let run: TaskId = "run-7".parse().unwrap();
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..3 {
        let tasks = house.tasks.clone();
        calls.spawn(async move { tasks.answer(chat(Some("run-7"))).await });
    }
    gate.wait_for_calls(3).await;
    house.tasks.cancel(&run).await.unwrap();
    for outcome in calls.join_all().await {
        assert!(matches!(outcome.unwrap_err(), DirectError::Stopped { .. }));
    }
    let (status, events) = house.look_at(&run).await;
    assert_eq!(
        (status, types(&events).last()),
        (TaskStatus::Cancelled, Some(&"STATE_TRANSITION"))
    );
    assert!(house.store.open_calls().await.unwrap().is_empty());
}

#[tokio::test]
async fn the_end_of_a_call_waits_for_a_database_that_is_held() {
    let gate = Gate::new(Cost::FREE);
    let dir = tempfile::tempdir().unwrap();
    let options = SqliteOptions::new(dir.path().join("octo.db"), dir.path().join("artifacts"));
    let store = SqliteStore::open(options.busy_timeout(Duration::from_millis(5)))
        .await
        .unwrap();
    let store: Arc<dyn EventStore> = Arc::new(store);
    let clients = FallbackManager::without_fallback(Arc::new(gate.clone()));
    let llm = LlmService::new(AliasRegistry::default(), clients).with_summary_bytes(64);
    let tasks = TaskService::new(store.clone(), llm, Limits::default());
    let task_id = tasks.submit(Message::new("hi", "k")).await.unwrap().task_id;
    gate.wait_for_calls(1).await;
    let other = rusqlite::Connection::open(dir.path().join("octo.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    gate.release.add_permits(1);
    // Long enough for some tries to be refused; how many does not matter.
    tokio::time::sleep(Duration::from_millis(300)).await;
    other.execute_batch("ROLLBACK").unwrap();
    let house = House { store, tasks, dir };
    let (status, events) = house.end_of(&task_id).await;
    assert_eq!((status, events.len()), (TaskStatus::Succeeded, 7));
}

#[tokio::test]
async fn a_report_adds_up_by_what_it_is_asked_for() {
    let house = house(EchoClient, Limits::default()).await;
    for (key, alias) in [
        ("1", "planner"),
        ("2", "planner"),
        ("3", "router"),
        ("4", "nobody"),
    ] {
        let message = Message {
            model_alias: Some(alias.into()),
            ..Message::new("hi", key)
        };
        house.tasks.submit(message).await.unwrap();
    }
    house.tasks.shut_down(Duration::from_secs(30)).await;
    let query = CostQuery {
        group_by: vec![Dimension::Alias, Dimension::Category],
        ..CostQuery::default()
    };
    let all = report(house.store.as_ref(), query).await.unwrap();
    let shown: Vec<_> = all
        .rows
        .iter()
        .map(|row| (row.key[0].1.as_str(), row.key[1].1.as_str(), row.sum.calls))
        .collect();
    assert_eq!(
        shown,
        [
            ("nobody", "main", 1),
            ("planner", "main", 2),
            ("router", "cheap", 1)
        ]
    );
    assert_eq!((all.total.calls, all.total.calls_without_cost), (4, 0));
    let json = serde_json::to_value(&all).unwrap();
    assert_eq!(
        (&json["rows"][1]["alias"], &json["rows"][1]["calls"]),
        (&"planner".into(), &2.into())
    );
    let ungrouped = report(house.store.as_ref(), CostQuery::default())
        .await
        .unwrap();
    assert_eq!((ungrouped.rows.len(), ungrouped.total), (0, all.total));
    let nobody = task_cost(house.store.as_ref(), &"nobody".parse().unwrap())
        .await
        .unwrap();
    assert!(nobody.is_none());
    assert!(format!("{:?}", house.tasks).contains("TaskService"));
}
