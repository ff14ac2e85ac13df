//! A database of our own on the server that `cargo xtask test` runs beside the tests.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Nobody works longer than this on what a killed gateway left.
const LIMIT: Duration = Duration::from_secs(90);

pub(crate) struct Database {
    psql: PathBuf,
    server: String,
    name: String,
    pub(crate) url: String,
}

impl Database {
    pub(crate) fn new() -> Self {
        let var = |name: &str| {
            std::env::var(name).unwrap_or_else(|_| panic!("{name} is set by `cargo xtask test`"))
        };
        let server = var("OCTO_TEST_POSTGRES_URL");
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let made = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("gateways_{}_{made}", std::process::id());
        let (host, _) = server.rsplit_once('/').unwrap();
        let database = Self {
            psql: PathBuf::from(var("OCTO_TEST_POSTGRES_BIN")).join("psql"),
            url: format!("{host}/{name}"),
            server,
            name,
        };
        database.ask(
            &database.server,
            &format!("CREATE DATABASE {}", database.name),
        );
        database
    }

    fn ask(&self, url: &str, sql: &str) -> Vec<String> {
        let output = Command::new(&self.psql)
            .args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"])
            .args([
                "--set",
                "ON_ERROR_STOP=1",
                "--dbname",
                url,
                "--command",
                sql,
            ])
            .env_clear()
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{sql}: {told}");
        let rows = String::from_utf8(output.stdout).unwrap();
        rows.lines().map(str::to_owned).collect()
    }

    /// The rows of an answer, columns separated by `|`.
    pub(crate) fn rows(&self, sql: &str) -> Vec<String> {
        self.ask(&self.url, sql)
    }

    pub(crate) fn count(&self, sql: &str) -> u64 {
        self.rows(sql)[0].parse().unwrap()
    }

    pub(crate) fn head(&self) -> u64 {
        self.count("SELECT max(position) FROM events")
    }

    /// Waits until every task has ended and every call too: what killed gateways left is closed by others.
    pub(crate) async fn wait_until_nothing_is_open(&self) {
        let start = Instant::now();
        loop {
            let open = self.count(
                "SELECT (SELECT count(*) FROM tasks WHERE status IN ('CREATED', 'RUNNING'))
                      + (SELECT count(*) FROM model_calls WHERE status = 'started')",
            );
            if open == 0 {
                return;
            }
            assert!(
                start.elapsed() < LIMIT,
                "{open} tasks and calls are still open"
            );
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Each call that began ended once, positions of a task have no gap, and a task ends with its last event.
    pub(crate) fn check_calls(&self) {
        let ends = self.rows(
            "SELECT s.event_id, count(e.event_id) FROM events s
             LEFT JOIN events e ON e.parent_event_id = s.event_id
                  AND e.type IN ('MODEL_CALL_COMPLETED', 'MODEL_CALL_FAILED')
             WHERE s.type = 'MODEL_CALL_STARTED' GROUP BY 1 HAVING count(e.event_id) <> 1",
        );
        assert_eq!(ends, [""; 0], "calls with other than one end");
        let gaps = self.rows(
            "SELECT task_id FROM events GROUP BY 1
             HAVING min(task_seq) <> 1 OR max(task_seq) <> count(*)",
        );
        assert_eq!(gaps, [""; 0], "tasks with a gap");
        let last = self.rows(
            "SELECT DISTINCT type FROM events e
             WHERE task_seq = (SELECT max(task_seq) FROM events WHERE task_id = e.task_id)",
        );
        // A call whose gateway stood still may end after its task did.
        for kind in last {
            assert!(
                ["STATE_TRANSITION", "MODEL_CALL_FAILED"].contains(&kind.as_str()),
                "a task ends with {kind}"
            );
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let drop = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        let _ = Command::new(&self.psql)
            .args([
                "--no-psqlrc",
                "--quiet",
                "--dbname",
                &self.server,
                "--command",
                &drop,
            ])
            .env_clear()
            .output();
    }
}
