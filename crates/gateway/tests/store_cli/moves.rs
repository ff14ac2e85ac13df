//! `backup` and `copy`: the books in another place.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use event_payloads::{Actor, Payload, TaskCreated, UserMessage};
use event_store::{Commit, EventStore as _, NewEvent, SqliteOptions, SqliteStore};
use rusqlite::Connection;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::support::LIMIT;
use super::support::octo::octo as program;
use super::{NOWHERE, database, filled, json_of, load, message, names, run, serve, store};

#[tokio::test]
async fn a_backup_under_load_is_a_data_folder_for_a_gateway() {
    let folder = TempDir::new().unwrap();
    let octo = filled(folder.path()).await;
    let mut clients = load(octo.address);
    // What a killed backup left.
    fs::create_dir_all(folder.path().join("saved/data.partial/sqlite")).unwrap();
    let done = json_of(folder.path(), &["backup", "--to", "saved/data", "--json"]).await;
    clients.shutdown().await;
    let counted = done["check"]["tasks"].as_u64().unwrap();
    assert!(counted >= 3, "{done}");
    assert_eq!(names(&folder.path().join("saved")), ["data"]);
    octo.end().await;

    let (code, _, stderr) = store(folder.path(), &["backup", "--to", "saved/data"]).await;
    assert_eq!(code, 2);
    assert!(stderr.contains("is not empty"), "{stderr}");
    let octo = serve(&folder.path().join("saved")).await;
    let tasks = octo.get("/api/tasks").await;
    let tasks = tasks["tasks"].as_array().unwrap();
    assert_eq!(u64::try_from(tasks.len()).unwrap(), counted.min(1_000));
    message(&octo, "new", "Hello").await;
    octo.end().await;
    let (code, stdout, _) = store(folder.path(), &["verify", "--store", "saved/data"]).await;
    assert_eq!(code, 0, "{stdout}");
}

#[tokio::test]
async fn two_backups_to_one_folder_do_not_touch_each_other() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    filled(path).await.end().await;
    // As another backup holds it.
    let partial = path.join("saved.partial");
    fs::create_dir_all(partial.join("sqlite")).unwrap();
    fs::write(partial.join("sqlite/octoagent.db"), "half").unwrap();
    let held = fs::File::open(&partial).unwrap();
    held.lock().unwrap();
    // With a slash at its end it is the same folder.
    for to in ["saved", "saved/", "./saved/."] {
        let (code, _, stderr) = store(path, &["backup", "--to", to]).await;
        assert_eq!(code, 1, "{stderr}");
        assert!(stderr.contains("another backup to"), "{stderr}");
    }
    let half = fs::read_to_string(partial.join("sqlite/octoagent.db"));
    assert_eq!(half.unwrap(), "half");
    assert_eq!(names(path), ["config", "data", "saved.partial"]);
    // The other was killed.
    drop(held);
    let done = json_of(path, &["backup", "--to", "saved/", "--json"]).await;
    assert_eq!(done["backed_up_to"], "…/saved");
    assert_eq!(names(path), ["config", "data", "saved"]);
    let (code, _, stderr) = store(path, &["verify", "--store", "saved"]).await;
    assert_eq!(code, 0, "{stderr}");
    let (code, _, stderr) = store(path, &["backup", "--to", "new/.."]).await;
    assert_eq!(code, 2, "{stderr}");
}

