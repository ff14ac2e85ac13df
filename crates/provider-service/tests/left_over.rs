//! What a gateway leaves open itself, and calls that somebody else has closed meanwhile.

#![expect(
    clippy::unwrap_used,
    reason = "a test stops where something is missing"
)]

use std::sync::Arc;
use std::time::Duration;

use alias_registry::AliasRegistry;
use async_trait::async_trait;
use event_payloads::{
    Actor, Cost, CostSource, EventType, ModelCallFailed, ModelCallStarted, Payload, TaskCreated,
    TaskId, TaskStatus,
};
use event_store::{
    Commit, EventStore, IdSource, NewEvent, OpenCall, Parent, SqliteOptions, SqliteStore,
    SystemClock,
};
use provider_core::{
    Completion, ModelCall, ModelCallResult, ModelClient, ModelRequest, ModelStream, ProviderError,
};
use provider_service::{
    DirectCall, DirectError, FallbackManager, FallbackPolicy, Limits, LlmService, Recovered,
    Suspects, TaskService,
};
use tempfile::TempDir;
use tokio::sync::Semaphore;

/// Says when a call has come in, and answers it for a quarter dollar once it may.
#[derive(Clone)]
struct Gate {
    arrived: Arc<Semaphore>,
    release: Arc<Semaphore>,
}

#[async_trait]
impl ModelClient for Gate {
    fn name(&self) -> &'static str {
        "gate"
    }

    async fn complete(&self, call: &ModelCall) -> Result<Completion, ProviderError> {
        self.arrived.add_permits(1);
        self.release.acquire().await.unwrap().forget();
        let cost = Cost::known("0.25".parse().unwrap(), CostSource::Proxy);
        Ok(Completion {
            result: ModelCallResult::answered(call, "gate-1", "tests", "Through.", cost),
            body: "{}".into(),
        })
    }

    async fn stream(&self, _: &ModelCall) -> Result<ModelStream, ProviderError> {
        unreachable!("nothing here is streamed")
    }
}

struct House {
    store: Arc<dyn EventStore>,
    tasks: TaskService,
    gate: Gate,
    _dir: TempDir,
}

async fn house() -> House {
    let dir = tempfile::tempdir().unwrap();
    let options = SqliteOptions::new(dir.path().join("octo.db"), dir.path().join("artifacts"));
    let store: Arc<dyn EventStore> = Arc::new(SqliteStore::open(options).await.unwrap());
    let gate = Gate {
        arrived: Arc::new(Semaphore::new(0)),
        release: Arc::new(Semaphore::new(0)),
    };
    let clients = FallbackManager::without_fallback(Arc::new(gate.clone()));
    let llm = LlmService::new(AliasRegistry::default(), clients);
    House {
        tasks: TaskService::new(Arc::clone(&store), llm, Limits::default()),
        store,
        gate,
        _dir: dir,
    }
}

/// What is recorded although nobody works on it: as after a commit that was in doubt.
async fn left_behind(house: &House, with_call: bool) -> TaskId {
    let task_id = IdSource::new(Arc::new(SystemClock)).task_id();
    let created = Payload::TaskCreated(TaskCreated {
        title: "a task".to_owned(),
        thread_id: "default".to_owned(),
        scope_id: "chat:web:default".to_owned(),
        channel: "web".to_owned(),
        sender_id: "owner".to_owned(),
        risk_level: "low".to_owned(),
    });
    let mut commit = Commit::new(task_id.clone()).event(NewEvent::new(Actor::System, created));
    if with_call {
        let started = Payload::ModelCallStarted(ModelCallStarted::default());
        commit = commit.event(NewEvent::new(Actor::System, started));
    }
    house.store.append(commit).await.unwrap();
    task_id
}

fn call(task: &str) -> DirectCall {
    DirectCall {
        task: Some(task.parse().unwrap()),
        model: "planner".to_owned(),
        request: ModelRequest::from_prompt("hi"),
        fallback: FallbackPolicy::Refuse,
    }
}

#[tokio::test]
async fn what_nobody_works_on_is_closed_at_the_second_look_and_what_is_worked_on_is_not() {
    let house = house().await;
    let created = left_behind(&house, false).await;
    let started = left_behind(&house, true).await;
    let tasks = house.tasks.clone();
    let mut running = tokio::task::JoinSet::new();
    running.spawn(async move { tasks.answer(call("run")).await });
    house.gate.arrived.acquire().await.unwrap().forget();

    let mut suspects = Suspects::default();
    let look = house.tasks.close_abandoned(&mut suspects).await.unwrap();
    assert_eq!(look, Recovered::default(), "it can be between two steps");
    let look = house.tasks.close_abandoned(&mut suspects).await.unwrap();
    assert_eq!((look.calls, look.tasks), (1, 2));
    for task_id in [created, started] {
        let task = house.store.task(&task_id).await.unwrap().unwrap();
        assert_eq!(task.status, TaskStatus::Failed);
    }
    let open = house.store.open_calls().await.unwrap();
    assert_eq!(open.len(), 1, "the call that is worked on");

    house.gate.release.add_permits(1);
    running.join_next().await.unwrap().unwrap().unwrap();
    house.tasks.shut_down(Duration::from_secs(30)).await;
}

#[tokio::test]
async fn a_call_that_was_closed_as_abandoned_still_tells_what_it_cost() {
    let house = house().await;
    let tasks = house.tasks.clone();
    let mut running = tokio::task::JoinSet::new();
    running.spawn(async move { tasks.answer(call("run")).await });
    house.gate.arrived.acquire().await.unwrap().forget();
    let open: OpenCall = house.store.open_calls().await.unwrap().remove(0);
    let cost = Cost::Unavailable("interrupted".to_owned());
    let failed = ModelCallFailed::default().with_cost(&cost);
    let end = NewEvent::new(Actor::System, Payload::ModelCallFailed(Box::new(failed)))
        .parent(Parent::Event(open.call_id.clone()));
    let commit = Commit::new(open.task_id.clone()).event(end);
    house.store.append(commit).await.unwrap();

    house.gate.release.add_permits(1);
    let outcome = running.join_next().await.unwrap().unwrap();
    assert!(
        matches!(outcome, Err(DirectError::EndNotRecorded { .. })),
        "its end is not in the books"
    );
    let call = house.store.calls(&open.task_id).await.unwrap().remove(0);
    assert_eq!(
        call.cost,
        Some(
            "0.25"
                .parse::<event_payloads::Usd>()
                .unwrap()
                .to_picodollars()
        )
    );
    let events = house.store.events(&open.task_id, 0, 99).await.unwrap();
    let ends = events.iter().filter(|event| {
        matches!(
            event.event_type,
            EventType::ModelCallCompleted | EventType::ModelCallFailed
        )
    });
    assert_eq!(ends.count(), 1, "a call has one end");
    house.tasks.shut_down(Duration::from_secs(30)).await;
}
