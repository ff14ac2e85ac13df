//! Where the proxy is, and how long we wait for it.

use std::time::Duration;

use http::Uri;
use http::uri::Scheme;
use secrecy::SecretString;

/// Where the proxy is, and the limits of a call. The URL is checked at construction.
#[derive(Clone, Debug)]
pub struct LiteLlmConfig {
    pub(crate) base: BaseUrl,
    pub(crate) key: SecretString,
    pub(crate) connect_timeout: Duration,
    pub(crate) call_timeout: Duration,
    pub(crate) stream_idle_timeout: Duration,
    pub(crate) stream_timeout: Duration,
    pub(crate) max_response_bytes: usize,
}

/// A setting of the client that can not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LiteLlmConfigError {
    /// The URL is not one that we can call.
    #[error(
        "LITELLM_PROXY_URL is not usable: {reason}; it has to look like http://localhost:4000 or https://proxy.example/litellm"
    )]
    Url {
        /// What is wrong with it; never the URL itself, which may hold a password.
        reason: String,
    },
    /// The key has characters that no header can carry.
    #[error(
        "LITELLM_PROXY_KEY has characters that can not be sent in a header; check for line breaks and quotes"
    )]
    Key,
    /// The system's root certificates, needed for https, can not be loaded.
    #[error(
        "cannot load the system's root certificates, which an https LITELLM_PROXY_URL needs; install the ca-certificates package"
    )]
    Certificates {
        /// The cause.
        #[source]
        source: std::io::Error,
    },
}

impl LiteLlmConfig {
    /// The proxy at this URL, with the default limits: connect 5 s, whole call and first piece of a stream
    /// 30 s, between two pieces 60 s, whole stream an hour, answer 32 MiB.
    ///
    /// An empty key sends no `Authorization` header.
    ///
    /// # Errors
    /// [`LiteLlmConfigError::Url`]: not http or https, no host, or with a user name in it.
    pub fn new(url: &str, key: SecretString) -> Result<Self, LiteLlmConfigError> {
        Ok(Self {
            base: BaseUrl::parse(url)?,
            key,
            connect_timeout: Duration::from_secs(5),
            call_timeout: Duration::from_secs(30),
            stream_idle_timeout: Duration::from_secs(60),
            stream_timeout: Duration::from_secs(3600),
            max_response_bytes: 32 << 20,
        })
    }

    /// Sets the time for a connection to stand.
    #[must_use]
    pub fn with_connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = limit;
        self
    }

    /// Sets the time for a whole call: connecting, sending, and the whole answer, or the first piece of one
    /// that comes in pieces.
    #[must_use]
    pub fn with_call_timeout(mut self, limit: Duration) -> Self {
        self.call_timeout = limit;
        self
    }

    /// Sets the time in which a stream that has begun has to go on. Any byte is a sign of life.
    #[must_use]
    pub fn with_stream_idle_timeout(mut self, limit: Duration) -> Self {
        self.stream_idle_timeout = limit;
        self
    }

    /// Sets the time for a whole stream, from sending the request to its end.
    #[must_use]
    pub fn with_stream_timeout(mut self, limit: Duration) -> Self {
        self.stream_timeout = limit;
        self
    }

    /// Sets the largest answer that is read, in bytes.
    #[must_use]
    pub fn with_max_response_bytes(mut self, limit: usize) -> Self {
        self.max_response_bytes = limit;
        self
    }
}

/// A checked base URL: scheme, host, port, and a path without a slash at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BaseUrl {
    /// `http://localhost:4000`, for messages.
    pub(crate) origin: String,
    /// Where `/v1/…` is appended.
    prefix: String,
    pub(crate) is_https: bool,
}

impl BaseUrl {
    fn parse(url: &str) -> Result<Self, LiteLlmConfigError> {
        let bad = |reason: &str| LiteLlmConfigError::Url {
            reason: reason.to_owned(),
        };
        let uri: Uri = url.trim().parse().map_err(|_| bad("it is not a URL"))?;
        let is_https = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTP => false,
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            _ => return Err(bad("it starts with neither http:// nor https://")),
        };
        let authority = uri.authority().ok_or_else(|| bad("it names no host"))?;
        if authority.as_str().contains('@') {
            return Err(bad(
                "it has a user name or password in it; the key belongs into LITELLM_PROXY_KEY",
            ));
        }
        if authority.host().is_empty() {
            return Err(bad("it names no host"));
        }
        if url.contains(['?', '#']) {
            return Err(bad("it has a `?` or `#` in it"));
        }
        let has_port = authority
            .as_str()
            .rsplit_once(':')
            .is_some_and(|(_, port)| !port.ends_with(']'));
        if has_port && uri.port_u16().is_none() {
            return Err(bad("its port is not a number from 0 to 65535"));
        }
        let origin = format!("{}://{authority}", if is_https { "https" } else { "http" });
        // Both `http://host` and the `http://host/v1` that SDKs are given mean the same proxy.
        let path = uri.path().trim_end_matches('/');
        let path = path.strip_suffix("/v1").unwrap_or(path);
        Ok(Self {
            prefix: format!("{origin}{path}"),
            origin,
            is_https,
        })
    }

    /// The URL of a path below the base.
    pub(crate) fn join(&self, path: &str) -> Result<Uri, http::uri::InvalidUri> {
        format!("{}{path}", self.prefix).parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_may_have_a_path_a_slash_and_v1() {
        for (url, joined) in [
            ("http://localhost:4000", "http://localhost:4000/v1/models"),
            ("http://localhost:4000/", "http://localhost:4000/v1/models"),
            (
                "https://proxy.example/litellm/",
                "https://proxy.example/litellm/v1/models",
            ),
            (" http://[::1]:4000/v1 ", "http://[::1]:4000/v1/models"),
        ] {
            assert_eq!(
                BaseUrl::parse(url)
                    .unwrap()
                    .join("/v1/models")
                    .unwrap()
                    .to_string(),
                joined
            );
        }
    }

    #[test]
    fn a_url_that_can_not_be_called_is_refused_without_showing_a_password() {
        for url in [
            "",
            "localhost:4000",
            "ftp://x",
            "http://",
            "http://u:secret@host",
            "http://h?key=secret",
            "http://h#secret",
            "http://a b",
            "http://h:99999",
            "http://h:",
        ] {
            let message = BaseUrl::parse(url).unwrap_err().to_string();
            assert!(
                message.contains("LITELLM_PROXY_URL") && !message.contains("secret"),
                "{message}"
            );
        }
    }
}
