//! The checks can fail: books that somebody has tampered with, or that have rotted, each in one way.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;

use crate::books::Books;
use crate::check::{Findings, Moment, Rule, check, recount, rollups};
use crate::clients::Clients;
use crate::dice::Dice;
use crate::process::Place;
use crate::store::Fresh;
use crate::told::Told;
use crate::upstream::Upstream;

/// A way to spoil the books, and the rules that it breaks.
struct Damage {
    sql: &'static str,
    breaks: &'static [Rule],
}

const DAMAGES: [Damage; 24] = [
    // Events that are gone.
    Damage {
        sql: "DELETE FROM events WHERE event_id = (SELECT event_id FROM events WHERE type = 'USER_MESSAGE' LIMIT 1)",
        breaks: &[Rule::NoGap],
    },
    Damage {
        sql: "DELETE FROM events WHERE event_id IN (SELECT max(event_id) FROM events GROUP BY task_id)",
        breaks: &[Rule::NothingLost, Rule::NothingHangs, Rule::TaskRow],
    },
    Damage {
        sql: "DELETE FROM events WHERE type = 'MODEL_CALL_COMPLETED'",
        breaks: &[Rule::NothingLost, Rule::NoGap, Rule::OneEndPerCall, Rule::CallRow, Rule::Sums],
    },
    Damage {
        sql: "DELETE FROM events WHERE task_id = (SELECT task_id FROM events WHERE idempotency_key IS NOT NULL LIMIT 1)",
        breaks: &[Rule::NothingLost, Rule::OneTaskPerKey],
    },
    // Events that are not as they were.
    Damage {
        sql: "UPDATE events SET payload = replace(payload, 'message key', 'massage key')",
        breaks: &[Rule::AsItWasSeen],
    },
    Damage {
        sql: "UPDATE events SET payload = json_set(payload, '$.cost_usd', 1) WHERE type = 'MODEL_CALL_COMPLETED'",
        breaks: &[Rule::OneEndPerCall, Rule::CallRow, Rule::Sums],
    },
    Damage {
        sql: "UPDATE events SET ts = replace(ts, '20', '19')",
        breaks: &[Rule::AsItWasSeen, Rule::TaskRow, Rule::CallRow],
    },
    // Events that nobody recorded.
    Damage {
        sql: "INSERT INTO events (event_id, task_id, task_seq, ts, type, actor, payload, trace_id, parent_event_id, position)
              SELECT 'twice-' || event_id, task_id, (SELECT max(task_seq) + 1 FROM events AS own WHERE own.task_id = events.task_id),
                     ts, type, actor, payload, trace_id, parent_event_id, (SELECT max(position) + 1 FROM events)
              FROM events WHERE type = 'MODEL_CALL_COMPLETED' LIMIT 1",
        breaks: &[Rule::OneEndPerCall],
    },
    Damage {
        sql: "UPDATE events SET idempotency_key = 'nobody-sent-it' WHERE event_id =
              (SELECT event_id FROM events WHERE idempotency_key IS NOT NULL LIMIT 1)",
        breaks: &[Rule::OneTaskPerKey],
    },
    // The order of the log.
    Damage {
        sql: "UPDATE events SET position = NULL WHERE type = 'USER_MESSAGE'",
        breaks: &[Rule::OrderOfTheLog],
    },
    Damage {
        sql: "UPDATE events SET position = -position",
        breaks: &[Rule::OrderOfTheLog],
    },
    // What follows from the events.
    Damage {
        sql: "UPDATE tasks SET status = 'RUNNING' WHERE status = 'SUCCEEDED'",
        breaks: &[Rule::TaskRow],
    },
    Damage {
        sql: "DELETE FROM tasks WHERE task_id = (SELECT task_id FROM tasks LIMIT 1)",
        breaks: &[Rule::TaskRow],
    },
    Damage {
        sql: "UPDATE model_calls SET cost_pico = cost_pico + 1 WHERE status = 'completed'",
        breaks: &[Rule::CallRow],
    },
    Damage {
        sql: "UPDATE cost_sums SET cost_pico = cost_pico + 1 WHERE period = 'month'",
        breaks: &[Rule::Sums],
    },
    Damage {
        sql: "DELETE FROM cost_sums WHERE period = 'hour_alias'",
        breaks: &[Rule::Sums],
    },
    Damage {
        sql: "DELETE FROM cost_sums WHERE period = 'hour_model'",
        breaks: &[Rule::Sums],
    },
    Damage {
        sql: "DELETE FROM cost_sums WHERE scope = (SELECT scope FROM cost_sums WHERE period = 'task' LIMIT 1)",
        breaks: &[Rule::Sums],
    },
    Damage {
        sql: "DELETE FROM model_calls WHERE call_id = (SELECT call_id FROM model_calls LIMIT 1)",
        breaks: &[Rule::CallRow],
    },
    // The chain.
    Damage {
        sql: "UPDATE events SET hash = randomblob(32) WHERE position = 5",
        breaks: &[Rule::Chain],
    },
    Damage {
        sql: "UPDATE events SET span_id = 'another' WHERE position = 5",
        breaks: &[Rule::Chain],
    },
    Damage {
        sql: "UPDATE tasks SET chain = randomblob(32)",
        breaks: &[Rule::TaskRow],
    },
    // Artifacts.
    Damage {
        sql: "DELETE FROM artifacts WHERE artifact_id = (SELECT artifact_id FROM artifacts LIMIT 1)",
        breaks: &[Rule::WholeArtifacts],
    },
    Damage {
        sql: "UPDATE artifacts SET parts = replace(parts, 'answer', 'anwser')",
        breaks: &[Rule::WholeArtifacts],
    },
];

