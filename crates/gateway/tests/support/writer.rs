//! An upstream whose answers the test writes piece by piece, while the caller reads them.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::LIMIT;
use super::upstream::PIECES;

type Body = BoxBody<Bytes, io::Error>;

/// An upstream whose answers the test writes.
pub struct Writer {
    pub address: SocketAddr,
    calls: mpsc::Receiver<Call>,
    _server: JoinSet<()>,
}

/// A call that has come in and waits for its answer.
pub struct Call {
    pub path: String,
    pub body: Value,
    answer: oneshot::Sender<Response<Body>>,
}

/// An answer that is being written. Dropping it ends it in good order, without a last piece.
pub struct Pen(mpsc::Sender<io::Result<Frame<Bytes>>>);

impl Writer {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, calls) = mpsc::channel(10_000);
        let mut server = JoinSet::new();
        server.spawn(serve(listener, sender));
        Self {
            address,
            calls,
            _server: server,
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The next call that comes in.
    pub async fn call(&mut self) -> Call {
        tokio::time::timeout(LIMIT, self.calls.recv())
            .await
            .unwrap()
            .unwrap()
    }
}

async fn serve(listener: TcpListener, calls: mpsc::Sender<Call>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        let calls = calls.clone();
        connections.spawn(async move {
            let service = service_fn(move |request: Request<Incoming>| {
                let calls = calls.clone();
                async move { Ok::<_, Infallible>(answered(request, calls).await) }
            });
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answered(request: Request<Incoming>, calls: mpsc::Sender<Call>) -> Response<Body> {
    let path = request.uri().path().to_owned();
    // What octo asks by itself, about models and prices, has no answer here.
    if request.method() == http::Method::GET {
        return Response::builder().status(404).body(whole("")).unwrap();
    }
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let (answer, answered) = oneshot::channel();
    let call = Call {
        path,
        body: serde_json::from_slice(&body).unwrap_or_default(),
        answer,
    };
    let _ = calls.send(call).await;
    match answered.await {
        Ok(response) => response,
        // The test dropped the call.
        Err(_) => Response::builder().status(500).body(whole("")).unwrap(),
    }
}

fn whole(text: &str) -> Body {
    let body = Full::new(Bytes::copy_from_slice(text.as_bytes()));
    body.map_err(|never| match never {}).boxed()
}

impl Call {
    /// Begins a stream.
    pub fn stream(self) -> Pen {
        let (sender, receiver) = mpsc::channel(64);
        let frames = futures_util::stream::unfold(receiver, |mut receiver| async {
            Some((receiver.recv().await?, receiver))
        });
        let response = Response::builder()
            .header("content-type", "text/event-stream; charset=utf-8")
            .header("x-litellm-model-name", "openai/gpt-4o-mini")
            .header("x-litellm-response-cost-original", "0.0")
            .header("x-litellm-key-spend", "0.0")
            .header("x-litellm-call-id", "0190f0a5")
            .header("x-litellm-model-group", "main")
            .body(StreamBody::new(frames).boxed())
            .unwrap();
        let _ = self.answer.send(response);
        Pen(sender)
    }

    /// Answers in one piece.
    pub fn answer(self, status: u16, headers: &[(&str, &str)], body: &Value) {
        let mut response = Response::builder()
            .status(status)
            .header("content-type", "application/json")
            .header("x-litellm-model-name", "openai/gpt-4o-mini");
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        let _ = self
            .answer
            .send(response.body(whole(&body.to_string())).unwrap());
    }
}

impl Pen {
    /// One event; false if nobody reads any more.
    pub async fn write(&self, data: &str) -> bool {
        self.raw(format!("data: {data}\n\n")).await
    }

    pub async fn raw(&self, bytes: impl Into<Bytes>) -> bool {
        self.0.send(Ok(Frame::data(bytes.into()))).await.is_ok()
    }

    /// All that belongs to a good chat stream from its first piece to `[DONE]`.
    pub async fn write_all(&self) {
        for piece in PIECES {
            self.write(piece).await;
        }
        self.write("[DONE]").await;
    }

    /// Breaks the connection.
    pub async fn cut(self) {
        let _ = self
            .0
            .send(Err(io::ErrorKind::ConnectionReset.into()))
            .await;
    }

    /// Waits until nobody reads any more.
    pub async fn left(&self) {
        tokio::time::timeout(LIMIT, self.0.closed()).await.unwrap();
    }
}
