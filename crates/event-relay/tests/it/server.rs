//! A NATS server of the test's own.

use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use async_nats::ConnectOptions;
use async_nats::jetstream::{self, Context};
use event_relay::NatsConfig;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::LIMIT;

/// A server with its files in a folder of its own; killed when dropped.
pub(crate) struct Server {
    dir: TempDir,
    port: u16,
    running: Option<Child>,
    /// What a client has to say before it is served, as the server and as a URL has it.
    login: Login,
    kind: Kind,
}

/// What a server can do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Usual,
    WithoutStreams,
    /// It takes messages of eight megabytes, where one is usual.
    ForLongMessages,
}

/// Who may use a server.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Login {
    Nobody,
    User,
    Token,
}

impl Login {
    const fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Nobody => &[],
            Self::User => &["--user", "octo", "--pass", "hidden"],
            Self::Token => &["--auth", "hidden"],
        }
    }

    fn options(self) -> ConnectOptions {
        match self {
            Self::Nobody => ConnectOptions::new(),
            Self::User => ConnectOptions::with_user_and_password("octo".into(), "hidden".into()),
            Self::Token => ConnectOptions::with_token("hidden".into()),
        }
    }

    const fn in_url(self) -> &'static str {
        match self {
            Self::Nobody => "",
            Self::User => "octo:hidden@",
            Self::Token => "hidden@",
        }
    }
}

impl Server {
    /// Chooses its place; nothing runs yet.
    pub(crate) fn place() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Self {
            dir: tempfile::tempdir().unwrap(),
            port: listener.local_addr().unwrap().port(),
            running: None,
            login: Login::Nobody,
            kind: Kind::Usual,
        }
    }

    pub(crate) async fn start() -> Self {
        Self::start_for(Login::Nobody).await
    }

    pub(crate) async fn start_for(login: Login) -> Self {
        let mut server = Self::place();
        server.login = login;
        server.up().await;
        server
    }

    pub(crate) async fn start_without_streams() -> Self {
        let mut server = Self::place();
        server.kind = Kind::WithoutStreams;
        server.up().await;
        server
    }

    /// Starts it, on the files that it left; returns when it answers.
    pub(crate) async fn up(&mut self) {
        self.running = Some(spawn(self.port, self.dir.path(), self.login, self.kind));
        self.context().await;
    }

    /// Starts it anew as another kind.
    pub(crate) async fn become_of(&mut self, kind: Kind) {
        self.kill().await;
        self.kind = kind;
        self.up().await;
    }

    /// It stands still: what is sent to it waits, and nothing is answered.
    pub(crate) async fn freeze(&self) {
        self.signal("-STOP").await;
    }

    /// It goes on.
    pub(crate) async fn thaw(&self) {
        self.signal("-CONT").await;
    }

    async fn signal(&self, signal: &str) {
        let process = self.running.as_ref().unwrap().id().unwrap().to_string();
        let sent = Command::new("kill").args([signal, &process]).status().await;
        assert!(sent.unwrap().success());
    }

    /// SIGKILL.
    pub(crate) async fn kill(&mut self) {
        self.running.take().unwrap().kill().await.unwrap();
    }

    pub(crate) fn config(&self) -> NatsConfig {
        self.config_for(self.login)
    }

    /// As somebody says it who may not be let in.
    pub(crate) fn config_for(&self, login: Login) -> NatsConfig {
        let login = login.in_url();
        NatsConfig::new(&format!("nats://{login}127.0.0.1:{}", self.port)).unwrap()
    }

    /// A client of it, once it answers.
    pub(crate) async fn context(&self) -> Context {
        let address = format!("127.0.0.1:{}", self.port);
        let answers = async {
            loop {
                if let Ok(client) = self.login.options().connect(&address).await {
                    let context = jetstream::new(client);
                    if self.kind == Kind::WithoutStreams || context.query_account().await.is_ok() {
                        return context;
                    }
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(LIMIT, answers).await.unwrap()
    }
}

fn spawn(port: u16, dir: &Path, login: Login, kind: Kind) -> Child {
    let program = std::env::var("OCTO_TEST_NATS_SERVER").unwrap_or_else(|_| {
        panic!("OCTO_TEST_NATS_SERVER is not set: it is set by `cargo xtask test`")
    });
    let mut command = Command::new(program);
    match kind {
        Kind::WithoutStreams => {}
        Kind::Usual => {
            command.arg("-js").arg("-sd").arg(dir);
        }
        Kind::ForLongMessages => {
            let file = dir.join("nats.conf");
            std::fs::write(&file, "max_payload: 8MB\n").unwrap();
            command.arg("-js").arg("-sd").arg(dir).arg("-c").arg(file);
        }
    }
    command
        .args(["-a", "127.0.0.1", "-p", &port.to_string()])
        .args(login.arguments())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}
