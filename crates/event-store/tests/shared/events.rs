//! The events that tests record.

use event_payloads::{
    Actor, Cost, EventId, ModelCallCompleted, ModelCallFailed, ModelCallStarted, Payload,
    StateTransition, TaskCreated, TaskId, TaskStatus, UserMessage,
};
use event_store::{Commit, NewEvent, Parent};

pub(crate) fn commit(task_id: &TaskId, events: Vec<NewEvent>) -> Commit {
    Commit {
        task_id: task_id.clone(),
        events,
        artifacts: Vec::new(),
    }
}

pub(crate) fn created() -> NewEvent {
    NewEvent::new(
        Actor::System,
        Payload::TaskCreated(TaskCreated {
            title: "What is the capital of France?".to_owned(),
            thread_id: "default".to_owned(),
            scope_id: "chat:web:default".to_owned(),
            channel: "web".to_owned(),
            sender_id: "owner".to_owned(),
            risk_level: "low".to_owned(),
        }),
    )
}

pub(crate) fn message(text: &str) -> NewEvent {
    NewEvent::new(
        Actor::User,
        Payload::UserMessage(UserMessage {
            text_preview: text.to_owned(),
            text_length: 1,
            attachment_count: 0,
        }),
    )
}

pub(crate) fn moved(from_status: TaskStatus, to_status: TaskStatus) -> NewEvent {
    NewEvent::new(
        Actor::System,
        Payload::StateTransition(StateTransition {
            from_status,
            to_status,
            reason: String::new(),
        }),
    )
}

pub(crate) fn started(alias: &str) -> NewEvent {
    NewEvent::new(
        Actor::System,
        Payload::ModelCallStarted(ModelCallStarted {
            model_alias: alias.to_owned(),
            request_summary: "one message".to_owned(),
            category: "main".to_owned(),
            runtime_group: "main".to_owned(),
            ..ModelCallStarted::default()
        }),
    )
}

pub(crate) fn answer(call: ModelCallCompleted, cost: &Cost) -> NewEvent {
    let call = call.with_cost(cost);
    NewEvent::new(Actor::System, Payload::ModelCallCompleted(Box::new(call)))
}

pub(crate) fn completed(call_id: &EventId, cost: &Cost) -> NewEvent {
    let call = ModelCallCompleted {
        model_alias: "planner".to_owned(),
        response_summary: "Paris.".to_owned(),
        duration_ms: 420,
        model_name: "gpt-4o-mini".to_owned(),
        provider: "openai".to_owned(),
        ..ModelCallCompleted::default()
    };
    answer(call, cost).parent(Parent::Event(call_id.clone()))
}

pub(crate) fn failed(call_id: &EventId) -> NewEvent {
    let call = ModelCallFailed {
        model_alias: "planner".to_owned(),
        error_type: "timeout".to_owned(),
        error_message: "no answer within 30 s".to_owned(),
        duration_ms: 30_000,
        ..ModelCallFailed::default()
    };
    NewEvent::new(Actor::System, Payload::ModelCallFailed(Box::new(call)))
        .parent(Parent::Event(call_id.clone()))
}
