//! An upstream in the place of the proxy, for what the real one can not be made to do.
//!
//! Its answers have the shape of exchanges recorded from LiteLLM Proxy 1.102.4.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// A completed call, as the proxy answers it.
pub const ANSWER: &str = r#"{"id":"chatcmpl-1","created":1795511075,"model":"main","object":"chat.completion","choices":[{"finish_reason":"stop","index":0,"message":{"content":"Four.","role":"assistant"}}],"usage":{"completion_tokens":3,"prompt_tokens":28,"total_tokens":31},"x_unknown":{"kept":1.50}}"#;

/// The same as a stream, piece by piece.
pub const PIECES: [&str; 5] = [
    r#"{"id":"chatcmpl-1","created":1795511075,"model":"main","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"role":"assistant"}}]}"#,
    r#"{"id":"chatcmpl-1","created":1795511075,"model":"main","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"Fo"}}]}"#,
    r#"{"id":"chatcmpl-1","created":1795511075,"model":"main","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"ur."}}],"x_unknown":{"kept":1.50}}"#,
    r#"{"id":"chatcmpl-1","created":1795511075,"model":"main","object":"chat.completion.chunk","choices":[{"finish_reason":"stop","index":0,"delta":{}}]}"#,
    r#"{"id":"chatcmpl-1","created":1795511075,"model":"main","object":"chat.completion.chunk","choices":[{"index":0,"delta":{}}],"usage":{"completion_tokens":3,"prompt_tokens":28,"total_tokens":31,"cost":6e-06}}"#,
];

/// Answers each call once it has a permit.
pub struct Upstream {
    pub address: SocketAddr,
    /// Calls that have come in.
    pub calls: Arc<AtomicUsize>,
    /// One permit lets one call pass.
    pub gate: Arc<Semaphore>,
    /// A permit for each call that has come in and waits.
    pub waiting: Arc<Semaphore>,
    /// The last request body.
    pub last_body: Arc<std::sync::Mutex<Bytes>>,
    _server: JoinSet<()>,
}

impl Upstream {
    /// Lets every call pass at once.
    pub async fn open() -> Self {
        let upstream = Self::closed().await;
        upstream.gate.add_permits(Semaphore::MAX_PERMITS >> 1);
        upstream
    }

    /// Lets no call pass until its gate gets permits.
    pub async fn closed() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let upstream = Self {
            address,
            calls: Arc::default(),
            gate: Arc::new(Semaphore::new(0)),
            waiting: Arc::new(Semaphore::new(0)),
            last_body: Arc::default(),
            _server: JoinSet::new(),
        };
        upstream.serve(listener)
    }

    fn serve(mut self, listener: TcpListener) -> Self {
        let (calls, gate) = (self.calls.clone(), self.gate.clone());
        let (waiting, last_body) = (self.waiting.clone(), self.last_body.clone());
        self._server.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let Ok((stream, _)) = listener.accept().await else {
                    return;
                };
                let (calls, gate) = (calls.clone(), gate.clone());
                let (waiting, last_body) = (waiting.clone(), last_body.clone());
                connections.spawn(async move {
                    let service = service_fn(move |request: Request<Incoming>| {
                        let (calls, gate) = (calls.clone(), gate.clone());
                        let (waiting, last_body) = (waiting.clone(), last_body.clone());
                        async move {
                            let body = request.into_body().collect().await.unwrap().to_bytes();
                            let streamed = is_streamed(&body);
                            *last_body.lock().unwrap() = body;
                            calls.fetch_add(1, Ordering::SeqCst);
                            waiting.add_permits(1);
                            gate.acquire().await.unwrap().forget();
                            Ok::<_, Infallible>(answer(streamed))
                        }
                    });
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        self
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

fn is_streamed(body: &[u8]) -> bool {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    body["stream"] == true
}

/// A stream has no cost in its head, only traps.
fn answer(streamed: bool) -> Response<Full<Bytes>> {
    let (kind, body) = if streamed {
        let frames = PIECES.iter().map(|piece| format!("data: {piece}\n\n"));
        let frames: String = frames.chain(["data: [DONE]\n\n".to_owned()]).collect();
        ("text/event-stream; charset=utf-8", Bytes::from(frames))
    } else {
        ("application/json", Bytes::from_static(ANSWER.as_bytes()))
    };
    let mut head = Response::builder();
    if !streamed {
        head = head.header("x-litellm-response-cost", "6e-06");
    }
    head.header("content-type", kind)
        .header("x-litellm-model-name", "openai/gpt-4o-mini")
        .header("x-litellm-response-cost-original", "0.0")
        .header("x-litellm-key-spend", "0.0")
        .header("x-litellm-call-id", "0190f0a5")
        .header("x-litellm-model-group", "main")
        .body(Full::new(body))
        .unwrap()
}
