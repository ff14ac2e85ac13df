//! A real NATS server with JetStream: killed, started again on the same streams, and gone without a trace.

#![expect(
    clippy::unwrap_used,
    reason = "a test stops where something is missing"
)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use real_stack::{NatsServer, Servers};

fn servers() -> Servers {
    Servers::ensure(|_step| ()).unwrap()
}

/// A client of the protocol's few lines that one question needs.
struct Client {
    reader: BufReader<TcpStream>,
}

impl Client {
    fn connect(server: &NatsServer) -> Self {
        let url = server.url();
        let stream = TcpStream::connect(url.strip_prefix("nats://").unwrap()).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        let mut client = Self {
            reader: BufReader::new(stream),
        };
        assert!(client.line().starts_with("INFO "));
        client.say("CONNECT {\"verbose\":false}\r\nSUB answers 1\r\n");
        client
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.reader.read_line(&mut line).unwrap();
        line
    }

    fn say(&self, text: &str) {
        self.reader.get_ref().write_all(text.as_bytes()).unwrap();
    }

    /// Asks and waits for the answer.
    fn ask(&mut self, subject: &str, body: &str) -> String {
        let length = body.len();
        self.say(&format!("PUB {subject} answers {length}\r\n{body}\r\n"));
        loop {
            let line = self.line();
            if line.starts_with("MSG ") {
                return self.line();
            }
            assert!(line.starts_with("PING"), "{line}");
            self.say("PONG\r\n");
        }
    }
}

/// Where the server keeps its streams, out of its own log.
fn folder(server: &NatsServer) -> PathBuf {
    let log = std::fs::read_to_string(server.log()).unwrap();
    let (_, rest) = log.split_once("Store Directory: \"").unwrap();
    PathBuf::from(rest.split('"').next().unwrap())
}

/// Processes of our server: its folder is in their arguments.
fn processes(folder: &str) -> Vec<String> {
    let output = Command::new("ps").args(["-A", "-o", "args="]).output();
    let table = String::from_utf8(output.unwrap().stdout).unwrap();
    let ours = table.lines().filter(|line| line.contains(folder));
    ours.map(str::to_owned).collect()
}

#[tokio::test]
async fn a_killed_server_starts_again_with_every_message_it_has_confirmed() {
    let mut server = NatsServer::start(&servers()).await.unwrap();
    let mut client = Client::connect(&server);
    let stream = r#"{"name":"tasks","subjects":["tasks.>"],"storage":"file"}"#;
    let made = client.ask("$JS.API.STREAM.CREATE.tasks", stream);
    assert!(made.contains("\"did_create\":true"), "{made}");
    for number in 1..=3 {
        let confirmed = client.ask("tasks.new", "a task");
        assert!(
            confirmed.contains(&format!("\"seq\":{number}")),
            "{confirmed}"
        );
    }

    let url = server.url();
    server.kill().unwrap();
    assert!(TcpStream::connect(url.strip_prefix("nats://").unwrap()).is_err());
    server.restart().await.unwrap();
    assert_eq!(server.url(), url);
    let info = Client::connect(&server).ask("$JS.API.STREAM.INFO.tasks", "");
    assert!(info.contains("\"messages\":3"), "{info}");
}

#[tokio::test]
async fn nothing_is_left_of_a_server() {
    let server = NatsServer::start(&servers()).await.unwrap();
    let folder = folder(&server);
    let name = folder.parent().unwrap().to_str().unwrap().to_owned();
    assert!(name.contains("octo-nats-"), "{name}");
    assert_eq!(processes(&name).len(), 2);
    drop(server);
    assert!(processes(&name).is_empty(), "{:?}", processes(&name));
    assert!(!std::path::Path::new(&name).exists());
}
