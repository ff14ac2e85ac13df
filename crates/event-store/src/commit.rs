//! What a caller hands over to be recorded.

use event_payloads::{Actor, ArtifactId, EventId, Payload, TaskId};

/// Events and artifacts of one task that are recorded together or not at all.
///
/// ```
/// use event_payloads::{Actor, Payload, StateTransition, TaskStatus};
/// use event_store::{Commit, NewEvent};
///
/// let running = Payload::StateTransition(StateTransition {
///     from_status: TaskStatus::Created,
///     to_status: TaskStatus::Running,
///     reason: String::new(),
/// });
/// let commit = Commit::new("task-1".parse()?).event(NewEvent::new(Actor::System, running));
/// assert_eq!(commit.events.len(), 1);
/// # Ok::<(), event_payloads::InvalidId>(())
/// ```
#[derive(Clone, Debug)]
pub struct Commit {
    /// The task; created by a `TASK_CREATED` event, which is then the first of the commit.
    pub task_id: TaskId,
    /// At least one event, in the order in which they happened.
    pub events: Vec<NewEvent>,
    /// Contents that the events speak of. The matching `ARTIFACT_CREATED` is the caller's to add.
    pub artifacts: Vec<NewArtifact>,
}

impl Commit {
    /// A commit without events yet.
    #[must_use]
    pub const fn new(task_id: TaskId) -> Self {
        Self {
            task_id,
            events: Vec::new(),
            artifacts: Vec::new(),
        }
    }

    /// Adds an event after those already there.
    #[must_use]
    pub fn event(mut self, event: NewEvent) -> Self {
        self.events.push(event);
        self
    }

    /// Adds an artifact.
    #[must_use]
    pub fn artifact(mut self, artifact: NewArtifact) -> Self {
        self.artifacts.push(artifact);
        self
    }
}

/// An event before the store has given it its identifier, time, position and trace.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// What happened.
    pub payload: Payload,
    /// Who caused it.
    pub actor: Actor,
    /// The span of the work that records it; empty if none.
    pub span_id: String,
    /// The event that it answers. The end of a model call names its start.
    pub parent: Parent,
    /// Makes a repeated request find this event instead of adding another: unique in the store.
    pub idempotency_key: Option<String>,
}

impl NewEvent {
    /// An event without span, parent and key.
    #[must_use]
    pub const fn new(actor: Actor, payload: Payload) -> Self {
        Self {
            payload,
            actor,
            span_id: String::new(),
            parent: Parent::None,
            idempotency_key: None,
        }
    }

    /// Sets the span.
    #[must_use]
    pub fn span(mut self, span_id: impl Into<String>) -> Self {
        self.span_id = span_id.into();
        self
    }

    /// Sets the parent.
    #[must_use]
    pub fn parent(mut self, parent: Parent) -> Self {
        self.parent = parent;
        self
    }

    /// Sets the idempotency key.
    #[must_use]
    pub fn key(mut self, idempotency_key: impl Into<String>) -> Self {
        self.idempotency_key = Some(idempotency_key.into());
        self
    }
}

/// The event that another one answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Parent {
    /// None.
    #[default]
    None,
    /// A recorded event.
    Event(EventId),
    /// An earlier event of the same commit, by its index in [`Commit::events`].
    InCommit(usize),
}

/// A content to keep whole beside the events.
#[derive(Clone, Debug)]
pub struct NewArtifact {
    /// Its identifier, see [`IdSource::artifact_id`](crate::IdSource::artifact_id).
    pub artifact_id: ArtifactId,
    /// What it is: `llm-response`.
    pub name: String,
    /// More about it, for people.
    pub description: String,
    /// Its media type: `text/plain`.
    pub mime: String,
    /// The bytes.
    pub content: Vec<u8>,
}
