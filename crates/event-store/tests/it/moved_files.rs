//! What becomes of a store whose files somebody moves, deletes or replaces while it is open.

use std::fs;

use event_store::{EventStore, StoreError};

use crate::desk::Desk;
use crate::events::{commit, created, message};

/// The refusal of a commit, which names the file.
async fn refused(desk: &Desk, file: &str) {
    let task_id = desk.ids.task_id();
    let append = commit(&task_id, vec![created()]);
    let error = desk.store.append(append).await.unwrap_err();
    assert!(matches!(error, StoreError::Io { .. }), "{error}");
    let named = format!("{file}: it was moved, deleted or replaced");
    assert!(error.to_string().contains(&named), "{error}");
    let unwell = desk.store.check().await.unwrap_err();
    assert_eq!(unwell.to_string(), error.to_string());
}

#[tokio::test]
async fn a_database_that_is_moved_away_takes_no_commits_until_it_is_back() {
    let desk = Desk::new().await;
    let task_id = desk.running().await;
    let away = desk.dir.path().join("away.db");
    fs::rename(desk.path(), &away).unwrap();
    refused(&desk, "octo.db").await;
    fs::rename(&away, desk.path()).unwrap();
    desk.append(&task_id, vec![message("a")]).await;
    desk.store.close().await.unwrap();
    let again = Desk::at(desk.dir, |options| options).await;
    assert_eq!(again.seqs(&task_id).await, [1, 2, 3]);
}

#[cfg(unix)]
#[tokio::test]
async fn a_database_or_log_that_is_replaced_or_deleted_takes_no_commits() {
    for file in ["octo.db", "octo.db-wal"] {
        for is_replaced in [false, true] {
            let desk = Desk::new().await;
            desk.running().await;
            let path = desk.path().with_file_name(file);
            let copy = desk.dir.path().join("copy");
            fs::copy(&path, &copy).unwrap();
            fs::remove_file(&path).unwrap();
            if is_replaced {
                fs::rename(&copy, &path).unwrap();
            }
            refused(&desk, file).await;
            desk.store.close().await.unwrap();
        }
    }
}
