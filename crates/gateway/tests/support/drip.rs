//! An upstream that writes an answer drop by drop and ends it as the question says: well, with the error that the
//! real proxy sends when its model breaks, or with a broken connection, as when the proxy itself is killed.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{Request, Response};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::upstream::PIECES;

/// As recorded from LiteLLM Proxy 1.102.4 when its model was killed.
const BROKEN_MODEL: &str = r#"{"error": {"message": "litellm.APIError: APIError: OpenAIException - peer closed connection without sending complete message body (incomplete chunked read)", "type": null, "param": null, "code": "500"}}"#;

/// How an answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Good,
    BrokenModel,
    BrokenConnection,
}

/// Writes answers drop by drop.
pub struct Drip {
    pub address: SocketAddr,
    _server: JoinSet<()>,
}

/// The question to which the answer has so many drops, one each so many µs, and ends so.
pub fn question(drops: usize, pause_us: u64, ending: Ending) -> Value {
    let ending = format!("{ending:?}");
    let plan = json!({"drops": drops, "pause_us": pause_us, "ending": ending}).to_string();
    json!({"model": "planner", "stream": true, "messages": [{"role": "user", "content": plan}]})
}

impl Drip {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut server = JoinSet::new();
        server.spawn(serve(listener));
        Self {
            address,
            _server: server,
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

async fn serve(listener: TcpListener) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        connections.spawn(async move {
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service_fn(answer))
                .await;
        });
        // Ended connections are not kept.
        while connections.try_join_next().is_some() {}
    }
}

async fn answer(
    request: Request<Incoming>,
) -> Result<Response<impl hyper::body::Body<Data = Bytes, Error = io::Error>>, Infallible> {
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let plan = body["messages"][0]["content"].as_str().unwrap_or_default();
    let plan: Value = serde_json::from_str(plan).unwrap_or_default();
    let pause = Duration::from_micros(plan["pause_us"].as_u64().unwrap_or(0));
    let drops = usize::try_from(plan["drops"].as_u64().unwrap_or(1)).unwrap();
    let frames = stream::unfold(0, move |index| {
        let plan = plan.clone();
        async move {
            if index > 0 && !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
            let data = match plan["ending"].as_str() {
                _ if index < drops => PIECES[1],
                Some("BrokenConnection") if index == drops => {
                    return Some((Err(io::ErrorKind::ConnectionReset.into()), index + 1));
                }
                Some("BrokenModel") if index == drops => BROKEN_MODEL,
                Some("Good") => [PIECES[3], PIECES[4], "[DONE]"]
                    .get(index - drops)
                    .copied()?,
                _ => return None,
            };
            let frame = Frame::data(Bytes::from(format!("data: {data}\n\n")));
            Some((Ok(frame), index + 1))
        }
    });
    Ok(Response::builder()
        .header("content-type", "text/event-stream; charset=utf-8")
        .header("x-litellm-model-name", "openai/gpt-4o-mini")
        .header("x-litellm-model-group", "main")
        .body(StreamBody::new(frames))
        .unwrap())
}
