//! Artifacts, without their content.

use event_payloads::{ArtifactId, TaskId, Timestamp};
use serde::{Deserialize, Serialize};

/// What is known of an artifact; [`EventStore::artifact_content`](crate::EventStore::artifact_content)
/// gives its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Artifact {
    /// Its identifier.
    pub artifact_id: ArtifactId,
    /// The task that it belongs to.
    pub task_id: TaskId,
    /// When it was recorded.
    pub ts: Timestamp,
    /// What it is: `llm-response`.
    pub name: String,
    /// More about it, for people.
    pub description: String,
    /// Its parts; those we write have one.
    pub parts: Vec<ArtifactPart>,
    /// The file with its content, relative to the artifacts folder; `None` if `parts` holds it.
    pub storage_ref: Option<String>,
    /// Length of the content, in bytes.
    pub size: u64,
    /// SHA-256 of the content in hexadecimal; empty in rows that never had one.
    pub hash: String,
    /// 1 unless somebody wrote a newer one.
    pub version: u32,
}

impl Artifact {
    /// The content that stands in the row; `None` if it has none.
    pub(crate) fn inline_content(&self) -> Option<Vec<u8>> {
        let texts = self.parts.iter().filter_map(|part| part.content.as_deref());
        let texts: Vec<&str> = texts.collect();
        (!texts.is_empty()).then(|| texts.concat().into_bytes())
    }
}

/// One part of an artifact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtifactPart {
    /// `text` if `content` holds it, `file` if a file does.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// Its media type.
    #[serde(default)]
    pub mime: String,
    /// The text itself, if it is short.
    #[serde(default)]
    pub content: Option<String>,
    /// Where else it is.
    #[serde(default)]
    pub uri: Option<String>,
}
