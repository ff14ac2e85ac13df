//! A provider with two streams in OpenAI's shape, for what the local model cannot be made to say.

use std::convert::Infallible;

use anyhow::Result;
use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Two tools called at once.
const TOOLS: &str = include_str!("tools.sse");

/// An error in the middle.
const FAILING: &str = include_str!("failing.sse");

/// The provider; it ends when this is dropped.
pub(super) struct Upstream {
    url: String,
    _server: JoinSet<()>,
}

impl Upstream {
    pub(super) async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/v1", listener.local_addr()?);
        let mut server = JoinSet::new();
        server.spawn(serve(listener));
        Ok(Self {
            url,
            _server: server,
        })
    }

    /// Base address of its API.
    pub(super) fn url(&self) -> &str {
        &self.url
    }
}

async fn serve(listener: TcpListener) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(connection(stream));
    }
}

async fn connection(stream: TcpStream) {
    // A client that goes away is no news.
    let _ended = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service_fn(answer))
        .await;
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let offers_tools = match request.into_body().collect().await {
        Ok(body) => serde_json::from_slice(&body.to_bytes())
            .is_ok_and(|body: serde_json::Value| body.get("tools").is_some()),
        Err(_) => false,
    };
    let stream = if offers_tools { TOOLS } else { FAILING };
    let mut response = Response::new(Full::new(Bytes::from_static(stream.as_bytes())));
    let kind = HeaderValue::from_static("text/event-stream; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    Ok(response)
}