/// A folder with books, and what clients were told of them.
struct Kept {
    place: Place,
    told: Arc<Told>,
}

impl Kept {
    /// Books of half a second, closed in good order.
    async fn new() -> Self {
        let upstream = Upstream::start().await;
        let kept = Self {
            place: Place::new(Fresh::Sqlite, upstream.url()),
            told: Arc::default(),
        };
        let octo = kept.place.start().await.unwrap();
        let clients = Clients::start(octo.address, &kept.told, &mut Dice::new(7));
        // As long as it takes until there is some of everything.
        loop {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let told = kept.told.record();
            if told.answers.len() > 10 && told.seen.len() > 50 {
                break;
            }
        }
        clients.stop().await;
        assert!(octo.end().await);
        kept
    }

    fn connection(&self) -> Connection {
        let conn = Connection::open(self.place.data().join("sqlite/octoagent.db")).unwrap();
        conn.pragma_update(None, "foreign_keys", false).unwrap();
        conn
    }

    /// Brings the database back to what it was.
    fn restore(&self, backup: &str) {
        let database = self.place.data().join("sqlite/octoagent.db");
        for rest in ["-wal", "-shm"] {
            let mut name = database.clone().into_os_string();
            name.push(rest);
            // SQLite removes them itself where the last connection closed well.
            let _ = std::fs::remove_file(name);
        }
        std::fs::copy(backup, database).unwrap();
    }

    /// Runs the check of the books, and that of the sums with an octo on them.
    async fn broken_rules(&self) -> Findings {
        let books = Books::read(&self.place.database(), &self.place.artifacts());
        let mut found = Findings(check(&books, &self.told.record(), Moment::Settled));
        let octo = self.place.start().await.unwrap();
        rollups(&octo, &recount(&books), &[], &mut found).await;
        octo.kill().await;
        found
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn books_that_were_tampered_with_are_found_out() {
    let kept = Kept::new().await;
    let before = kept.broken_rules().await;
    assert_eq!(before.0, [], "they are whole before");
    let backup = kept.place.data().join("backup");
    let backup = backup.to_str().unwrap();
    kept.connection()
        .execute("VACUUM INTO ?1", [backup])
        .unwrap();
    for damage in DAMAGES {
        let changed = kept.connection().execute(damage.sql, []).unwrap();
        assert!(changed > 0, "it changed nothing: {}", damage.sql);
        let found = kept.broken_rules().await;
        for rule in damage.breaks {
            assert!(
                found.0.iter().any(|violation| violation.rule == *rule),
                "{rule:?} was broken by {} and not found, only {:#?}",
                damage.sql,
                found.0
            );
        }
        kept.restore(backup);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_gone_rotten_or_left_behind_is_found_out() {
    let kept = Kept::new().await;
    let file = || {
        let books = Books::read(&kept.place.database(), &kept.place.artifacts());
        let files = books.artifacts.into_values();
        let first = files.filter_map(|artifact| artifact.storage_ref).next();
        kept.place.artifacts().join(first.unwrap())
    };
    let whole = std::fs::read(file()).unwrap();
    std::fs::write(file(), whole.to_ascii_uppercase()).unwrap();
    let rotten = kept.broken_rules().await;
    std::fs::write(file(), &whole).unwrap();
    let healed = kept.broken_rules().await;
    let task = file().parent().unwrap().to_owned();
    std::fs::write(task.join("nobody's"), "").unwrap();
    let orphan = kept.broken_rules().await;
    std::fs::remove_file(task.join("nobody's")).unwrap();
    let note = kept.place.artifacts().join(".incoming~/note");
    std::fs::create_dir(&note).unwrap();
    let noted = kept.broken_rules().await;
    assert!(!note.exists(), "the start that followed removed it");
    std::fs::remove_file(file()).unwrap();
    let gone = kept.broken_rules().await;
    let rules = |found: Findings| -> Vec<Rule> {
        let rules = found.0.into_iter();
        rules.map(|violation| violation.rule).collect()
    };
    assert_eq!(rules(rotten), [Rule::WholeArtifacts]);
    assert_eq!(rules(healed), []);
    assert_eq!(rules(orphan), [Rule::WholeArtifacts]);
    assert_eq!(rules(noted), [Rule::WholeArtifacts]);
    assert_eq!(rules(gone), [Rule::WholeArtifacts]);
}
