//! A service over the store, and a model that answers when the test says so.

use std::sync::Arc;

use alias_registry::AliasRegistry;
use event_payloads::{
    Actor, Cost, CostSource, Event, Payload, StateTransition, TaskId, TaskStatus, UserMessage,
};
use event_store::{Commit, EventStore, NewEvent, SqliteOptions, SqliteStore};
use provider_core::ModelRequest;
use provider_service::{
    DirectAnswer, DirectCall, DirectError, FallbackManager, FallbackPolicy, Limits, LlmService,
    TaskService,
};
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::gate::Gate;
use crate::store::Troubled;

/// What a call of the model costs.
pub(crate) const PRICE: &str = "0.25";

/// A call that is under way.
pub(crate) struct Calling(JoinSet<Result<DirectAnswer, DirectError>>);

impl Calling {
    pub(crate) async fn outcome(mut self) -> Result<DirectAnswer, DirectError> {
        self.0.join_next().await.unwrap().unwrap()
    }
}

pub(crate) struct House {
    pub(crate) store: Arc<Troubled>,
    pub(crate) tasks: TaskService,
    gate: Gate,
    _dir: TempDir,
}

impl House {
    pub(crate) async fn alone() -> Self {
        Self::open(false).await
    }

    pub(crate) async fn shared() -> Self {
        Self::open(true).await
    }

    async fn open(is_shared: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = SqliteOptions::new(dir.path().join("octo.db"), dir.path().join("artifacts"));
        let store = SqliteStore::open(options).await.unwrap();
        let store = Arc::new(Troubled::new(store, is_shared));
        let gate = Gate::new(Cost::known(PRICE.parse().unwrap(), CostSource::Proxy));
        let clients = FallbackManager::without_fallback(Arc::new(gate.clone()));
        let llm = LlmService::new(AliasRegistry::default(), clients);
        Self {
            tasks: TaskService::new(store.clone(), llm, Limits::default()),
            store,
            gate,
            _dir: dir,
        }
    }

    /// A call, in a session or as a task of its own; it is at the model when this returns.
    pub(crate) async fn call(&self, session: Option<&TaskId>) -> Calling {
        let (tasks, call) = (self.tasks.clone(), direct(session));
        let mut calling = JoinSet::new();
        calling.spawn(async move { tasks.answer(call).await });
        self.gate.wait_for_calls(1).await;
        Calling(calling)
    }

    /// True if no further call has come to the model.
    pub(crate) fn nothing_was_sent(&self) -> bool {
        self.gate.arrived.available_permits() == 0
    }

    /// Lets the model answer.
    pub(crate) fn answer(&self) {
        self.gate.release.add_permits(1);
    }

    pub(crate) async fn status(&self, task_id: &TaskId) -> TaskStatus {
        let task = self.store.elsewhere().task(task_id).await.unwrap();
        task.unwrap().status
    }

    /// The events that ended the calls of a task.
    pub(crate) async fn ends(&self, task_id: &TaskId) -> Vec<Payload> {
        let events = self.store.events(task_id, 0, 10_000).await.unwrap();
        let payloads = events.iter().map(Event::decode).map(Result::unwrap);
        payloads
            .filter(|payload| {
                matches!(
                    payload,
                    Payload::ModelCallCompleted(_) | Payload::ModelCallFailed(_)
                )
            })
            .collect()
    }

    /// Another gateway records these. Nothing goes on here until all who follow the task have been told.
    pub(crate) fn recorded_elsewhere(
        &self,
        task_id: &TaskId,
        events: impl IntoIterator<Item = NewEvent>,
    ) {
        let commit = Commit::new(task_id.clone());
        let commit = events.into_iter().fold(commit, Commit::event);
        let append = self.store.elsewhere().append(commit);
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        std::thread::scope(|scope| {
            let other = scope.spawn(|| runtime.unwrap().block_on(append).unwrap());
            other.join().unwrap();
        });
    }

    /// Lets all that can go on here do so.
    pub(crate) async fn settled(&self) {
        for _ in 0..20 {
            self.store.elsewhere().check().await.unwrap();
            tokio::task::yield_now().await;
        }
    }
}

/// A call, in a session or as a task of its own.
pub(crate) fn direct(session: Option<&TaskId>) -> DirectCall {
    DirectCall {
        task: session.cloned(),
        model: "planner".to_owned(),
        request: ModelRequest::from_prompt("hi"),
        fallback: FallbackPolicy::Refuse,
    }
}

/// A session that ends.
pub(crate) fn becomes(status: TaskStatus) -> NewEvent {
    let payload = Payload::StateTransition(StateTransition {
        from_status: TaskStatus::Running,
        to_status: status,
        reason: "by somebody else".to_owned(),
    });
    NewEvent::new(Actor::System, payload)
}

/// So many messages.
pub(crate) fn messages(count: usize) -> impl Iterator<Item = NewEvent> {
    let message = Payload::UserMessage(UserMessage {
        text_preview: "more".to_owned(),
        text_length: 4,
        attachment_count: 0,
    });
    std::iter::repeat_n(NewEvent::new(Actor::User, message), count)
}
