//! A gateway in this process, a small HTTP client, and an upstream that does as it is told.

#![expect(
    dead_code,
    unreachable_pub,
    reason = "each test binary uses its own part of this"
)]

pub mod client;
pub mod drip;
pub mod octo;
pub mod sse;
pub mod upstream;
pub mod writer;

use std::net::SocketAddr;
use std::time::Duration;

use client::{Answer, send};
use gateway::app::App;
use gateway::config::{Config, Environment, Overrides};
use gateway::server;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The events of a task whose call was answered, in order.
pub const GOOD_TASK: [&str; 7] = [
    "TASK_CREATED",
    "USER_MESSAGE",
    "STATE_TRANSITION",
    "MODEL_CALL_STARTED",
    "MODEL_CALL_COMPLETED",
    "ARTIFACT_CREATED",
    "STATE_TRANSITION",
];

/// No test waits longer for anything.
pub const LIMIT: Duration = Duration::from_secs(60);

pub struct Gateway {
    pub address: SocketAddr,
    pub app: App,
    pub dir: TempDir,
    stop: CancellationToken,
    served: JoinHandle<()>,
}

impl Gateway {
    /// A gateway with these settings on a free port, its data in a folder of its own.
    pub async fn start(settings: &[(&str, &str)]) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), settings).await
    }

    pub async fn start_in(dir: TempDir, settings: &[(&str, &str)]) -> Self {
        let data = dir.path().to_str().unwrap().to_owned();
        let defaults = [
            ("OCTOAGENT_DATA_DIR", data),
            ("OCTO_LISTEN", "127.0.0.1:0".to_owned()),
        ];
        let settings = settings
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()));
        let environment = Environment::of_pairs(defaults.into_iter().chain(settings));
        let config = Config::load(&environment, &Overrides::default()).unwrap();
        Self::start_with(dir, config).await
    }

    pub async fn start_with(dir: TempDir, config: Config) -> Self {
        let listener = TcpListener::bind(config.server.listen).await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = App::start(config).await.unwrap();
        let stop = CancellationToken::new();
        let (served_app, served_stop) = (app.clone(), stop.clone());
        #[expect(clippy::disallowed_methods, reason = "joined by `stop`")]
        let served = tokio::spawn(async move {
            server::serve(served_app, listener, served_stop)
                .await
                .unwrap();
        });
        Self {
            address,
            app,
            dir,
            stop,
            served,
        }
    }

    /// Ends the gateway gracefully; its folder stays until the caller drops it.
    pub async fn stop(self) -> TempDir {
        self.stop.cancel();
        tokio::time::timeout(LIMIT, self.served)
            .await
            .unwrap()
            .unwrap();
        self.dir
    }

    pub async fn get(&self, path: &str) -> Answer {
        send(self.address, "GET", path, &[], b"").await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.post_with(path, &[], body).await
    }

    pub async fn post_with(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
        send(
            self.address,
            "POST",
            path,
            headers,
            body.to_string().as_bytes(),
        )
        .await
    }

    /// Sends a new message; gives its task's identifier.
    pub async fn submit(&self, text: &str, key: &str, alias: Option<&str>) -> String {
        let mut body = json!({"text": text, "idempotency_key": key});
        if let Some(alias) = alias {
            body["model_alias"] = alias.into();
        }
        let taken = self.post("/api/message", &body).await;
        assert_eq!(taken.status, 201, "{taken:?}");
        taken.json()["task_id"].as_str().unwrap().to_owned()
    }

    /// Sends a message and follows its task to the end; gives its identifier and its view.
    pub async fn run_message(&self, text: &str, key: &str, alias: Option<&str>) -> (String, Value) {
        let task_id = self.submit(text, key, alias).await;
        // The stream ends with the task.
        let stream = self.get(&format!("/api/stream/task/{task_id}")).await;
        assert_eq!(stream.status, 200, "{stream:?}");
        let view = self.get(&format!("/api/tasks/{task_id}")).await.json();
        (task_id, view)
    }
}

/// Looks until what is seen is as it should be.
pub async fn until<T>(look: impl AsyncFn() -> T, good: impl Fn(&T) -> bool) -> T {
    let looking = async {
        loop {
            let seen = look().await;
            if good(&seen) {
                return seen;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LIMIT, looking).await.unwrap()
}

/// The events of a task view by type, each with its payload.
pub fn types(view: &Value) -> Vec<String> {
    let events = view["events"].as_array().unwrap();
    for (index, event) in events.iter().enumerate() {
        assert_eq!(event["task_seq"], index + 1, "no gap in the sequence");
    }
    events
        .iter()
        .map(|event| event["type"].as_str().unwrap().to_owned())
        .collect()
}

/// The payload of the one event of a type.
pub fn payload<'a>(view: &'a Value, kind: &str) -> &'a Value {
    let events = view["events"].as_array().unwrap();
    let mut found = events.iter().filter(|event| event["type"] == kind);
    let event = found
        .next()
        .unwrap_or_else(|| panic!("no {kind} in {view}"));
    assert!(found.next().is_none(), "more than one {kind}");
    &event["payload"]
}
