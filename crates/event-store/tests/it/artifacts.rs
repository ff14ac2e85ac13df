//! Contents, in the row or in a file: where they stand.

use std::path::{Path, PathBuf};

use event_payloads::{ArtifactId, TaskId};
use event_store::{Commit, EventStore, NewArtifact, SqliteStore, StoreError};
use rusqlite::params;

use crate::desk::{Desk, options};
use crate::events::{commit, created, message};

fn artifact(desk: &Desk, content: impl Into<Vec<u8>>) -> NewArtifact {
    NewArtifact {
        artifact_id: desk.ids.artifact_id(),
        name: "llm-response".to_owned(),
        description: "the whole answer".to_owned(),
        mime: "text/plain".to_owned(),
        content: content.into(),
    }
}

fn with(task_id: &TaskId, artifact: NewArtifact) -> Commit {
    commit(task_id, vec![message("a")]).artifact(artifact)
}

/// Every file under the artifacts folder.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![dir.join("artifacts")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found
}

async fn content(desk: &Desk, artifact_id: &ArtifactId) -> Result<Option<Vec<u8>>, StoreError> {
    desk.store.artifact_content(artifact_id).await
}

#[tokio::test]
async fn a_short_text_stands_in_the_row() {
    let desk = Desk::new().await;
    let task_id = desk.running().await;
    let new = artifact(&desk, "x".repeat(4096));
    let id = new.artifact_id.clone();
    desk.store.append(with(&task_id, new)).await.unwrap();
    let found = desk.store.artifacts(&task_id).await.unwrap();
    assert_eq!(
        (found[0].size, found[0].storage_ref.as_deref()),
        (4096, None)
    );
    assert_eq!(found[0].parts[0].kind, "text");
    assert_eq!(found[0].hash.len(), 64);
    assert_eq!(found[0].version, 1);
    assert_eq!(
        content(&desk, &id).await.unwrap().unwrap(),
        "x".repeat(4096).into_bytes()
    );
    assert!(files(desk.dir.path()).is_empty());
    assert_eq!(
        content(&desk, &"nothing".parse().unwrap()).await.unwrap(),
        None
    );
}

#[tokio::test]
async fn a_long_text_and_what_is_no_text_are_files() {
    let desk = Desk::new().await;
    let task_id = desk.running().await;
    for bytes in ["y".repeat(4097).into_bytes(), vec![0xff, 0xfe]] {
        let new = artifact(&desk, bytes.clone());
        let id = new.artifact_id.clone();
        desk.store.append(with(&task_id, new)).await.unwrap();
        assert_eq!(content(&desk, &id).await.unwrap().unwrap(), bytes);
        let place = desk
            .dir
            .path()
            .join("artifacts")
            .join(task_id.as_str())
            .join(id.as_str());
        assert_eq!(std::fs::read(place).unwrap(), bytes);
    }
    let found = desk.store.artifacts(&task_id).await.unwrap();
    let expected = format!("{task_id}/{}", found[0].artifact_id);
    assert_eq!(found[0].storage_ref.as_deref(), Some(expected.as_str()));
    assert_eq!(found[0].parts[0].kind, "file");
    assert_eq!(found[0].parts[0].uri, found[0].storage_ref);
    assert_eq!(files(desk.dir.path()).len(), 2, "nothing waits any more");
    assert!(names(&artifacts(&desk).join(".incoming~")).is_empty());
}

#[tokio::test]
async fn a_refused_commit_leaves_no_file_and_touches_no_other() {
    let desk = Desk::new().await;
    let task_id = desk.running().await;
    let first = artifact(&desk, "1".repeat(5_000));
    let id = first.artifact_id.clone();
    desk.store
        .append(with(&task_id, first.clone()))
        .await
        .unwrap();
    // The same name again: refused, and the file that has the name stays what it is.
    let again = NewArtifact {
        content: "2".repeat(5_000).into_bytes(),
        ..first
    };
    let error = desk.store.append(with(&task_id, again)).await.unwrap_err();
    assert!(
        matches!(error, StoreError::ArtifactExists { .. }),
        "{error}"
    );
    // The file has its place already when the second artifact is refused.
    let taken = artifact(&desk, "short");
    let twice = with(&task_id, artifact(&desk, "3".repeat(5_000)))
        .artifact(taken.clone())
        .artifact(taken);
    desk.store.append(twice).await.unwrap_err();
    let refused = commit(&task_id, vec![created()]).artifact(artifact(&desk, "4".repeat(5_000)));
    desk.store.append(refused).await.unwrap_err();
    assert_eq!(files(desk.dir.path()).len(), 1);
    assert!(names(&artifacts(&desk).join(".incoming~")).is_empty());
    assert_eq!(
        content(&desk, &id).await.unwrap().unwrap(),
        "1".repeat(5_000).into_bytes()
    );
}