#[tokio::test]
async fn a_damaged_store_is_backed_up_only_if_asked_for_and_then_all_that_is_left() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    let octo = filled(path).await;
    message(&octo, "longer", &"word ".repeat(3_000)).await;
    octo.end().await;
    let [lost, changed] = two_artifacts(path);
    fs::remove_file(&lost).unwrap();
    fs::write(&changed, "rot").unwrap();
    fs::create_dir(path.join("saved")).unwrap();
    let (code, stdout, stderr) = store(path, &["backup", "--to", "saved"]).await;
    assert_eq!(code, 4, "{stderr}");
    assert!(stdout.contains("\n2 problems: "), "{stdout}");
    assert!(stderr.contains("--even-if-damaged"), "{stderr}");
    assert_eq!(names(path), ["config", "data", "saved"]);
    assert_eq!(names(&path.join("saved")), [""; 0]);

    let despite = ["backup", "--to", "saved", "--even-if-damaged", "--json"];
    let (code, stdout, stderr) = store(path, &despite).await;
    let done: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((code, &done["kept"]), (4, &json!(true)), "{stderr}");
    assert_eq!(done["check"]["problem_count"], 2, "{done}");
    let in_it = ["verify", "--store", "saved", "--json"];
    let (code, stdout, _) = store(path, &in_it).await;
    let checked: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((code, &checked["problem_count"]), (4, &json!(2)));
    assert_eq!(checked["events"], done["check"]["events"]);
    let rotten = path
        .join("saved")
        .join(changed.strip_prefix(path.join("data")).unwrap());
    assert_eq!(fs::read_to_string(rotten).unwrap(), "rot");
}

/// Files of artifacts.
fn two_artifacts(folder: &Path) -> [PathBuf; 2] {
    let artifacts = folder.join("data/artifacts");
    let mut tasks = names(&artifacts).into_iter();
    [(); 2].map(|()| {
        let task = tasks.by_ref().find(|name| !name.starts_with('.')).unwrap();
        let file = names(&artifacts.join(&task)).remove(0);
        artifacts.join(task).join(file)
    })
}

#[tokio::test]
async fn a_backup_that_breaks_off_leaves_nothing() {
    let folder = TempDir::new().unwrap();
    filled(folder.path()).await.end().await;
    // The first page is read at the start, the others when they are copied.
    let mut pages = fs::read(database(folder.path())).unwrap();
    pages[4_096..].fill(0xff);
    fs::write(database(folder.path()), pages).unwrap();
    fs::create_dir(folder.path().join("saved")).unwrap();
    let (code, stdout, stderr) = store(folder.path(), &["backup", "--to", "saved"]).await;
    assert_eq!((code, stdout.as_str()), (1, ""), "{stderr}");
    assert_eq!(names(folder.path()), ["config", "data", "saved"]);
    assert_eq!(names(&folder.path().join("saved")), [""; 0]);
}

#[tokio::test]
async fn a_copy_that_was_killed_goes_on_and_is_complete() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    let octo = filled(path).await;
    let (code, _, stderr) = store(path, &["copy", "--to", "new"]).await;
    assert_eq!(code, 1, "what the gateway records would be missing");
    assert!(stderr.contains("stop it"), "{stderr}");
    octo.end().await;
    let all = add_events(path).await;

    let mut child = octo_copy(path);
    let target = path.join("new/sqlite/octoagent.db");
    let is_in_the_middle = async {
        while copied(&target) == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(LIMIT, is_in_the_middle).await.unwrap();
    child.kill().await.unwrap();
    let before = copied(&target);
    assert!(0 < before && before < all, "{before} of {all}");

    // Nobody takes it for a store meanwhile, nor for the source of another copy.
    let mut served = program(path, NOWHERE);
    served
        .env("OCTOAGENT_DATA_DIR", path.join("new"))
        .arg("serve");
    let refused = tokio::time::timeout(LIMIT, served.output());
    let refused = refused.await.unwrap().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let stderr = String::from_utf8(refused.stderr).unwrap();
    assert!(stderr.contains("a copy that was broken off"), "{stderr}");
    let half = path.join("half");
    fs::create_dir(&half).unwrap();
    std::os::unix::fs::symlink(path.join("new"), half.join("data")).unwrap();
    let asked = run(&half, &["costs"]).await;
    assert_eq!(
        asked.status.code(),
        Some(1),
        "no sum is better than half a sum"
    );
    let (code, _, stderr) = store(path, &["copy", "--from", "new", "--to", "third"]).await;
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("a copy that was broken off"), "{stderr}");

    let done = json_of(path, &["copy", "--to", "new", "--json"]).await;
    assert_eq!(done["events_copied"], all - before);
    assert_eq!(done["check"]["events"], all);
    assert_eq!(done["check"]["artifacts"], 3);
    let again = json_of(path, &["copy", "--from", "data", "--to", "new", "--json"]).await;
    assert_eq!(again["events_copied"], 0);
    let (code, _, stderr) = store(path, &["copy", "--from", "new", "--to", "new"]).await;
    assert_eq!(code, 2, "{stderr}");

    // Once it has gone its own way it is no copy any more.
    let moved = path.join("moved");
    fs::create_dir(&moved).unwrap();
    fs::rename(path.join("new"), moved.join("data")).unwrap();
    let octo = serve(&moved).await;
    message(&octo, "own", "Hello").await;
    octo.end().await;
    let (code, _, stderr) = store(path, &["copy", "--to", "moved/data"]).await;
    assert_eq!(code, 1);
    assert!(stderr.contains("another log"), "{stderr}");
}

