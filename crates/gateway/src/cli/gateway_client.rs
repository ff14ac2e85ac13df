//! Talks to a gateway that runs already, for commands that need its store for writing.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Longest error that is read, in bytes.
const MAX_ERROR: usize = 1 << 20;

/// An answer that has begun, and the connection that it comes on.
pub(super) struct Begun {
    pub(super) response: Response<Incoming>,
    /// Drives the connection; ends with this value.
    pub(super) connection: JoinSet<Result<(), hyper::Error>>,
}

/// Why the gateway gave no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum GatewayError {
    #[error(
        "cannot reach the gateway at {0}: {1}; is it the one that uses this store, and does `server.listen` say where it listens?"
    )]
    Connect(SocketAddr, #[source] std::io::Error),
    #[error("the gateway did not answer")]
    Http(#[from] hyper::Error),
    #[error("the gateway did not answer within {} s", .0.as_secs())]
    Timeout(Duration),
}

/// Sends a request to the gateway at this address; its answer has to begin within the limit.
pub(super) async fn send(
    address: SocketAddr,
    request: Request<Full<Bytes>>,
    limit: Duration,
) -> Result<Begun, GatewayError> {
    let sent = async {
        let stream = TcpStream::connect(address)
            .await
            .map_err(|error| GatewayError::Connect(address, error))?;
        let (mut sender, driver) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let mut connection = JoinSet::new();
        connection.spawn(driver);
        let response = sender.send_request(request).await?;
        Ok(Begun {
            response,
            connection,
        })
    };
    tokio::time::timeout(limit, sent)
        .await
        .map_err(|_| GatewayError::Timeout(limit))?
}

/// The message of an answer that is an error.
pub(super) async fn refusal<B>(status: StatusCode, body: B) -> String
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let body = match Limited::new(body, MAX_ERROR).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => return format!("the gateway answered {status}, and then broke off: {error}"),
    };
    match serde_json::from_slice(&body) {
        Ok(Refusal { error }) => error.message,
        _ => format!("the gateway answered {status}, without an error that can be read"),
    }
}

/// As much of an error as is shown, under `/api` and `/v1` alike.
#[derive(Deserialize)]
struct Refusal {
    error: Failure,
}

#[derive(Deserialize)]
struct Failure {
    message: String,
}
