//! A scripted provider: an HTTP server that answers as OpenAI's API is documented to, for what a small model
//! on this machine can not be made to do. The real LiteLLM Proxy has it as its `api_base`.
//!
//! What it does is chosen by the model's name, see [`script::reply`]. It keeps what it was sent.

mod chat;
mod completions;
mod embeddings;
mod responses;
mod script;

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use http::{Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use script::{Reply, Step};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::support::LIMIT;

type Body = BoxBody<Bytes, Cut>;

/// The server; it ends when this is dropped.
pub(crate) struct Provider {
    url: String,
    state: Arc<State>,
    _server: JoinSet<()>,
}

struct State {
    /// `{"path", "body"}` of every request.
    seen: Mutex<Vec<Value>>,
    /// A permit for each endless stream that was ended from the other side.
    hung_up: Semaphore,
}

impl Provider {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let state = Arc::new(State {
            seen: Mutex::default(),
            hung_up: Semaphore::new(0),
        });
        let mut server = JoinSet::new();
        server.spawn(accept(listener, state.clone()));
        Self {
            url,
            state,
            _server: server,
        }
    }

    /// Base address of its API, with `/v1`.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Every request since the last time this was asked.
    pub(crate) fn take_seen(&self) -> Vec<Value> {
        std::mem::take(&mut self.state.seen.lock().unwrap())
    }

    /// Waits until so many endless streams more were ended from the other side.
    pub(crate) async fn hung_up(&self, streams: u32) {
        let hung_up = self.state.hung_up.acquire_many(streams);
        let hung_up = tokio::time::timeout(LIMIT, hung_up).await;
        hung_up
            .unwrap_or_else(|_| panic!("after {LIMIT:?} {streams} streams are still listened to"))
            .unwrap()
            .forget();
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve(stream, state.clone()));
    }
}

async fn serve(stream: TcpStream, state: Arc<State>) {
    let service = service_fn(move |request| answer(request, state.clone()));
    // It fails where a script cuts the connection, and where the other side hangs up.
    let _either_way_it_is_over = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn answer(
    request: Request<Incoming>,
    state: Arc<State>,
) -> Result<Response<Body>, Infallible> {
    let path = request.uri().path().to_owned();
    let bytes = request.into_body().collect().await.unwrap().to_bytes();
    let body: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let earlier = state.attempts(&path, &body);
    let reply = script::reply(&path, &body, earlier);
    let request = json!({"path": path, "body": body});
    state.seen.lock().unwrap().push(request);
    Ok(response(reply, state).await)
}

impl State {
    /// How many requests for the same model came in before, since it was last asked for what came in.
    fn attempts(&self, path: &str, body: &Value) -> usize {
        let seen = self.seen.lock().unwrap();
        let same = |seen: &&Value| seen["path"] == path && seen["body"]["model"] == body["model"];
        seen.iter().filter(same).count()
    }
}

async fn response(reply: Reply, state: Arc<State>) -> Response<Body> {
    let response = Response::builder().header("x-request-id", "req_scripted");
    match reply {
        Reply::Whole {
            status,
            body,
            after,
            retry_after,
        } => {
            // Dropped here when the other side does not wait.
            tokio::time::sleep(after).await;
            let mut response = response
                .status(status)
                .header("content-type", "application/json");
            if let Some(seconds) = retry_after {
                response = response.header("retry-after", seconds);
            }
            let body = Full::new(Bytes::from(body.to_string()));
            response.body(body.map_err(|never| match never {}).boxed())
        }
        Reply::Stream(steps) => response
            .header("content-type", "text/event-stream; charset=utf-8")
            .body(BodyExt::boxed(StreamBody::new(play(steps, state)))),
    }
    .unwrap()
}

/// The connection is cut: no end of the body, no reason.
#[derive(Debug, thiserror::Error)]
#[error("the script cuts the connection here")]
pub(crate) struct Cut;

fn play(
    steps: Vec<Step>,
    state: Arc<State>,
) -> impl Stream<Item = Result<Frame<Bytes>, Cut>> + Send + Sync {
    let listening = Listening {
        state,
        endless: steps.len() >= script::ENDLESS,
        done: false,
    };
    stream::unfold(
        (steps.into_iter(), listening),
        |(mut steps, listening)| async move {
            loop {
                match steps.next() {
                    Some(Step::Pause(time)) => tokio::time::sleep(time).await,
                    Some(Step::Send(text)) => {
                        return Some((Ok(Frame::data(Bytes::from(text))), (steps, listening)));
                    }
                    Some(Step::Cut) => return Some((Err(Cut), (steps, listening))),
                    None => {
                        listening.finished();
                        return None;
                    }
                }
            }
        },
    )
}

/// Notices that the other side does not want the rest of an endless stream.
struct Listening {
    state: Arc<State>,
    endless: bool,
    done: bool,
}

impl Listening {
    fn finished(mut self) {
        self.done = true;
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        if self.endless && !self.done {
            self.state.hung_up.add_permits(1);
        }
    }
}
