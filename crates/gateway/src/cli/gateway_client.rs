//! Talks to a gateway that runs already, for commands that need its store for writing.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

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
