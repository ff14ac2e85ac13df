//! Artifacts: the event, the row, the content.

use std::collections::BTreeSet;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{Findings, Moment, Rule, hex};
use crate::books::{Artifact, Books};

pub(crate) fn check(books: &Books, moment: Moment, found: &mut Findings) {
    if moment == Moment::Settled {
        left_behind(books, found);
    }
    let mut told = BTreeSet::new();
    for (task_id, events) in &books.events {
        for event in events {
            match event.kind.as_str() {
                "ARTIFACT_CREATED" => {
                    let artifact_id = event.payload["artifact_id"].as_str().unwrap_or_default();
                    told.insert(artifact_id);
                    created(books, task_id, artifact_id, &event.payload, found);
                }
                "MODEL_CALL_COMPLETED" => {
                    // Old events have none.
                    let reference = event.payload["artifact_ref"].as_str();
                    let known = reference.is_none_or(|id| books.artifacts.contains_key(id));
                    found.unless(known, Rule::WholeArtifacts, || {
                        format!("{} refers to no artifact: {reference:?}", event.id)
                    });
                }
                _ => {}
            }
        }
    }
    for (artifact_id, artifact) in &books.artifacts {
        let has_event = told.contains(artifact_id.as_str());
        found.unless(has_event, Rule::WholeArtifacts, || {
            format!("{artifact_id} has a row and no event")
        });
        content(books, artifact_id, artifact, found);
    }
}

/// What a kill left between the placing of a file and its commit is gone after the next start.
fn left_behind(books: &Books, found: &mut Findings) {
    let orphans = books.orphans();
    found.unless(orphans.is_empty(), Rule::WholeArtifacts, || {
        format!("files without a row: {orphans:?}")
    });
    found.unless(books.undecided == 0, Rule::WholeArtifacts, || {
        format!("{} files are noted as undecided", books.undecided)
    });
}

fn created(books: &Books, task_id: &str, artifact_id: &str, payload: &Value, found: &mut Findings) {
    let Some(artifact) = books.artifacts.get(artifact_id) else {
        let what = format!("{artifact_id} of {task_id} has no row");
        found.add(Rule::WholeArtifacts, what);
        return;
    };
    let same = artifact.task_id == task_id
        && payload["name"] == artifact.name.as_str()
        && payload["size"].as_u64() == Some(artifact.size);
    found.unless(same, Rule::WholeArtifacts, || {
        format!("the row of {artifact_id} and its event differ: {artifact:?}, {payload}")
    });
}

fn content(books: &Books, artifact_id: &str, artifact: &Artifact, found: &mut Findings) {
    let inline = artifact.parts[0]["content"].as_str();
    let content = match (inline, artifact.storage_ref.as_deref()) {
        (Some(content), None) => Ok(content.as_bytes().to_vec()),
        (None, Some(file)) => match books.contents.get(artifact_id) {
            Some(content) => Ok(content.clone()),
            None => std::fs::read(books.folder.join(file)),
        },
        _ => {
            let what = format!("{artifact_id} is neither in the database nor a file, or both");
            found.add(Rule::WholeArtifacts, what);
            return;
        }
    };
    match content {
        Err(error) => found.add(
            Rule::WholeArtifacts,
            format!("the file of {artifact_id}: {error}"),
        ),
        Ok(content) => {
            let size = u64::try_from(content.len()).unwrap();
            let whole = size == artifact.size && hex(&Sha256::digest(&content)) == artifact.hash;
            found.unless(whole, Rule::WholeArtifacts, || {
                format!("the content of {artifact_id} is not what its row says")
            });
        }
    }
}
