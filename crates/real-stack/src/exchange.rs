//! One HTTP exchange on a connection of its own: what a probe, a test or a recording needs, and no more.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::StackError;

/// A request to one of the real parts.
#[derive(Debug)]
pub struct Exchange {
    method: Method,
    url: String,
    headers: HeaderMap,
    body: Bytes,
    limit: Duration,
}

/// A whole answer.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: StatusCode,
    /// The headers, in order.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Exchange {
    /// A GET of `url` (`http://host:port/path`), with a limit of 60 s.
    #[must_use]
    pub fn get(url: impl Into<String>) -> Self {
        Self {
            method: Method::GET,
            url: url.into(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            limit: Duration::from_secs(60),
        }
    }

    /// A POST of `body` as JSON to `url`, with a limit of 60 s.
    #[must_use]
    pub fn post(url: impl Into<String>, body: impl Into<Bytes>) -> Self {
        let mut exchange = Self::get(url);
        exchange.method = Method::POST;
        exchange.body = body.into();
        exchange.headers.insert(
            http::header::CONTENT_TYPE,
            http::HeaderValue::from_static("application/json"),
        );
        exchange
    }

    /// Sends `key` as the bearer key. A key that no header can carry is left out, and so refused.
    #[must_use]
    pub fn bearer(mut self, key: &str) -> Self {
        if let Ok(mut value) = http::HeaderValue::from_str(&format!("Bearer {key}")) {
            value.set_sensitive(true);
            self.headers.insert(http::header::AUTHORIZATION, value);
        }
        self
    }

    /// One more header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: http::HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Another limit for the whole exchange.
    #[must_use]
    pub fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Sends it and reads the whole answer, whatever its status.
    ///
    /// # Errors
    ///
    /// [`StackError::Http`] when the address is not a plain `http://` one, nobody answers, or the limit passes.
    pub async fn send(self) -> Result<Answer, StackError> {
        let (method, url, limit) = (self.method.clone(), self.url.clone(), self.limit);
        let outcome = tokio::time::timeout(limit, self.run()).await;
        let reason = match outcome {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(reason)) => reason,
            Err(_) => format!("no whole answer after {limit:?}"),
        };
        Err(StackError::Http {
            method,
            url,
            reason,
        })
    }

    async fn run(self) -> Result<Answer, String> {
        let uri: http::Uri = self
            .url
            .parse()
            .map_err(|error| format!("not an address: {error}"))?;
        let authority = uri.authority().filter(|_| uri.scheme_str() == Some("http"));
        let authority = authority
            .ok_or("only http:// addresses are asked")?
            .to_string();
        let address = if uri.port().is_some() {
            authority.clone()
        } else {
            format!("{authority}:80")
        };
        let path = uri.path_and_query().map_or("/", |path| path.as_str());

        let mut request = Request::new(Full::new(self.body));
        *request.method_mut() = self.method;
        *request.uri_mut() = path
            .parse()
            .map_err(|error| format!("not a path: {error}"))?;
        *request.headers_mut() = self.headers;
        let host = authority
            .parse()
            .map_err(|error| format!("not a host: {error}"))?;
        request.headers_mut().insert(http::header::HOST, host);

        let stream = TcpStream::connect(address)
            .await
            .map_err(|error| error.to_string())?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| error.to_string())?;
        let exchange = async move { read(sender.send_request(request).await).await };
        // The connection is driven here, beside the exchange: nothing is spawned, so nothing outlives a drop.
        tokio::pin!(exchange, connection);
        tokio::select! {
            answer = &mut exchange => answer,
            outcome = &mut connection => match outcome {
                Ok(()) => exchange.await,
                Err(error) => Err(error.to_string()),
            },
        }
    }
}

async fn read(response: hyper::Result<Response<hyper::body::Incoming>>) -> Result<Answer, String> {
    let (head, body) = response.map_err(|error| error.to_string())?.into_parts();
    let body = body
        .collect()
        .await
        .map_err(|error| error.to_string())?
        .to_bytes();
    Ok(Answer {
        status: head.status,
        headers: head.headers,
        body,
    })
}

impl Answer {
    /// A header's text, if it is there and is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as text; bytes that are not UTF-8 show as replacement characters.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON, or `null` when it is none.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}
