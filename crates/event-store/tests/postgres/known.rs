//! Groups of commits that build on what their program knows from the group before.

use event_payloads::TaskStatus::{Cancelled, Created, Running, Succeeded};
use event_store::{EventStore, NewArtifact, StoreError};
use tokio::sync::mpsc;
use tokio_postgres::{AsyncMessage, Client, NoTls};

use crate::events::{commit, created, message, moved};
use crate::house::{House, in_time, seqs, verified};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_others_write_between_two_commits_is_seen() {
    in_time(async {
        let house = House::fresh().await;
        let (here, there) = (house.store().await, house.store().await);
        let task_id = house.running(&here).await;
        // Another gateway: the next event stands behind its event, the chain goes on from it.
        for _ in 0..5 {
            for store in [&here, &here, &there] {
                let more = commit(&task_id, vec![message("a")]);
                store.append(more).await.unwrap();
            }
        }
        assert_eq!(seqs(&here, &task_id).await, (1..=17).collect::<Vec<_>>());
        let cancelled = commit(&task_id, vec![moved(Running, Cancelled)]);
        there.append(cancelled).await.unwrap();
        let late = commit(&task_id, vec![moved(Running, Succeeded)]);
        let refused = here.append(late).await.unwrap_err();
        assert!(
            matches!(refused, StoreError::IllegalTransition { .. }),
            "{refused}"
        );
        // Nobody is refused because of what was true before.
        let task_id = house.ids.task_id();
        let new = commit(&task_id, vec![created()]);
        here.append(new).await.unwrap();
        let begun = commit(&task_id, vec![moved(Created, Running)]);
        there.append(begun).await.unwrap();
        let done = commit(&task_id, vec![moved(Running, Succeeded)]);
        here.append(done).await.unwrap();
        verified(&here).await;
        // Somebody at the database itself.
        let task_id = house.running(&here).await;
        let change = format!(
            "UPDATE tasks SET status = 'CANCELLED' WHERE task_id = '{task_id}' RETURNING task_id"
        );
        assert_eq!(house.sql(&change).await.len(), 1);
        let late = commit(&task_id, vec![moved(Running, Succeeded)]);
        let refused = here.append(late).await.unwrap_err();
        assert!(
            matches!(refused, StoreError::IllegalTransition { .. }),
            "{refused}"
        );
        for store in [here, there] {
            store.close().await.unwrap();
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_somebody_has_after_all_is_refused_as_ever() {
    in_time(async {
        let house = House::fresh().await;
        let before = house.store().await;
        let artifact = NewArtifact {
            artifact_id: house.ids.artifact_id(),
            name: "llm-response".to_owned(),
            description: String::new(),
            mime: "text/plain".to_owned(),
            content: b"short".to_vec(),
        };
        let old = house.running(&before).await;
        let with = commit(&old, vec![message("a")]).artifact(artifact.clone());
        before.append(with).await.unwrap();
        before.close().await.unwrap();

        let store = house.store().await;
        let task_id = house.running(&store).await;
        // It knows its own task, and nothing of what was there before.
        let again = commit(&old, vec![created()]);
        let refused = store.append(again).await.unwrap_err();
        assert!(
            matches!(refused, StoreError::TaskExists { .. }),
            "{refused}"
        );
        store
            .append(commit(&task_id, vec![message("a")]))
            .await
            .unwrap();
        let again = commit(&task_id, vec![message("b")]).artifact(artifact);
        let refused = store.append(again).await.unwrap_err();
        assert!(
            matches!(refused, StoreError::ArtifactExists { .. }),
            "{refused}"
        );
        assert_eq!(seqs(&store, &task_id).await, [1, 2, 3]);
        assert_eq!(seqs(&store, &old).await, [1, 2, 3]);
        verified(&store).await;
        store.close().await.unwrap();
    })
    .await;
}

/// A connection that hears what programs are told.
async fn listening(house: &House) -> (Client, mpsc::UnboundedReceiver<String>) {
    let (client, mut connection) = tokio_postgres::connect(house.database.url(), NoTls)
        .await
        .unwrap();
    let (to, notes) = mpsc::unbounded_channel();
    let mut driver = tokio::task::JoinSet::new();
    driver.spawn(async move {
        // It ends with the client.
        while let Some(Ok(message)) = std::future::poll_fn(|cx| connection.poll_message(cx)).await {
            if let AsyncMessage::Notification(note) = message {
                let _ = to.send(note.payload().to_owned());
            }
        }
    });
    driver.detach_all();
    client.batch_execute("LISTEN octo_log").await.unwrap();
    (client, notes)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_commit_is_told_once_also_where_a_guess_was_wrong() {
    in_time(async {
        let house = House::fresh().await;
        let (here, there) = (house.store().await, house.store().await);
        let (client, mut notes) = listening(&house).await;
        let task_id = house.running(&here).await;
        for _ in 0..5 {
            for store in [&here, &here, &there] {
                let more = commit(&task_id, vec![message("a")]);
                store.append(more).await.unwrap();
            }
        }
        // All of them stand before its answer.
        client.batch_execute("SELECT 1").await.unwrap();
        let mut told = Vec::new();
        while let Ok(note) = notes.try_recv() {
            let mut parts = note.rsplitn(3, ':');
            let head = parts.next().unwrap();
            told.push(format!("{}:{head}", parts.next().unwrap()));
        }
        let each = (2..17).map(|before| format!("{before}:{}", before + 1));
        let expected: Vec<String> = std::iter::once("0:2".to_owned()).chain(each).collect();
        assert_eq!(told, expected);
        for store in [here, there] {
            store.close().await.unwrap();
        }
    })
    .await;
}