#[tokio::test]
async fn a_copy_that_is_not_good_is_opened_by_no_gateway() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    filled(path).await.end().await;
    let change = |from: &str, to: &str| {
        let sql =
            "UPDATE events SET payload = replace(payload, ?1, ?2) WHERE type = 'USER_MESSAGE'";
        let changed = Connection::open(database(path))
            .unwrap()
            .execute(sql, [from, to]);
        assert_eq!(changed.unwrap(), 3);
    };
    change("Hello", "Hallo");
    let (code, stdout, stderr) = store(path, &["copy", "--to", "bad/data"]).await;
    assert_eq!(code, 4, "{stderr}");
    assert!(stdout.contains("its hash is another"), "{stdout}");
    let bad = path.join("bad");
    let refused = run(&bad, &["costs"]).await;
    let stderr = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("not found good"), "{stderr}");
    // Given again it is as wrong; from the mended books it can be made anew.
    assert_eq!(store(path, &["copy", "--to", "bad/data"]).await.0, 4);
    change("Hallo", "Hello");
    let done = json_of(path, &["copy", "--to", "good/data", "--json"]).await;
    assert_eq!(done["check"]["good"], true);
    let served = run(&path.join("good"), &["costs"]).await;
    assert_eq!(served.status.code(), Some(0));
}

fn octo_copy(folder: &Path) -> tokio::process::Child {
    let mut command = program(folder, NOWHERE);
    command
        .args(["store", "copy", "--to", "new"])
        .spawn()
        .unwrap()
}

/// How many events a database holds; none if there is no such database yet.
fn copied(database: &Path) -> u64 {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let count = Connection::open_with_flags(database, flags).and_then(|conn| {
        conn.query_row("SELECT count(*) FROM events", [], |row| {
            row.get::<_, i64>(0)
        })
    });
    count.map_or(0, |count| count.try_into().unwrap())
}

/// A log that takes a while to be copied; gives its length.
async fn add_events(folder: &Path) -> u64 {
    let options = SqliteOptions::new(database(folder), folder.join("data/artifacts"));
    let store = SqliteStore::open(options).await.unwrap();
    let message = || {
        let message = UserMessage {
            text_preview: "Hello".to_owned(),
            text_length: 5,
            attachment_count: 0,
        };
        NewEvent::new(Actor::User, Payload::UserMessage(message))
    };
    for index in 0..40 {
        let created = TaskCreated {
            title: "Hello".into(),
            thread_id: "default".into(),
            scope_id: "chat:web:default".into(),
            channel: "web".into(),
            sender_id: "owner".into(),
            risk_level: "low".into(),
        };
        let created = NewEvent::new(Actor::System, Payload::TaskCreated(created));
        let mut commit = Commit::new(format!("long-{index}").parse().unwrap()).event(created);
        for _ in 0..499 {
            commit = commit.event(message());
        }
        store.append(commit).await.unwrap();
    }
    store.close().await.unwrap();
    21 + 40 * 500
}
