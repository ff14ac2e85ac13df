//! The tests.

use std::sync::Arc;
use std::time::Duration;

use event_store::{EventStore, SqliteStore};

use crate::disk::{EIO, ENOSPC, EROFS, Fault};
use crate::left::check;
use crate::load::{Request, Told, count, load};
use crate::stage::{Stage, play};

async fn opened(stage: &Stage) -> Arc<SqliteStore> {
    Arc::new(stage.open().await.unwrap())
}

/// Sends what failed again, to the same store: it must work now.
async fn again(store: &SqliteStore, requests: &mut [Request]) {
    for request in requests {
        if request.told != Told::Recorded {
            request.told = request.send(store).await;
            assert_eq!(request.told, Told::Recorded, "{request:?}");
        }
    }
}

#[test]
fn a_sync_that_fails_at_a_commit_fails_its_callers_and_no_others() {
    play(
        "a_sync_that_fails_at_a_commit_fails_its_callers_and_no_others",
        async |stage, disk| {
            let store = opened(stage).await;
            let mut all = Vec::new();
            for round in 0..5 {
                // A sync can be a checkpoint's, which nobody waits for: then the next one is tried.
                let mut denied = 0;
                for attempt in 0..5 {
                    disk.fails(Fault {
                        file: "octo.db-wal",
                        skip: 3 + round,
                        times: Some(1),
                        ..Fault::every("sync", EIO)
                    });
                    let name = format!("round-{round}-{attempt}");
                    let mut requests = load(&store, &name, 10).await;
                    denied = count(&requests, Told::Io);
                    assert_eq!(count(&requests, Told::Recorded) + denied, requests.len());
                    again(&store, &mut requests).await;
                    all.extend(requests);
                    if denied > 0 {
                        break;
                    }
                }
                assert!((1..=8).contains(&denied), "one group: {denied}");
            }
            all
        },
        async |stage, requests| assert_eq!(check(stage, &requests).await, 0),
    );
}

#[test]
fn a_commit_that_nobody_could_deny_is_found_whole_after_a_restart() {
    play(
        "a_commit_that_nobody_could_deny_is_found_whole_after_a_restart",
        async |stage, disk| {
            let store = opened(stage).await;
            let mut all = load(&store, "before", 5).await;
            assert_eq!(count(&all, Told::Recorded), all.len());
            // The commit is in the log, its sync fails, and then nothing works any more: it can neither
            // be confirmed nor taken back.
            disk.fails(Fault {
                file: "octo.db-wal",
                skip: 3,
                ..Fault::every("doom", EIO)
            });
            let requests = load(&store, "doomed", 10).await;
            assert!(count(&requests, Told::Io) > 0);
            assert!(
                store.check().await.is_err(),
                "it says that it can not write"
            );
            all.extend(requests);
            all
        },
        async |stage, requests| {
            let in_spite = check(stage, &requests).await;
            assert!((1..=8).contains(&in_spite), "one group: {in_spite}");
        },
    );
}

#[test]
fn a_commit_that_nobody_could_deny_and_that_is_lost_leaves_no_file_after_a_restart() {
    play(
        "a_commit_that_nobody_could_deny_and_that_is_lost_leaves_no_file_after_a_restart",
        async |stage, disk| {
            let store = opened(stage).await;
            let notes = || std::fs::read_dir(stage.artifacts().join(".incoming~")).unwrap();
            let mut all = Vec::new();
            for attempt in 0..10 {
                // In the middle of a commit, after some: only later ones of a task bring files.
                disk.fails(Fault {
                    file: "octo.db-wal",
                    skip: 400,
                    ..Fault::every("write", EIO)
                });
                let requests = load(&store, &format!("doomed-{attempt}"), 20).await;
                assert!(count(&requests, Told::Io) > 0);
                all.extend(requests);
                // It can have been one without a file.
                if notes().count() > 0 {
                    break;
                }
                disk.works_again();
            }
            assert!(notes().count() > 0, "their files have their names already");
            all
        },
        async |stage, requests| assert_eq!(check(stage, &requests).await, 0),
    );
}

