//! The books in Postgres: moved there, used there, and moved back.

use std::fs;

use serde_json::json;
use tempfile::TempDir;

use super::database::Database;
use super::{filled, json_of, load, message, serve, store};

#[tokio::test]
async fn the_books_move_to_postgres_and_back_with_a_gateway_on_each() {
    let database = Database::new();
    let url = database.url.as_str();
    let folder = TempDir::new().unwrap();
    let octo = filled(folder.path()).await;
    let costs = octo.get("/api/costs?group_by=day,alias,model").await;
    octo.end().await;
    let copy = ["copy", "--from", "data", "--to", url, "--json"];
    let done = json_of(folder.path(), &copy).await;
    assert_eq!(
        (&done["events_copied"], &done["check"]["good"]),
        (&json!(21), &json!(true))
    );
    let again = json_of(folder.path(), &copy).await;
    assert_eq!(again["events_copied"], 0);

    let moved = TempDir::new().unwrap();
    let path = moved.path();
    fs::write(path.join(".env"), format!("OCTO_DATABASE_URL={url}\n")).unwrap();
    let octo = serve(path).await;
    assert_eq!(octo.get("/api/costs?group_by=day,alias,model").await, costs);
    message(&octo, "new", "Hello").await;
    let checked = json_of(path, &["verify", "--json"]).await;
    assert_eq!(
        (&checked["events"], &checked["artifacts"]),
        (&json!(28), &json!(4))
    );
    let info = json_of(path, &["info", "--json"]).await;
    assert_eq!(
        (&info["kind"], &info["last_position"]),
        (&json!("postgres"), &json!(28))
    );
    let source = folder.path().join("data");
    // What the gateway records meanwhile would be missing.
    for arguments in [
        ["copy", "--from", url, "--to", "back"],
        ["copy", "--from", source.to_str().unwrap(), "--to", url],
    ] {
        let (code, _, stderr) = store(path, &arguments).await;
        assert_eq!(code, 1, "{stderr}");
        assert!(stderr.contains("1 other octo write to"), "{stderr}");
    }
    // For its whole time the gateway could record nothing.
    let (code, _, stderr) = store(path, &["rebuild"]).await;
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("1 other octo write to"), "{stderr}");
    // This takes no long breath, and leaves the gateway what it needs.
    let (code, _, stderr) = store(path, &["prune", "--before", "2020-01-01", "--yes"]).await;
    assert_eq!((code, stderr.as_str()), (0, ""));
    octo.end().await;
    assert_eq!(
        json_of(path, &["rebuild", "--json"]).await["check"]["good"],
        true
    );

    let saved = json_of(path, &["backup", "--to", "saved", "--json"]).await;
    assert_eq!(saved["check"]["events"], 28);
    let back = json_of(path, &["copy", "--from", url, "--to", "back", "--json"]).await;
    assert_eq!(back["events_copied"], 28);
    let would = json_of(path, &["prune", "--before", "0d", "--dry-run", "--json"]).await;
    let done = json_of(path, &["prune", "--before", "0d", "--yes", "--json"]).await;
    assert_eq!(
        (&done["events"], &would["events"]),
        (&json!(24), &json!(24))
    );
    assert_eq!(json_of(path, &["verify", "--json"]).await["good"], true);
}

#[tokio::test]
async fn a_backup_under_load_is_postgres_as_it_was_at_one_moment() {
    let database = Database::new();
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    let url = database.url.as_str();
    fs::write(path.join(".env"), format!("OCTO_DATABASE_URL={url}\n")).unwrap();
    let octo = filled(path).await;
    let mut clients = load(octo.address);
    // What is read of a page and what is read of the next one would not be of one moment.
    for to in ["first", "second", "third"] {
        let saved = json_of(path, &["backup", "--to", to, "--json"]).await;
        assert_eq!(saved["check"]["good"], true, "{saved}");
        assert!(saved["check"]["events"].as_u64() >= Some(21), "{saved}");
    }
    clients.shutdown().await;
    octo.end().await;
    let later = json_of(path, &["verify", "--json"]).await;
    let saved = json_of(path, &["verify", "--store", "third", "--json"]).await;
    assert_eq!(saved["good"], true);
    assert!(saved["events"].as_u64() < later["events"].as_u64());
}
