//! Reading a streamed answer, as slowly as a test wants.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::LIMIT;

/// A streamed answer that is being read. Dropping it hangs up.
pub struct SseAnswer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub trailers: HeaderMap,
    body: Incoming,
    read: Vec<u8>,
    _connection: JoinSet<()>,
}

/// One event.
#[derive(Debug)]
pub struct SseEvent {
    pub id: Option<String>,
    pub kind: Option<String>,
    pub data: String,
}

impl SseEvent {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap()
    }
}

/// Follows a `GET` stream on a connection of its own.
pub async fn follow(address: SocketAddr, path: &str) -> SseAnswer {
    follow_with(address, path, &[]).await
}

/// The same, with headers.
pub async fn follow_with(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> SseAnswer {
    tokio::time::timeout(LIMIT, request(address, Request::get(path), headers, ""))
        .await
        .unwrap()
        .unwrap()
}

/// The same, with headers, from a server that may be killed at any moment.
pub async fn try_follow(
    address: SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
) -> Result<SseAnswer, Box<dyn std::error::Error + Send + Sync>> {
    request(address, Request::get(path), headers, "").await
}

/// Sends a request on a connection of its own and waits for the head of its answer.
pub async fn open(
    address: SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
    body: &Value,
) -> SseAnswer {
    tokio::time::timeout(LIMIT, try_open(address, path, headers, body))
        .await
        .unwrap()
        .unwrap()
}

pub async fn try_open(
    address: SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
    body: &Value,
) -> Result<SseAnswer, Box<dyn std::error::Error + Send + Sync>> {
    request(address, Request::post(path), headers, &body.to_string()).await
}

async fn request(
    address: SocketAddr,
    mut request: http::request::Builder,
    headers: &[(&str, &str)],
    body: &str,
) -> Result<SseAnswer, Box<dyn std::error::Error + Send + Sync>> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let mut driver = JoinSet::new();
    driver.spawn(async move {
        let _ = connection.await;
    });
    request = request.header("host", address.to_string());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(Bytes::copy_from_slice(body.as_bytes())))?;
    let (head, body) = sender.send_request(request).await?.into_parts();
    Ok(SseAnswer {
        status: head.status,
        headers: head.headers,
        trailers: HeaderMap::new(),
        body,
        read: Vec::new(),
        _connection: driver,
    })
}

impl SseAnswer {
    /// The data of the next event; none at the end, whether it came in good order or not.
    pub async fn next(&mut self) -> Option<String> {
        self.event().await.map(|event| event.data)
    }

    /// The next event.
    pub async fn event(&mut self) -> Option<SseEvent> {
        loop {
            if let Some(end) = self.read.windows(2).position(|pair| pair == b"\n\n") {
                let event: Vec<u8> = self.read.drain(..end + 2).collect();
                let event = String::from_utf8(event).unwrap();
                let field = |name| {
                    let lines = event.lines().filter_map(|line| line.strip_prefix(name));
                    let lines: Vec<&str> = lines.collect();
                    (!lines.is_empty()).then(|| lines.join("\n"))
                };
                return Some(SseEvent {
                    id: field("id: "),
                    kind: field("event: "),
                    data: field("data: ").unwrap_or_default(),
                });
            }
            let frame = tokio::time::timeout(LIMIT, self.body.frame())
                .await
                .unwrap()?;
            match frame.ok()?.into_data() {
                Ok(data) => self.read.extend_from_slice(&data),
                Err(frame) => self.trailers = frame.into_trailers().ok()?,
            }
        }
    }

    /// The data of all events to the end.
    pub async fn rest(&mut self) -> Vec<String> {
        let mut rest = Vec::new();
        while let Some(data) = self.next().await {
            rest.push(data);
        }
        rest
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Reads the rest as one JSON value.
    pub async fn json(self) -> Value {
        let whole = self.body.collect().await.unwrap().to_bytes();
        serde_json::from_slice(&whole).unwrap()
    }
}