#[test]
fn a_store_on_a_dead_disk_still_closes() {
    play(
        "a_store_on_a_dead_disk_still_closes",
        async |stage, disk| {
            let store = opened(stage).await;
            let mut all = load(&store, "before", 5).await;
            disk.fails(Fault {
                file: "octo.db-wal",
                skip: 1,
                ..Fault::every("doom", EIO)
            });
            all.extend(load(&store, "doomed", 3).await);
            store.close().await.unwrap();
            let late = store.append(all[0].commit()).await;
            assert!(late.unwrap_err().is_closed());
            all
        },
        async |stage, requests| {
            assert!(count(&requests, Told::Io) > 0);
            check(stage, &requests).await;
        },
    );
}

#[test]
fn a_commit_whose_sync_failed_is_taken_back_once_the_disk_works() {
    play(
        "a_commit_whose_sync_failed_is_taken_back_once_the_disk_works",
        async |stage, disk| {
            let store = opened(stage).await;
            let mut all = load(&store, "before", 3).await;
            disk.fails(Fault {
                file: "octo.db-wal",
                ..Fault::every("doom", EIO)
            });
            all.extend(load(&store, "doomed", 1).await);
            assert_eq!(count(&all, Told::Io), 8);
            disk.works_again();
            // From here on it is known that they are not recorded, also after a restart.
            store.check().await.unwrap();
            all
        },
        async |stage, requests| assert_eq!(check(stage, &requests).await, 0),
    );
}

#[test]
fn writes_that_fail_now_and_then_fail_some_commits_and_spoil_none() {
    play(
        "writes_that_fail_now_and_then_fail_some_commits_and_spoil_none",
        async |stage, disk| {
            let store = opened(stage).await;
            let mut all = Vec::new();
            let (mut failed, mut recorded) = (0, 0);
            for round in 0..10 {
                disk.fails(Fault {
                    per_mille: 4,
                    how: if round % 2 == 0 { "fail" } else { "torn" },
                    ..Fault::every("any", EIO)
                });
                let mut requests = load(&store, &format!("round-{round}"), 10).await;
                failed += count(&requests, Told::Io);
                recorded += count(&requests, Told::Recorded);
                disk.works_again();
                again(&store, &mut requests).await;
                all.extend(requests);
            }
            assert!(failed > 0 && recorded > 0, "{failed} and {recorded}");
            all
        },
        async |stage, requests| assert_eq!(check(stage, &requests).await, 0),
    );
}

#[test]
fn a_kill_while_the_disk_fails_loses_nothing_that_was_acknowledged() {
    play(
        "a_kill_while_the_disk_fails_loses_nothing_that_was_acknowledged",
        async |stage, disk| {
            let store = opened(stage).await;
            let mut all = load(&store, "before", 5).await;
            disk.fails(Fault {
                per_mille: 8,
                how: "torn",
                ..Fault::every("any", EIO)
            });
            all.extend(load(&store, "during", 20).await);
            all
        },
        async |stage, requests| {
            assert!(count(&requests, Told::Io) > 0);
            check(stage, &requests).await;
        },
    );
}

#[test]
fn a_full_disk_is_told_as_one_and_works_when_there_is_space() {
    play(
        "a_full_disk_is_told_as_one_and_works_when_there_is_space",
        async |stage, disk| {
            let store = opened(stage).await;
            let mut all = load(&store, "before", 5).await;
            for how in ["fail", "torn"] {
                disk.fails(Fault {
                    how,
                    ..Fault::every("write", ENOSPC)
                });
                let mut requests = load(&store, how, 3).await;
                assert_eq!(count(&requests, Told::Full), requests.len());
                disk.works_again();
                again(&store, &mut requests).await;
                all.extend(requests);
            }
            all.extend(load(&store, "after", 5).await);
            all
        },
        async |stage, requests| assert_eq!(check(stage, &requests).await, 0),
    );
}

