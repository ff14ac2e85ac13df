//! Talks to a gateway that runs already, for commands that need its store for writing.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use secrecy::ExposeSecret;
use tokio::net::TcpStream;

use crate::config::ServerConfig;

/// Longest answer that is read, in bytes.
const MAX_ANSWER: usize = 32 << 20;

/// An answer of the gateway.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// Why the gateway gave no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum GatewayError {
    #[error(
        "cannot reach the gateway at {0}: {1}; is it the one that uses this store, and does `server.listen` say where it listens?"
    )]
    Connect(std::net::SocketAddr, #[source] std::io::Error),
    #[error("the gateway did not answer")]
    Http(#[from] hyper::Error),
    #[error("the gateway did not answer within {} s", .0.as_secs())]
    Timeout(Duration),
    #[error("the gateway's answer can not be read: {0}")]
    Body(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the request can not be written")]
    Request(#[from] http::Error),
    #[error("the request has no JSON form")]
    Json(#[from] serde_json::Error),
}

/// `POST path` on the gateway that this configuration describes.
pub(super) async fn post(
    server: &ServerConfig,
    path: &str,
    headers: &[(&'static str, &str)],
    body: Vec<u8>,
    limit: Duration,
) -> Result<Answer, GatewayError> {
    let address = server.listen;
    let mut request = Request::post(path)
        .header(header::HOST, address.to_string())
        .header(header::CONTENT_TYPE, "application/json");
    if let Some(key) = &server.key {
        request = request.header(
            header::AUTHORIZATION,
            format!("Bearer {}", key.expose_secret()),
        );
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(Bytes::from(body)))?;
    let sent = async {
        let stream = TcpStream::connect(address)
            .await
            .map_err(|error| GatewayError::Connect(address, error))?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let exchange = async {
            let (head, body) = sender.send_request(request).await?.into_parts();
            let body = Limited::new(body, MAX_ANSWER)
                .collect()
                .await
                .map_err(GatewayError::Body)?;
            Ok(Answer {
                status: head.status,
                headers: head.headers,
                body: body.to_bytes(),
            })
        };
        // The connection has to be driven while the answer is awaited; both end together.
        tokio::pin!(connection);
        tokio::pin!(exchange);
        tokio::select! {
            biased;
            answer = &mut exchange => answer,
            ended = &mut connection => match ended {
                Ok(()) => exchange.await,
                Err(error) => Err(error.into()),
            },
        }
    };
    tokio::time::timeout(limit, sent)
        .await
        .map_err(|_| GatewayError::Timeout(limit))?
}
