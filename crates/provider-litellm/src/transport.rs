//! HTTP to the proxy: pooled connections, a deadline, a size limit.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http::{Method, Request, Response, header};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body as _, Incoming};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use provider_core::{ProviderError, TimeoutPhase};
use secrecy::ExposeSecret;

use crate::LiteLlmConfigError;
use crate::config::LiteLlmConfig;
use crate::connect::Limited;
use crate::failure::{broken_body, failed};
use crate::head::Head;

/// An idle connection is kept so long. The proxy (uvicorn) closes its end after 5 s: a request that is
/// written into a connection just then is lost and must not be sent again, so ours ends first.
const POOL_IDLE: Duration = Duration::from_secs(4);
/// The most that is read of an error's body: enough for its message.
const MAX_ERROR_BYTES: usize = 64 << 10;
/// How long the rest of an error's body may take.
const ERROR_BODY_LIMIT: Duration = Duration::from_secs(2);
/// A body's announced size is believed so far before its bytes are there.
const MAX_RESERVED_BYTES: usize = 64 << 10;
/// Idle connections that are kept.
const POOL_SIZE: usize = 128;

/// LiteLLM passes its provider's headers on, on top of two dozen of its own: hyper's 100 is too close.
const MAX_HEADERS: usize = 512;

/// An answer, whole.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) head: Head,
    pub(crate) body: Bytes,
}

/// An answer that has begun.
#[derive(Debug)]
pub(crate) enum Opened {
    /// A success; what it holds comes as it is written.
    Stream(Head, Incoming),
    /// Something else, whole.
    Refused(Reply),
}

/// The way to the proxy. Root certificates are loaded only for https.
#[derive(Debug)]
enum Pool {
    Plain(Client<Limited<HttpConnector>, Full<Bytes>>),
    Tls(Client<Limited<HttpsConnector<HttpConnector>>, Full<Bytes>>),
}

#[derive(Debug)]
pub(crate) struct Transport {
    config: LiteLlmConfig,
    pool: Pool,
    authorization: Option<http::HeaderValue>,
}

impl Transport {
    pub(crate) fn new(config: LiteLlmConfig) -> Result<Self, LiteLlmConfigError> {
        let authorization = authorization(&config)?;
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        tcp.enforce_http(!config.base.is_https);
        let mut builder = Client::builder(TokioExecutor::new());
        builder
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(POOL_IDLE)
            .pool_max_idle_per_host(POOL_SIZE)
            .http1_max_headers(MAX_HEADERS)
            // Sends again only what was never written: see the crate's page.
            .retry_canceled_requests(true);
        let pool = if config.base.is_https {
            let tls = HttpsConnectorBuilder::new()
                .with_provider_and_native_roots(rustls::crypto::ring::default_provider())
                .map_err(|source| LiteLlmConfigError::Certificates { source })?
                .https_only()
                .enable_http1()
                .wrap_connector(tcp);
            Pool::Tls(builder.build(Limited::new(tls, config.connect_timeout)))
        } else {
            Pool::Plain(builder.build(Limited::new(tcp, config.connect_timeout)))
        };
        Ok(Self {
            config,
            pool,
            authorization,
        })
    }

    /// The proxy's key, for masking it.
    pub(crate) fn key(&self) -> &str {
        self.config.key.expose_secret()
    }

    pub(crate) fn config(&self) -> &LiteLlmConfig {
        &self.config
    }

    /// `POST path` with a JSON body.
    pub(crate) async fn post(&self, path: &str, body: Bytes) -> Result<Reply, ProviderError> {
        self.exchange(Method::POST, path, body, self.config.call_timeout)
            .await
    }

    /// `POST path` with a JSON body, until an answer begins. Its time limit is the caller's: it goes on
    /// until the first piece is there.
    pub(crate) async fn open(&self, path: &str, body: Bytes) -> Result<Opened, ProviderError> {
        let (head, body) = self.begin(self.request(Method::POST, path, body)?).await?;
        if head.status.is_success() {
            return Ok(Opened::Stream(head, body));
        }
        let body = start_of(body).await;
        Ok(Opened::Refused(Reply { head, body }))
    }

