//! A commit that was looked over, with its large contents on disk: what a writer gets, and its caller gets back.

use std::sync::OnceLock;

use event_payloads::{Actor, ArtifactId, EventType, Payload, TaskId};
use serde_json::Value;

use crate::files::{self, ArtifactFiles, StagedFile};
use crate::rows;
use crate::{Artifact, ArtifactPart, Commit, NewArtifact, NewEvent, Parent, StoreError};

#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) task_id: TaskId,
    pub(crate) events: Vec<PreparedEvent>,
    pub(crate) artifacts: Vec<PreparedArtifact>,
}

/// An event with its payload in every form that recording it takes.
#[derive(Debug)]
pub(crate) struct PreparedEvent {
    pub(crate) body: EventBody,
    /// As its type, also where it was handed over as JSON: the rules hold however it came.
    pub(crate) payload: Payload,
    /// As the text of its row.
    pub(crate) json: String,
    /// As its readers see it, once somebody has asked: most are written, and nobody here reads them.
    value: OnceLock<Value>,
    pub(crate) parent: Parent,
}

/// What of an event comes from its caller beside its payload, as its readers see it.
#[derive(Clone, Debug)]
pub(crate) struct EventBody {
    pub(crate) event_type: EventType,
    pub(crate) actor: Actor,
    pub(crate) span_id: String,
    pub(crate) idempotency_key: Option<String>,
}

impl PreparedEvent {
    pub(crate) fn new(new: NewEvent, task_id: &TaskId) -> Result<Self, StoreError> {
        let invalid = |reason: String| StoreError::InvalidCommit {
            task_id: task_id.clone(),
            reason,
        };
        let json = serde_json::to_string(&new.payload);
        let json = json.map_err(|error| invalid(error.to_string()))?;
        let event_type = new.payload.event_type();
        let (payload, value) = match new.payload {
            Payload::Unknown(_, value) => {
                let payload = Payload::decode(&event_type, &value).map_err(|_| {
                    invalid(format!("the payload of {event_type} has not its shape"))
                })?;
                (payload, value.into())
            }
            typed => (typed, OnceLock::new()),
        };
        Ok(Self {
            json,
            payload,
            value,
            parent: new.parent,
            body: EventBody {
                event_type,
                actor: new.actor,
                span_id: new.span_id,
                idempotency_key: new.idempotency_key,
            },
        })
    }

    /// The payload as its readers see it.
    pub(crate) fn value(&self) -> &Value {
        self.value.get_or_init(|| rows::payload(&self.json))
    }

    /// True if the payload has a field that its type always writes: only what was handed over as JSON can lack one.
    pub(crate) fn states(&self, field: &str) -> bool {
        let value = self.value.get();
        value.is_none_or(|value| value.get(field).is_some())
    }

    /// What its readers see.
    pub(crate) fn into_body(self) -> (EventBody, Value) {
        let value = self.value.into_inner();
        (
            self.body,
            value.unwrap_or_else(|| rows::payload(&self.json)),
        )
    }
}

#[derive(Debug)]
pub(crate) struct PreparedArtifact {
    pub(crate) artifact_id: ArtifactId,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) part: ArtifactPart,
    pub(crate) storage_ref: Option<String>,
    pub(crate) size: u64,
    pub(crate) hash: String,
    pub(crate) file: Option<StagedFile>,
    /// The content, where it stands neither in the row nor in a file.
    pub(crate) content: Option<Vec<u8>>,
}

/// What artifacts may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ArtifactLimits {
    pub(crate) inline: usize,
    pub(crate) max: u64,
}

impl ArtifactLimits {
    /// True if the content stands in the row. Python reads it there as text.
    fn is_inline(self, content: &[u8]) -> bool {
        content.len() <= self.inline && std::str::from_utf8(content).is_ok()
    }
}

