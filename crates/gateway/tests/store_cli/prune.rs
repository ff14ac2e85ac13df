//! `prune`, and what is left of a task afterwards.

use std::path::Path;

use serde_json::json;
use tempfile::TempDir;

use super::support::client::send;
use super::support::octo::Octo;
use super::{filled, json_of, message, pretty, run, serve, store};

#[tokio::test]
async fn what_was_pruned_still_counts_and_says_what_it_was() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    let octo = filled(path).await;
    let task_id = message(&octo, "last", "Hello").await;
    let costs = octo.get("/api/costs?group_by=day,alias,model").await;
    let on_the_line = run(path, &["costs", "--group-by", "day,alias,model"]).await;
    let would = json_of(path, &["prune", "--before", "0d", "--dry-run", "--json"]).await;
    let (code, _, stderr) = store(path, &["prune", "--before", "0d", "--yes"]).await;
    assert_eq!(code, 1);
    assert!(stderr.contains("stop it"), "{stderr}");
    octo.end().await;

    let (code, _, stderr) = store(path, &["prune", "--before", "2999-01-01", "--yes"]).await;
    assert_eq!(code, 2);
    assert!(stderr.contains("still to come"), "{stderr}");
    let (code, _, stderr) = store(path, &["prune", "--before", "0d"]).await;
    assert_eq!(code, 2);
    assert!(stderr.contains("add --yes"), "{stderr}");
    assert_eq!(json_of(path, &["info", "--json"]).await["events"], 28);

    let mut done = json_of(path, &["prune", "--before", "0d", "--yes", "--json"]).await;
    for counted in ["tasks", "events", "calls", "artifacts"] {
        assert_eq!(done[counted], would[counted], "{counted}");
    }
    done["before"] = json!("…");
    insta::assert_snapshot!(pretty(&done), @r#"
    {
      "before": "…",
      "dry_run": false,
      "tasks": 4,
      "events": 24,
      "calls": 4,
      "artifacts": 4,
      "waiting": null
    }
    "#);
    assert_eq!(store(path, &["verify"]).await.0, 0);

    let octo = serve(path).await;
    assert_eq!(octo.get("/api/costs?group_by=day,alias,model").await, costs);
    let now = run(path, &["costs", "--group-by", "day,alias,model"]).await;
    assert_eq!(
        (now.status.code(), &now.stdout),
        (Some(0), &on_the_line.stdout)
    );
    let view = octo.get(&format!("/api/tasks/{task_id}")).await;
    assert_eq!(view["task"]["status"], "SUCCEEDED");
    assert_eq!(view["artifacts"], json!([]));
    let tombstone = view["events"].as_array().unwrap().last().unwrap();
    assert_eq!(tombstone["type"], "TASK_PRUNED");
    assert_eq!(tombstone["payload"]["calls"][0]["calls"], 1);
    let cost = octo.get(&format!("/api/tasks/{task_id}/cost")).await;
    assert_eq!(cost["total"]["calls"], 1);
    // Its stream ends, and the message that made it is known.
    let stream = format!("/api/stream/task/{task_id}");
    let stream = send(octo.address, "GET", &stream, &[], b"").await.text();
    assert!(stream.contains("event: TASK_PRUNED"), "{stream}");
    assert_eq!(stream.matches("\"final\":true").count(), 1, "{stream}");
    assert_eq!(message(&octo, "last", "Hello").await, task_id);
    let within_the_hour = view["task"]["created_at"].as_str().unwrap();
    a_part_of_an_hour_is_refused(path, &octo, within_the_hour).await;
}

/// Single calls could answer, and they are gone.
async fn a_part_of_an_hour_is_refused(folder: &Path, octo: &Octo, moment: &str) {
    let moment = moment.replace("+00:00", "Z");
    let path = format!("/api/costs?to={moment}");
    let refused = send(octo.address, "GET", &path, &[], b"").await;
    assert_eq!(
        (refused.status.as_u16(), &refused.json()["error"]["code"]),
        (422, &json!("PRUNED"))
    );
    assert!(
        refused.text().contains("ask for whole hours"),
        "{}",
        refused.text()
    );
    let output = run(folder, &["costs", "--to", &moment]).await;
    assert_eq!(output.status.code(), Some(2));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("ask for whole hours"), "{stderr}");
}