#[test]
fn a_disk_that_turns_read_only_fails_every_commit_until_it_is_writable_again() {
    play(
        "a_disk_that_turns_read_only_fails_every_commit_until_it_is_writable_again",
        async |stage, disk| {
            let store = opened(stage).await;
            let mut all = load(&store, "before", 5).await;
            disk.fails(Fault::every("any", EROFS));
            let mut requests = load(&store, "during", 3).await;
            assert_eq!(count(&requests, Told::Io), requests.len());
            let task_id = &all[0].task_id;
            let read = store.events(task_id, 0, 100).await.unwrap();
            assert_eq!(read.len(), 20, "reads go on");
            disk.works_again();
            again(&store, &mut requests).await;
            all.extend(requests);
            all
        },
        async |stage, requests| assert_eq!(check(stage, &requests).await, 0),
    );
}

#[test]
fn a_read_only_disk_at_the_start_is_an_error_that_names_the_place() {
    play(
        "a_read_only_disk_at_the_start_is_an_error_that_names_the_place",
        async |stage, disk| {
            disk.fails(Fault::every("any", EROFS));
            let error = stage.open().await.unwrap_err();
            assert_eq!(Told::of::<()>(Err(error.clone())), Told::Io);
            let named = stage.database().display().to_string();
            assert!(error.to_string().contains(&named), "{error}");
            // Files can be made and not be written: the lock first, then the database.
            for file in ["octo.db", "octo.db-"] {
                for (error, told) in [(EIO, Told::Io), (ENOSPC, Told::Full)] {
                    disk.fails(Fault {
                        file,
                        ..Fault::every("write", error)
                    });
                    assert_eq!(Told::of(stage.open().await), told, "{file}");
                }
            }
            disk.works_again();
            load(&opened(stage).await, "after", 3).await
        },
        async |stage, requests| {
            assert_eq!(count(&requests, Told::Recorded), 24);
            assert_eq!(check(stage, &requests).await, 0);
        },
    );
}

#[test]
fn a_disk_that_is_slow_or_writes_by_halves_fails_nothing() {
    play(
        "a_disk_that_is_slow_or_writes_by_halves_fails_nothing",
        async |stage, disk| {
            let store = opened(stage).await;
            let mut all = Vec::new();
            let slow = Fault {
                per_mille: 300,
                delay: Duration::from_millis(40),
                ..Fault::every("sync", 0)
            };
            let halves = Fault {
                how: "short",
                ..Fault::every("write", 0)
            };
            for (name, fault) in [("slow", slow), ("halves", halves)] {
                disk.fails(fault);
                let requests = load(&store, name, 10).await;
                assert_eq!(count(&requests, Told::Recorded), 80);
                all.extend(requests);
            }
            all
        },
        async |stage, requests| assert_eq!(check(stage, &requests).await, 0),
    );
}

#[test]
fn a_failing_disk_of_artifacts_fails_the_commits_that_have_one() {
    play(
        "a_failing_disk_of_artifacts_fails_the_commits_that_have_one",
        async |stage, disk| {
            let store = opened(stage).await;
            disk.fails(Fault {
                file: "/artifacts/",
                ..Fault::every("write", ENOSPC)
            });
            let mut all = load(&store, "full", 4).await;
            // Two of four contents are large enough for a file.
            assert_eq!(count(&all, Told::Full), 16);
            assert_eq!(count(&all, Told::Recorded), 16);
            disk.fails(Fault {
                file: "/artifacts/",
                per_mille: 500,
                ..Fault::every("sync", EIO)
            });
            let requests = load(&store, "failing", 10).await;
            assert!(count(&requests, Told::Io) > 0);
            all.extend(requests);
            disk.works_again();
            again(&store, &mut all).await;
            all
        },
        async |stage, requests| assert_eq!(check(stage, &requests).await, 0),
    );
}
