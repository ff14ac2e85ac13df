//! A message that becomes a task.

use event_payloads::{
    Actor, MAX_PREVIEW_CHARS, MAX_TITLE_CHARS, Payload, StateTransition, TaskCreated, TaskId,
    TaskStatus, UserMessage, first_chars,
};
use event_store::{Commit, NewEvent, StoreError};
use provider_core::ModelRequest;

use crate::NotAdmitted;

/// The alias of a message that does not name one.
const DEFAULT_ALIAS: &str = "main";

/// A message from a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What it says.
    pub text: String,
    /// The same key again finds the same task.
    pub idempotency_key: String,
    /// How it came in.
    pub channel: String,
    /// The conversation that it belongs to.
    pub thread_id: String,
    /// Who sent it.
    pub sender_id: String,
    /// Who is to answer; `main` if it does not say.
    pub model_alias: Option<String>,
}

impl Message {
    /// A message on the web channel, from the owner.
    #[must_use]
    pub fn new(text: &str, idempotency_key: &str) -> Self {
        Self {
            text: text.to_owned(),
            idempotency_key: idempotency_key.to_owned(),
            channel: "web".to_owned(),
            thread_id: "default".to_owned(),
            sender_id: "owner".to_owned(),
            model_alias: None,
        }
    }

    pub(crate) fn alias(&self) -> &str {
        self.model_alias.as_deref().unwrap_or(DEFAULT_ALIAS)
    }

    pub(crate) fn request(&self) -> ModelRequest {
        ModelRequest::from_prompt(&self.text)
    }

    /// TASK_CREATED, with the key that makes it unique, and USER_MESSAGE.
    pub(crate) fn opening(&self, task_id: TaskId) -> Commit {
        let key = (!self.idempotency_key.is_empty()).then_some(self.idempotency_key.as_str());
        opening(
            task_id,
            Origin {
                channel: &self.channel,
                thread_id: &self.thread_id,
                sender_id: &self.sender_id,
                key,
            },
            &self.text,
        )
    }
}

/// Where a task comes from.
#[derive(Clone, Copy)]
pub(crate) struct Origin<'a> {
    pub(crate) channel: &'a str,
    pub(crate) thread_id: &'a str,
    pub(crate) sender_id: &'a str,
    pub(crate) key: Option<&'a str>,
}

/// The first two events of any task.
pub(crate) fn opening(task_id: TaskId, origin: Origin<'_>, text: &str) -> Commit {
    let created = NewEvent::new(
        Actor::System,
        Payload::TaskCreated(TaskCreated {
            title: first_chars(text, MAX_TITLE_CHARS).to_owned(),
            thread_id: origin.thread_id.to_owned(),
            scope_id: format!("chat:{}:{}", origin.channel, origin.thread_id),
            channel: origin.channel.to_owned(),
            sender_id: origin.sender_id.to_owned(),
            risk_level: "low".to_owned(),
        }),
    );
    let created = match origin.key {
        Some(key) => created.key(key),
        None => created,
    };
    let message = Payload::UserMessage(UserMessage {
        text_preview: first_chars(text, MAX_PREVIEW_CHARS).to_owned(),
        text_length: u64::try_from(text.chars().count()).unwrap_or(u64::MAX),
        attachment_count: 0,
    });
    Commit::new(task_id)
        .event(created)
        .event(NewEvent::new(Actor::User, message))
}

/// STATE_TRANSITION.
pub(crate) fn transition(from: TaskStatus, to: TaskStatus, reason: &str) -> NewEvent {
    let payload = StateTransition {
        from_status: from,
        to_status: to,
        reason: reason.to_owned(),
    };
    NewEvent::new(Actor::System, Payload::StateTransition(payload))
}

/// A message that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submitted {
    /// Its task.
    pub task_id: TaskId,
    /// Where the task stands now.
    pub status: TaskStatus,
    /// False if the key had been used before and this is that task.
    pub created: bool,
}

/// A message that was not taken; nothing was created.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SubmitError {
    /// Too much runs and waits already, or the gateway is ending.
    #[error(transparent)]
    NotAdmitted(#[from] NotAdmitted),
    /// It could not be written down.
    #[error(transparent)]
    Store(#[from] StoreError),
}
