//! The stand-in for the proxy: answers every call at once with an answer as LiteLLM Proxy 1.102.4 gives it,
//! and every streamed one with the stream that it asks for.

mod stream;

use std::convert::Infallible;
use std::io::Write as _;
use std::sync::Arc;

use anyhow::Result;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt as _, Collected, Either, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// The body of a completed call. The body's model is the group.
pub(super) const ANSWER: &str = r#"{"id":"chatcmpl-1","created":1795511075,"model":"main","object":"chat.completion","choices":[{"finish_reason":"stop","index":0,"message":{"content":"Four.","role":"assistant"}}],"usage":{"completion_tokens":3,"prompt_tokens":28,"total_tokens":31}}"#;

/// The headers that LiteLLM Proxy adds.
const HEADERS: [(&str, &str); 10] = [
    ("x-litellm-call-id", "0190f0a5-6f7e-7c11-8f4e-3a52c4b6a001"),
    ("x-litellm-model-id", "b3c7a1"),
    ("x-litellm-model-name", "openai/gpt-4o-mini"),
    ("x-litellm-model-group", "main"),
    ("x-litellm-version", "1.102.4"),
    ("x-litellm-response-cost-original", "0.0"),
    ("x-litellm-key-spend", "0.0"),
    ("x-litellm-attempted-retries", "0"),
    ("x-litellm-attempted-fallbacks", "0"),
    ("x-litellm-overhead-duration-ms", "1.5"),
];

/// A stream goes without: its cost is not known when its headers are written.
const COST: (&str, &str) = ("x-litellm-response-cost", "6e-06");

/// Serves on a free loopback port, says where on stdout, and ends when stdin closes.
pub(super) async fn serve() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    writeln!(std::io::stdout(), "listening on http://{address}")?;
    let mut connections = JoinSet::new();
    let headers = Arc::new(Headers::new());
    let mut owner = tokio::io::stdin();
    let mut nothing = [0];
    loop {
        tokio::select! {
            _closed = owner.read(&mut nothing) => return Ok(()),
            accepted = listener.accept() => {
                let (stream, _) = accepted?;
                stream.set_nodelay(true)?;
                connections.spawn(connection(stream, Arc::clone(&headers)));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, headers: Arc<Headers>) {
    let service = service_fn(move |request| answer(request, Arc::clone(&headers)));
    // A client that goes away is no news.
    let _ended = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn answer(
    request: Request<Incoming>,
    headers: Arc<Headers>,
) -> Result<Response<Either<Full<Bytes>, stream::Chunks>>, Infallible> {
    // A cut request gets the same answer; nobody is there to read it.
    let body = request.into_body().collect().await;
    let body = body.map(Collected::to_bytes).unwrap_or_default();
    let (headers, body) = match stream::asked_for(&body) {
        Some(chunks) => (&headers.of_a_stream, Either::Right(chunks)),
        None => {
            let whole = Full::new(Bytes::from_static(ANSWER.as_bytes()));
            (&headers.of_an_answer, Either::Left(whole))
        }
    };
    let mut response = Response::new(body);
    *response.headers_mut() = headers.clone();
    Ok(response)
}

struct Headers {
    of_an_answer: HeaderMap,
    of_a_stream: HeaderMap,
}

impl Headers {
    fn new() -> Self {
        let mut of_an_answer = headers("application/json");
        of_an_answer.extend([header(COST)]);
        Self {
            of_an_answer,
            of_a_stream: headers("text/event-stream; charset=utf-8"),
        }
    }
}

fn headers(content_type: &'static str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let content_type = HeaderValue::from_static(content_type);
    headers.insert(CONTENT_TYPE, content_type);
    headers.extend(HEADERS.map(header));
    headers
}

fn header((name, value): (&'static str, &'static str)) -> (HeaderName, HeaderValue) {
    let name = HeaderName::from_static(name);
    (name, HeaderValue::from_static(value))
}