#[tokio::test]
async fn a_refused_commit_does_not_take_the_file_of_one_that_shares_its_transaction() {
    let desk = Desk::new().await;
    let task_id = desk.running().await;
    let bad = artifact(&desk, "1".repeat(5_000));
    let good = NewArtifact {
        content: "2".repeat(5_000).into_bytes(),
        ..bad.clone()
    };
    let id = bad.artifact_id.clone();
    let refused = commit(&task_id, vec![created()]).artifact(bad);
    // While the database is held, commits gather.
    let other = desk.sql();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut appends = tokio::task::JoinSet::new();
    let first = commit(&task_id, vec![message("a")]);
    for (count, commit) in [first, refused, with(&task_id, good)]
        .into_iter()
        .enumerate()
    {
        let store = std::sync::Arc::clone(&desk.store);
        appends.spawn(async move { store.append(commit).await.is_ok() });
        // It is in the queue soon after its file is there.
        while files(desk.dir.path()).len() < count {
            tokio::task::yield_now().await;
        }
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    }
    other.execute_batch("COMMIT").unwrap();
    let outcomes = appends.join_all().await;
    assert_eq!(outcomes.iter().filter(|ok| **ok).count(), 2);
    let kept = content(&desk, &id).await.unwrap().unwrap();
    assert_eq!(kept, "2".repeat(5_000).into_bytes());
    assert_eq!(files(desk.dir.path()).len(), 1);
}

#[tokio::test]
async fn a_changed_short_or_missing_file_is_damage() {
    let desk = Desk::new().await;
    let task_id = desk.running().await;
    let new = artifact(&desk, "x".repeat(5_000));
    let id = new.artifact_id.clone();
    desk.store.append(with(&task_id, new)).await.unwrap();
    let place = files(desk.dir.path()).remove(0);
    for wrong in ["y".repeat(5_000), "x".repeat(4_999), "x".repeat(50_000)] {
        std::fs::write(&place, wrong).unwrap();
        let error = content(&desk, &id).await.unwrap_err();
        assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
        assert!(error.to_string().contains(id.as_str()));
    }
    std::fs::remove_file(&place).unwrap();
    let error = content(&desk, &id).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
}

#[tokio::test]
async fn old_references_are_read_only_inside_the_folder() {
    let desk = Desk::new().await;
    let task_id = desk.running().await;
    let inside = desk.dir.path().join("artifacts").join("old.txt");
    let outside = desk.dir.path().join("secret.txt");
    std::fs::write(&inside, "inside").unwrap();
    std::fs::write(&outside, "outside").unwrap();
    let moved = desk.dir.path().join("artifacts").join(task_id.as_str());
    std::fs::create_dir_all(&moved).unwrap();
    std::fs::write(moved.join("moved"), "moved").unwrap();
    let sql = desk.sql();
    let insert = |id: &str, reference: Option<&str>, parts: &str| {
        sql.execute(
            "INSERT INTO artifacts (artifact_id, task_id, ts, name, parts, storage_ref)
             VALUES (?1, ?2, '2026-03-01 12:00:00', 'llm-response', ?4, ?3)",
            params![id, task_id.as_str(), reference, parts],
        )
        .unwrap();
    };
    insert("absolute", inside.to_str(), "[]");
    insert("moved", Some("/somewhere/else/moved"), "[]");
    insert("outside", outside.to_str(), "[]");
    insert("climbing", Some("../secret.txt"), "[]");
    insert(
        "inline",
        None,
        r#"[{"type":"text","mime":"text/plain","content":"a","uri":null},{"content":"b"}]"#,
    );
    insert("empty", None, "[]");
    insert("broken", None, "no json");
    let read = async |id: &str| {
        content(&desk, &id.parse().unwrap())
            .await
            .map(Option::unwrap)
    };
    assert_eq!(read("absolute").await.unwrap(), b"inside");
    assert_eq!(read("moved").await.unwrap(), b"moved");
    assert_eq!(read("inline").await.unwrap(), b"ab");
    for id in ["outside", "climbing", "empty", "broken"] {
        let error = read(id).await.unwrap_err();
        assert!(matches!(error, StoreError::Corrupt { .. }), "{id}: {error}");
    }
}

/// The artifacts folder.
fn artifacts(desk: &Desk) -> PathBuf {
    desk.dir.path().join("artifacts")
}

