//! As much of an HTTP client as a worker needs: one request, one whole answer.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// Longest answer that is read, in bytes.
const MAX_ANSWER: u64 = 64 << 20;
/// Longest silence; more than the gateway is asked to wait.
const QUIET: Duration = Duration::from_secs(60);
const CONNECT: Duration = Duration::from_secs(5);

/// Where the gateway is.
pub(crate) struct Gateway {
    /// `127.0.0.1:8000`
    address: String,
    key: Option<String>,
}

/// Why there is no page.
pub(crate) enum HttpError {
    /// The gateway is away or busy.
    NotNow(String),
    /// Asking again would get the same answer.
    Refused(String),
}

impl From<io::Error> for HttpError {
    fn from(error: io::Error) -> Self {
        Self::NotNow(error.to_string())
    }
}

impl Gateway {
    /// From `http://host:port`.
    pub(crate) fn at(url: &str, key: Option<String>) -> Result<Self, String> {
        let address = url.trim_end_matches('/').strip_prefix("http://");
        let address = address.filter(|address| address.contains(':') && !address.contains('/'));
        Ok(Self {
            address: address
                .ok_or(format!("--url is {url}, not http://host:port"))?
                .to_owned(),
            key: key.filter(|key| !key.is_empty()),
        })
    }

    /// The body of a good answer, whole.
    pub(crate) fn get(&self, path: &str) -> Result<Vec<u8>, HttpError> {
        let mut stream = self.connect()?;
        let host = &self.address;
        let mut request = format!(
            "GET {path} HTTP/1.1\r\nhost: {host}\r\naccept: application/json\r\nconnection: close\r\n"
        );
        if let Some(key) = &self.key {
            request.push_str(&format!("authorization: Bearer {key}\r\n"));
        }
        request.push_str("\r\n");
        stream.write_all(request.as_bytes())?;
        let mut answer = Vec::new();
        stream.take(MAX_ANSWER).read_to_end(&mut answer)?;
        read(&answer)
    }

    fn connect(&self) -> io::Result<TcpStream> {
        let mut addresses = self.address.to_socket_addrs()?;
        let address = addresses
            .next()
            .ok_or_else(|| io::Error::other("the host has no address"))?;
        let stream = TcpStream::connect_timeout(&address, CONNECT)?;
        stream.set_read_timeout(Some(QUIET))?;
        stream.set_write_timeout(Some(QUIET))?;
        Ok(stream)
    }
}

/// The body, if the status is 200 and all of it came.
fn read(answer: &[u8]) -> Result<Vec<u8>, HttpError> {
    let cut = || HttpError::NotNow("the answer was cut off".to_owned());
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
    let (head, body) = answer.split_at(end.ok_or_else(cut)? + 4);
    let head = String::from_utf8_lossy(head);
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let is_length = name.eq_ignore_ascii_case("content-length");
        is_length.then(|| value.trim().parse::<usize>().ok())?
    });
    if length != Some(body.len()) {
        return Err(cut());
    }
    let status = head.split(' ').nth(1).unwrap_or_default();
    let said = || format!("{status}: {}", String::from_utf8_lossy(body));
    match status {
        "200" => Ok(body.to_vec()),
        "408" | "429" => Err(HttpError::NotNow(said())),
        _ if status.starts_with('5') => Err(HttpError::NotNow(said())),
        // Among them 409 CURSOR_AHEAD: these books were made from another log.
        _ => Err(HttpError::Refused(said())),
    }
}