    /// `GET path` within a limit of its own.
    pub(crate) async fn get(&self, path: &str, limit: Duration) -> Result<Reply, ProviderError> {
        self.exchange(Method::GET, path, Bytes::new(), limit).await
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        limit: Duration,
    ) -> Result<Reply, ProviderError> {
        let started = Instant::now();
        let request = self.request(method, path, body)?;
        match tokio::time::timeout(limit, self.send(request)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(ProviderError::Timeout {
                phase: TimeoutPhase::Call,
                limit,
                elapsed: started.elapsed(),
            }),
        }
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, ProviderError> {
        // The base URL is checked and the paths are constants: this does not fail.
        let internal = |source| ProviderError::InvalidAnswer {
            reason: "the request could not be formed".to_owned(),
            source: Some(source),
        };
        let uri = self
            .config
            .base
            .join(path)
            .map_err(|error| internal(error.into()))?;
        let mut request = Request::builder()
            .method(method)
            .uri(uri)
            .header(header::ACCEPT, "application/json");
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        if let Some(value) = &self.authorization {
            request = request.header(header::AUTHORIZATION, value);
        }
        request
            .body(Full::new(body))
            .map_err(|error| internal(error.into()))
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Result<Reply, ProviderError> {
        let (head, body) = self.begin(request).await?;
        let body = if head.status.is_success() {
            collect(body, self.config.max_response_bytes).await?
        } else {
            // The status says enough, even where the explanation is cut off or endless.
            start_of(body).await
        };
        Ok(Reply { head, body })
    }

    async fn begin(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<(Head, Incoming), ProviderError> {
        let started = Instant::now();
        let response = self.respond(request).await;
        let response = response.map_err(|error| {
            failed(
                error,
                &self.config.base.origin,
                self.config.connect_timeout,
                started.elapsed(),
            )
        })?;
        let (head, body) = response.into_parts();
        let head = Head {
            status: head.status,
            headers: head.headers,
        };
        Ok((head, body))
    }

    async fn respond(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, ClientError> {
        match &self.pool {
            Pool::Plain(client) => client.request(request).await,
            Pool::Tls(client) => client.request(request).await,
        }
    }
}

fn authorization(config: &LiteLlmConfig) -> Result<Option<http::HeaderValue>, LiteLlmConfigError> {
    let key = config.key.expose_secret();
    if key.is_empty() {
        return Ok(None);
    }
    let mut value = http::HeaderValue::try_from(format!("Bearer {key}"))
        .map_err(|_| LiteLlmConfigError::Key)?;
    value.set_sensitive(true);
    Ok(Some(value))
}

/// The whole body, at most so many bytes. What is over the limit is not read.
async fn collect(mut body: Incoming, limit: usize) -> Result<Bytes, ProviderError> {
    let too_large = || ProviderError::InvalidAnswer {
        reason: format!("it is larger than {limit} bytes (proxy.max_response_bytes)"),
        source: None,
    };
    let announced = body.size_hint().lower();
    if announced > u64::try_from(limit).unwrap_or(u64::MAX) {
        return Err(too_large());
    }
    let reserved = usize::try_from(announced)
        .unwrap_or(0)
        .min(MAX_RESERVED_BYTES);
    let mut whole = BytesMut::with_capacity(reserved);
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(broken_body)?.into_data() else {
            continue;
        };
        if whole.len() + data.len() > limit {
            return Err(too_large());
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.freeze())
}

/// As much of an error's body as comes, up to a size and within a time: a body that stalls must not turn
/// what the status says into a timeout.
async fn start_of(mut body: Incoming) -> Bytes {
    let mut start = BytesMut::new();
    let deadline = tokio::time::Instant::now() + ERROR_BODY_LIMIT;
    while let Ok(Some(Ok(frame))) = tokio::time::timeout_at(deadline, body.frame()).await {
        let Ok(data) = frame.into_data() else {
            continue;
        };
        let room = MAX_ERROR_BYTES.saturating_sub(start.len());
        start.extend_from_slice(data.get(..room).unwrap_or(&data));
        if room <= data.len() {
            break;
        }
    }
    start.freeze()
}