/// Refuses what no store could record, before anything is written.
pub(crate) fn look_over(commit: &Commit, limits: ArtifactLimits) -> Result<(), StoreError> {
    let invalid = |reason: String| {
        Err(StoreError::InvalidCommit {
            task_id: commit.task_id.clone(),
            reason,
        })
    };
    if commit.events.is_empty() {
        return invalid("it has no event".to_owned());
    }
    for (index, event) in commit.events.iter().enumerate() {
        if matches!(event.parent, Parent::InCommit(parent) if parent >= index) {
            return invalid(format!(
                "the parent of its event {index} does not stand before it"
            ));
        }
        if matches!(&event.payload, Payload::Unknown(_, payload) if !payload.is_object()) {
            return invalid(format!(
                "the payload of its event {index} is no JSON object"
            ));
        }
        if event.idempotency_key.as_deref() == Some("") {
            return invalid(format!("the idempotency key of its event {index} is empty"));
        }
    }
    for (index, artifact) in commit.artifacts.iter().enumerate() {
        let id = &artifact.artifact_id;
        let earlier = commit.artifacts.iter().take(index);
        if earlier.into_iter().any(|other| other.artifact_id == *id) {
            return invalid(format!("two of its artifacts are called {id}"));
        }
        let size = u64::try_from(artifact.content.len()).unwrap_or(u64::MAX);
        if size > limits.max {
            return Err(StoreError::ArtifactTooLarge {
                artifact_id: artifact.artifact_id.clone(),
                name: artifact.name.clone(),
                size,
                limit: limits.max,
            });
        }
        for id in [commit.task_id.as_str(), artifact.artifact_id.as_str()] {
            if !files::is_file_name(id) {
                return invalid(format!(
                    "its artifact can not be kept under the name `{id}`"
                ));
            }
        }
    }
    Ok(())
}

impl Prepared {
    /// True if preparing writes files or hashes enough to hold a thread up.
    pub(crate) fn takes_time(commit: &Commit, limits: ArtifactLimits) -> bool {
        commit
            .artifacts
            .iter()
            .any(|artifact| !limits.is_inline(&artifact.content))
    }

    /// Puts the large contents on disk, where there are files. They vanish again if this is dropped before
    /// [`keep`](Self::keep).
    pub(crate) fn new(
        commit: Commit,
        limits: ArtifactLimits,
        files: Option<&ArtifactFiles>,
    ) -> Result<Self, StoreError> {
        let task_id = commit.task_id;
        let events = commit
            .events
            .into_iter()
            .map(|event| PreparedEvent::new(event, &task_id))
            .collect::<Result<_, _>>()?;
        let artifacts = commit
            .artifacts
            .into_iter()
            .map(|artifact| PreparedArtifact::new(&task_id, artifact, limits, files))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            task_id,
            events,
            artifacts,
        })
    }

    /// The commit is recorded: its files stay.
    pub(crate) fn keep(&mut self) {
        self.files().for_each(StagedFile::keep);
    }

    /// The commit may come to be on record: its files stay, and the next start decides.
    pub(crate) fn leave(&mut self) {
        self.files().for_each(StagedFile::leave);
    }

    /// The commit is refused: its files give their names back.
    pub(crate) fn take_back(&mut self) -> Result<(), StoreError> {
        self.files().try_for_each(StagedFile::take_back)
    }

    fn files(&mut self) -> impl Iterator<Item = &mut StagedFile> {
        self.artifacts
            .iter_mut()
            .filter_map(|each| each.file.as_mut())
    }
}

impl PreparedArtifact {
    /// An artifact of another store.
    pub(crate) fn copied(
        row: &Artifact,
        content: Vec<u8>,
        limits: ArtifactLimits,
        files: Option<&ArtifactFiles>,
    ) -> Result<Self, StoreError> {
        let mime = row.parts.first().map(|part| part.mime.clone());
        let artifact = NewArtifact {
            artifact_id: row.artifact_id.clone(),
            name: row.name.clone(),
            description: row.description.clone(),
            mime: mime.unwrap_or_default(),
            content,
        };
        Self::new(&row.task_id, artifact, limits, files)
    }

    fn new(
        task_id: &TaskId,
        artifact: NewArtifact,
        limits: ArtifactLimits,
        files: Option<&ArtifactFiles>,
    ) -> Result<Self, StoreError> {
        let hash = files::sha256(&artifact.content);
        let size = u64::try_from(artifact.content.len()).unwrap_or(u64::MAX);
        let (mut file, mut content) = (None, None);
        let mut storage_ref = None;
        let mut part = ArtifactPart {
            kind: "text".to_owned(),
            mime: artifact.mime,
            content: None,
            uri: None,
        };
        if limits.is_inline(&artifact.content) {
            part.content = String::from_utf8(artifact.content).ok();
        } else {
            match files {
                Some(files) => {
                    file = Some(files.stage(task_id, &artifact.artifact_id, &artifact.content)?);
                }
                None => content = Some(artifact.content),
            }
            storage_ref = Some(files::reference(task_id, &artifact.artifact_id));
            part.kind = "file".to_owned();
            part.uri.clone_from(&storage_ref);
        }
        Ok(Self {
            artifact_id: artifact.artifact_id,
            name: artifact.name,
            description: artifact.description,
            part,
            storage_ref,
            size,
            hash,
            file,
            content,
        })
    }
}