/// The names in a folder, in order.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn what_a_crash_left_waiting_is_removed_at_the_next_start() {
    let desk = Desk::new().await;
    desk.store.close().await.unwrap();
    let notes = artifacts(&desk).join(".incoming~");
    let note = notes.join("01KJN4VZZZ0000000000000000~a-task/an-artifact");
    std::fs::create_dir_all(&note).unwrap();
    std::fs::write(note.join("content"), "half a file").unwrap();
    // Killed between two steps, and left by an earlier version.
    std::fs::create_dir(notes.join("01KJN4VZZZ0000000000000001~a-task")).unwrap();
    std::fs::write(notes.join("01KJN4VZZZ0000000000000002"), "half").unwrap();
    let next = SqliteStore::open(options(desk.dir.path())).await.unwrap();
    assert_eq!(names(&artifacts(&desk)), [".incoming~"]);
    assert!(names(&notes).is_empty());
    next.close().await.unwrap();
}

#[tokio::test]
async fn a_file_that_was_placed_and_has_no_row_is_removed_at_the_next_start() {
    let desk = Desk::new().await;
    let task_id = desk.running().await;
    let new = artifact(&desk, "y".repeat(5_000));
    let id = new.artifact_id.clone();
    desk.store.append(with(&task_id, new)).await.unwrap();
    desk.store.close().await.unwrap();
    // Killed after their commit, before it, and before that of the first artifact of another task.
    let undecided = [
        (task_id.as_str(), id.as_str()),
        (task_id.as_str(), "lost"),
        ("another", "first"),
    ];
    let notes = artifacts(&desk).join(".incoming~");
    for (index, (task, artifact)) in undecided.into_iter().enumerate() {
        let note = format!("01KJN4VZZZ000000000000000{index}~{task}");
        std::fs::create_dir_all(notes.join(note).join(artifact)).unwrap();
        let folder = artifacts(&desk).join(task);
        std::fs::create_dir_all(&folder).unwrap();
        if artifact != id.as_str() {
            std::fs::write(folder.join(artifact), "placed").unwrap();
        }
    }
    // Nobody noted it: it is not ours.
    let foreign = artifacts(&desk).join(task_id.as_str()).join("foreign");
    std::fs::write(&foreign, "").unwrap();
    let next = SqliteStore::open(options(desk.dir.path())).await.unwrap();
    assert!(names(&notes).is_empty());
    assert_eq!(
        names(&artifacts(&desk)),
        [".incoming~", task_id.as_str()],
        "the folder of a task without files is gone"
    );
    assert_eq!(files(desk.dir.path()).len(), 2, "foreign stays");
    let content = next.artifact_content(&id).await.unwrap().unwrap();
    assert_eq!(content, "y".repeat(5_000).into_bytes());
    next.close().await.unwrap();
}

#[tokio::test]
async fn what_can_not_be_cleared_up_keeps_nobody_from_starting() {
    let desk = Desk::new().await;
    let task_id = desk.running().await;
    desk.store.close().await.unwrap();
    let notes = artifacts(&desk).join(".incoming~");
    let unknown = notes.join("no note").join("with something");
    std::fs::create_dir_all(&unknown).unwrap();
    // What it names is not in our folder.
    let outside = desk.dir.path().join("outside");
    std::fs::write(&outside, "").unwrap();
    let leads_out = notes.join("01KJN4VZZZ0000000000000001~..").join("outside");
    std::fs::create_dir_all(leads_out).unwrap();
    // A folder stands where the file would be.
    let note = notes.join("01KJN4VZZZ0000000000000000~a-task");
    std::fs::create_dir_all(note.join("an-artifact")).unwrap();
    std::fs::create_dir_all(artifacts(&desk).join("a-task/an-artifact/more")).unwrap();
    let next = SqliteStore::open(options(desk.dir.path())).await.unwrap();
    let new = artifact(&desk, "y".repeat(5_000));
    next.append(with(&task_id, new)).await.unwrap();
    assert!(unknown.exists() && outside.exists());
    assert!(note.exists(), "to be tried again");
    next.close().await.unwrap();
}

#[tokio::test]
async fn without_a_folder_for_contents_there_is_no_event_without_its_artifact() {
    let desk = Desk::new().await;
    let task_id = desk.running().await;
    let attempt = || {
        desk.store
            .append(with(&task_id, artifact(&desk, "x".repeat(5_000))))
    };
    let notes = artifacts(&desk).join(".incoming~");
    std::fs::remove_dir(&notes).unwrap();
    let error = attempt().await.unwrap_err();
    assert!(matches!(error, StoreError::Io { .. }), "{error}");
    assert_eq!(desk.store.events(&task_id, 0, 9).await.unwrap().len(), 2);
    // A file in the way of the task's folder fails in the writer.
    std::fs::create_dir(&notes).unwrap();
    let in_the_way = artifacts(&desk).join(task_id.as_str());
    std::fs::write(&in_the_way, "").unwrap();
    let error = attempt().await.unwrap_err();
    assert!(matches!(error, StoreError::Io { .. }), "{error}");
    assert_eq!(desk.store.events(&task_id, 0, 9).await.unwrap().len(), 2);
    assert_eq!(files(desk.dir.path()), [in_the_way]);
    assert!(names(&notes).is_empty());
}
