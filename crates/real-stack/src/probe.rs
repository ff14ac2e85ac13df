//! How a part says that it is ready. Each probe knows ours from a foreign server on our port.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpStream;

use crate::{Exchange, family};

/// How long one answer may take.
const LIMIT: Duration = Duration::from_secs(5);

/// What to ask, and what a good answer is. No `Debug`: it carries a key.
pub(crate) enum Probe {
    /// A GET with a key, and what its answer contains.
    Http {
        path: &'static str,
        key: String,
        expects: &'static str,
    },
    /// NATS introduces itself with its name to everybody who connects.
    Nats { name: String },
    /// Postgres says it in `postmaster.pid` of its data folder, as its own `pg_ctl` reads it.
    Postmaster { data: PathBuf },
}

impl Probe {
    /// Asks the server of `process` on `port`; a refusal says why.
    pub(crate) async fn ask(&self, port: u16, process: u32) -> Result<(), String> {
        match self {
            Self::Http { path, key, expects } => http(port, path, key, expects).await,
            Self::Nats { name } => tokio::time::timeout(LIMIT, nats(port, name))
                .await
                .map_err(|_elapsed| format!("nothing was said within {LIMIT:?}"))?,
            Self::Postmaster { data } => postmaster(data, process),
        }
    }
}

async fn http(port: u16, path: &str, key: &str, expects: &str) -> Result<(), String> {
    let exchange = Exchange::get(format!("http://127.0.0.1:{port}{path}"))
        .bearer(key)
        .within(LIMIT);
    let answer = exchange.send().await.map_err(|error| error.to_string())?;
    if answer.status.is_success() && answer.text().contains(expects) {
        return Ok(());
    }
    Err(format!("{path} answered {}", answer.status))
}

/// Reads the first line: `INFO {…}`.
async fn nats(port: u16, name: &str) -> Result<(), String> {
    let connection = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await;
    let connection = connection.map_err(|error| error.to_string())?;
    let mut line = String::new();
    BufReader::new(connection)
        .read_line(&mut line)
        .await
        .map_err(|error| error.to_string())?;
    introduced(&line, name)
}

fn introduced(line: &str, name: &str) -> Result<(), String> {
    let info: Option<Value> = line
        .strip_prefix("INFO ")
        .and_then(|info| serde_json::from_str(info).ok());
    let info = info.ok_or("it does not speak as NATS does")?;
    match info.get("server_name").and_then(Value::as_str) {
        Some(found) if found == name => {}
        found => {
            return Err(format!(
                "it is another server, {}",
                found.unwrap_or("unnamed")
            ));
        }
    }
    if info.get("jetstream") != Some(&Value::Bool(true)) {
        return Err("it has no JetStream yet".to_owned());
    }
    Ok(())
}

fn postmaster(data: &Path, process: u32) -> Result<(), String> {
    let path = data.join("postmaster.pid");
    let text = std::fs::read_to_string(path).map_err(|error| format!("postmaster.pid: {error}"))?;
    let note = Note::read(&text).ok_or("postmaster.pid is not whole yet")?;
    // A server that was killed leaves its file behind, and that one says `ready`.
    let children = family::children(process).map_err(|error| error.to_string())?;
    if !children.contains(&note.process) {
        return Err("postmaster.pid is of an earlier server".to_owned());
    }
    match note.status {
        "ready" | "standby" => Ok(()),
        other => Err(format!("it says `{other}`")),
    }
}

/// `postmaster.pid`: one fact a line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Note<'a> {
    /// The first process of the server.
    pub(crate) process: u32,
    /// Number of its piece of System V shared memory.
    pub(crate) shared_memory: &'a str,
    /// `starting`, `stopping`, `ready` or `standby` (ready, and read-only).
    status: &'a str,
}

impl<'a> Note<'a> {
    pub(crate) fn read(text: &'a str) -> Option<Self> {
        let lines: Vec<&str> = text.lines().collect();
        let &[
            process,
            _data,
            _start,
            _port,
            _socket,
            _address,
            memory,
            status,
            ..,
        ] = lines.as_slice()
        else {
            return None;
        };
        Some(Self {
            process: process.trim().parse().ok()?,
            shared_memory: memory.split_whitespace().last()?,
            status: status.trim(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PID_FILE: &str =
        "4711\n/data\n1790000000\n5432\n\n127.0.0.1\n  5432001     98304\nready   \n";

    #[test]
    fn only_our_own_nats_with_jetstream_is_ready() {
        let said = |line: &str| introduced(line, "ours");
        let ours = r#"INFO {"server_name":"ours","jetstream":true}"#;
        assert_eq!(said(&format!("{ours} \r\n")), Ok(()));
        for (line, reason) in [
            ("+OK\r\n", "it does not speak as NATS does"),
            ("", "it does not speak as NATS does"),
            (
                r#"INFO {"server_name":"theirs"}"#,
                "it is another server, theirs",
            ),
            (r#"INFO {"server_name":"ours"}"#, "it has no JetStream yet"),
        ] {
            assert_eq!(said(line), Err(reason.to_owned()), "{line}");
        }
    }

    #[test]
    fn the_note_of_a_server_is_read() {
        let note = Note {
            process: 4711,
            shared_memory: "98304",
            status: "ready",
        };
        assert_eq!(Note::read(PID_FILE), Some(note));
    }

    #[test]
    fn a_note_that_is_only_half_written_says_nothing() {
        assert_eq!(Note::read("4711\n/data\n1790000000\n"), None);
        assert_eq!(Note::read(""), None);
    }

    #[test]
    fn what_a_killed_server_left_behind_does_not_pass_for_ours() {
        let data = tempfile::tempdir().unwrap();
        std::fs::write(data.path().join("postmaster.pid"), PID_FILE).unwrap();
        let reason = postmaster(data.path(), std::process::id()).unwrap_err();
        assert_eq!(reason, "postmaster.pid is of an earlier server");
    }
}
