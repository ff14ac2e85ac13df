//! `verify`, `info`, `rebuild`: whether the books are as they should be.

use std::fs;
use std::path::Path;

use rusqlite::Connection;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{database, filled, json_of, names, pretty, store};

#[tokio::test]
async fn good_books_are_checked_and_counted_beside_the_gateway() {
    let folder = TempDir::new().unwrap();
    let octo = filled(folder.path()).await;
    let mut checked = json_of(folder.path(), &["verify", "--json"]).await;
    // More if the hour ends meanwhile.
    assert!(checked["sums"].as_u64().unwrap() >= 7, "{checked}");
    checked["sums"] = json!("…");
    insta::assert_snapshot!(pretty(&checked), @r#"
    {
      "store": "…/data/sqlite/octoagent.db",
      "good": true,
      "events": 21,
      "tasks": 3,
      "calls": 3,
      "sums": "…",
      "artifacts": 3,
      "undecodable": 0,
      "problem_count": 0,
      "problems": []
    }
    "#);
    let (code, stdout, _) = store(folder.path(), &["verify"]).await;
    assert_eq!(code, 0);
    assert!(stdout.starts_with("good: 21 events in 3 tasks"), "{stdout}");

    let mut info = json_of(folder.path(), &["info", "--json"]).await;
    assert!(info["database_bytes"].as_u64().unwrap() > 4_096);
    assert!(info["last_event_at"].as_str().unwrap().starts_with("20"));
    info["database_bytes"] = json!("…");
    info["last_event_at"] = json!("…");
    insta::assert_snapshot!(pretty(&info), @r#"
    {
      "kind": "sqlite",
      "store": "…/data/sqlite/octoagent.db",
      "layout": 9,
      "tasks": 3,
      "events": 21,
      "open_calls": 0,
      "artifacts": 3,
      "first_position": 1,
      "last_position": 21,
      "last_event_at": "…",
      "database_bytes": "…"
    }
    "#);
    assert_eq!(octo.end().await, Some(0));
}

#[tokio::test]
async fn a_changed_byte_is_named_and_has_an_exit_code_of_its_own() {
    let folder = TempDir::new().unwrap();
    filled(folder.path()).await.end().await;
    let changed = Connection::open(database(folder.path())).unwrap().execute(
        "UPDATE events SET payload = replace(payload, 'Hello', 'Hallo')
         WHERE type = 'USER_MESSAGE' AND task_id = (SELECT min(task_id) FROM tasks)",
        [],
    );
    assert_eq!(changed.unwrap(), 1);
    let (code, stdout, stderr) = store(folder.path(), &["verify"]).await;
    assert_eq!((code, stderr.as_str()), (4, ""), "{stdout}");
    assert!(stdout.contains("problem  "), "{stdout}");
    assert!(stdout.contains("its hash is another"), "{stdout}");
    assert!(stdout.contains("\n1 problem: 21 events"), "{stdout}");
    assert!(stdout.contains("come back from a backup alone"), "{stdout}");
    let (code, stdout, _) = store(folder.path(), &["verify", "--json"]).await;
    let checked: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((code, &checked["good"]), (4, &json!(false)));
    assert_eq!(
        checked["problem_count"],
        checked["problems"].as_array().unwrap().len()
    );

    // A copy of it is as wrong, and is not called a backup.
    let (code, _, stderr) = store(folder.path(), &["backup", "--to", "saved"]).await;
    assert_eq!(code, 4);
    assert!(stderr.contains("the copy is not good"), "{stderr}");
    assert_eq!(names(folder.path()), ["config", "data"]);
    // No rebuild makes up what was recorded.
    assert_eq!(store(folder.path(), &["rebuild"]).await.0, 4);
}

#[tokio::test]
async fn what_can_not_be_checked_is_neither_good_nor_wrong() {
    let folder = TempDir::new().unwrap();
    let (code, _, stderr) = store(folder.path(), &["verify"]).await;
    assert_eq!(code, 1);
    assert!(stderr.contains("there is no store at"), "{stderr}");
    assert_eq!(names(folder.path()), [""; 0], "and none was made");
    fs::write(folder.path().join("text.db"), "no database").unwrap();
    let (code, _, stderr) = store(folder.path(), &["verify", "--store", "text.db"]).await;
    assert_eq!(code, 1, "{stderr}");
    let (code, _, _) = store(folder.path(), &["verify", "--store", "mysql://u:p4ss@h/d"]).await;
    assert_eq!(code, 2);
}

#[tokio::test]
async fn a_rebuild_waits_for_the_gateway_to_end_and_mends_the_sums() {
    let folder = TempDir::new().unwrap();
    let octo = filled(folder.path()).await;
    let (code, _, stderr) = store(folder.path(), &["rebuild"]).await;
    assert_eq!(code, 1);
    let told = format!("another octo (pid {})", octo.process_id());
    assert!(
        stderr.contains(&told) && stderr.contains("stop it"),
        "{stderr}"
    );
    octo.end().await;
    let spoilt = Connection::open(database(folder.path()))
        .unwrap()
        .execute("UPDATE cost_sums SET calls = 9", []);
    assert!(spoilt.unwrap() > 3);
    let (code, stdout, _) = store(folder.path(), &["verify"]).await;
    assert_eq!(code, 4, "{stdout}");
    let done = json_of(folder.path(), &["rebuild", "--json"]).await;
    assert_eq!(
        (&done["events_read"], &done["check"]["good"]),
        (&json!(21), &json!(true))
    );
    assert_eq!(store(folder.path(), &["verify"]).await.0, 0);
}

#[tokio::test]
async fn a_password_is_never_printed() {
    let folder = TempDir::new().unwrap();
    filled(folder.path()).await.end().await;
    for url in [
        "postgres://octo:s3cret@127.0.0.1:9/octo",
        "postgres://octo:s3cret@127.0.0.1:9/octo?sslpassword=s3cret",
        "postgres://octo:s3cret?x@127.0.0.1:9/octo",
        "postgres://octo:s3cret#x@127.0.0.1:9/octo",
        "postgres://octo:x/s3cret@127.0.0.1:9/octo",
    ] {
        no_command_prints_a_password(folder.path(), url).await;
    }
}

async fn no_command_prints_a_password(folder: &Path, url: &str) {
    let flag = format!("--of={url}");
    for arguments in [
        vec!["copy", "--to", url],
        vec!["copy", "--from", url, "--to", "new"],
        vec!["verify", "--store", url],
        vec!["info", "--store", url, "--json"],
        vec!["backup", "--store", url, "--to", "saved"],
        vec!["verify", "--to", url],
        vec!["verify", url],
        vec!["verify", &flag],
    ] {
        let (code, stdout, stderr) = store(folder, &arguments).await;
        assert!(code == 1 || code == 2, "{arguments:?}");
        assert!(!stdout.contains("s3cret"), "{arguments:?}: {stdout}");
        assert!(!stderr.contains("s3cret"), "{arguments:?}: {stderr}");
    }
}
