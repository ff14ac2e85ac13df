//! An upstream that takes its time and numbers its answers: each begins with its number, and costs so many
//! millionths of a dollar. So an answer that is in the books twice, or at another's cost, is seen.
//!
//! The shapes are those of exchanges recorded from LiteLLM Proxy 1.102.4.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::dice::Dice;

type Body = BoxBody<Bytes, io::Error>;

/// Answers until it is dropped.
pub(crate) struct Upstream {
    address: SocketAddr,
    _server: JoinSet<()>,
}

/// What the call of a number gets.
struct Answer {
    number: u64,
    delay: Duration,
    text: String,
    prompt_tokens: u64,
    /// In millionths of a dollar; none of some answers, which the price book prices.
    cost: Option<u64>,
    fate: Fate,
}

enum Fate {
    Good,
    Refused,
    Broken,
}

impl Upstream {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut server = JoinSet::new();
        server.spawn(serve(listener));
        Self {
            address,
            _server: server,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

async fn serve(listener: TcpListener) {
    let numbers = Arc::new(AtomicU64::new(1));
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        let numbers = Arc::clone(&numbers);
        connections.spawn(async move {
            let service = service_fn(move |request| {
                let numbers = Arc::clone(&numbers);
                async move { Ok::<_, Infallible>(answered(request, &numbers).await) }
            });
            // Whoever is killed breaks its connections.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn answered(request: Request<Incoming>, numbers: &AtomicU64) -> Response<Body> {
    // What octo asks by itself, about models and prices, has no answer here.
    if request.method() == http::Method::GET {
        return plain(404, "{}".to_owned());
    }
    let Ok(body) = request.into_body().collect().await else {
        return plain(400, "{}".to_owned());
    };
    let body: Value = serde_json::from_slice(&body.to_bytes()).unwrap_or_default();
    let answer = Answer::number(numbers.fetch_add(1, Ordering::Relaxed));
    tokio::time::sleep(answer.delay).await;
    if matches!(answer.fate, Fate::Refused) {
        let error = json!({"error": {"message": "litellm.InternalServerError: broken", "type": null, "param": null, "code": "500"}});
        return plain(500, error.to_string());
    }
    if body["stream"] == true {
        answer.streamed()
    } else {
        answer.whole()
    }
}

impl Answer {
    fn number(number: u64) -> Self {
        let mut dice = Dice::new(number);
        // Most are small; some have an artifact in the database, some a file, some are cut in their event.
        let letters = [10, 10, 10, 250, 500, 1200][usize::try_from(dice.below(6)).unwrap()];
        let slow = dice.percent(5);
        let limit = if slow { 300_000 } else { 20_000 };
        Self {
            number,
            delay: dice.micros_below(limit),
            text: format!("answer {number} {}", "é".repeat(letters)),
            prompt_tokens: 1 + dice.below(1000),
            cost: dice.percent(80).then_some(number),
            fate: match dice.below(40) {
                0 => Fate::Refused,
                1 => Fate::Broken,
                _ => Fate::Good,
            },
        }
    }

    fn usage(&self) -> Value {
        json!({
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": 3,
            "total_tokens": self.prompt_tokens + 3,
        })
    }

    fn head() -> http::response::Builder {
        Response::builder()
            .header("x-litellm-model-name", "openai/gpt-4o-mini")
            .header("x-litellm-model-group", "main")
    }

    fn whole(&self) -> Response<Body> {
        let body = json!({
            "id": format!("chatcmpl-{}", self.number), "created": 1_795_511_075, "model": "main",
            "object": "chat.completion",
            "choices": [{"finish_reason": "stop", "index": 0,
                "message": {"content": self.text, "role": "assistant"}}],
            "usage": self.usage(),
        });
        let mut head = Self::head().header("content-type", "application/json");
        if let Some(cost) = self.cost {
            head = head.header("x-litellm-response-cost", format!("{cost}e-06"));
        }
        head.body(whole(body.to_string())).unwrap()
    }

    fn streamed(self) -> Response<Body> {
        let pieces = self.pieces();
        let frames = stream::unfold(0, move |index| {
            let piece = pieces.get(index).cloned();
            async move {
                let piece = piece?;
                tokio::time::sleep(Duration::from_micros(200)).await;
                let frame = match piece {
                    Some(data) => Ok(Frame::data(Bytes::from(format!("data: {data}\n\n")))),
                    None => Err(io::ErrorKind::ConnectionReset.into()),
                };
                Some((frame, index + 1))
            }
        });
        Self::head()
            .header("content-type", "text/event-stream; charset=utf-8")
            .body(StreamBody::new(frames).boxed())
            .unwrap()
    }

    /// What is sent one after the other; none breaks the connection.
    fn pieces(&self) -> Vec<Option<String>> {
        let chunk = |choice: Value| {
            json!({
                "id": format!("chatcmpl-{}", self.number), "created": 1_795_511_075, "model": "main",
                "object": "chat.completion.chunk", "choices": [choice],
            })
        };
        let letters: Vec<char> = self.text.chars().collect();
        let mut pieces: Vec<Option<String>> = letters
            .chunks(300)
            .map(|letters| {
                let text: String = letters.iter().collect();
                let choice = json!({"index": 0, "delta": {"role": "assistant", "content": text}});
                Some(chunk(choice).to_string())
            })
            .collect();
        if matches!(self.fate, Fate::Broken) {
            pieces.push(None);
            return pieces;
        }
        let stop = chunk(json!({"index": 0, "delta": {}, "finish_reason": "stop"}));
        let mut usage = self.usage();
        if let Some(cost) = self.cost {
            usage["cost"] = serde_json::from_str(&format!("{cost}e-06")).unwrap();
        }
        let mut last = chunk(json!({"index": 0, "delta": {}}));
        last["usage"] = usage;
        pieces.extend([stop, last].map(|piece| Some(piece.to_string())));
        pieces.push(Some("[DONE]".to_owned()));
        pieces
    }
}

fn whole(text: String) -> Body {
    let body = Full::new(Bytes::from(text));
    body.map_err(|never| match never {}).boxed()
}

fn plain(status: u16, body: String) -> Response<Body> {
    Response::builder()
        .status(status)
        .header("content-type", "application/json")
        .body(whole(body))
        .unwrap()
}
