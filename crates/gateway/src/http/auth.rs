//! Who may call: whoever has the gateway's key; without a key, programs on this machine, but not the
//! pages that its browser shows.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{ApiError, OpenAiError};
use crate::app::App;

/// Lets a request pass if it may.
pub(super) async fn guard(State(app): State<App>, request: Request, next: Next) -> Response {
    match &app.config.server.key {
        Some(key) if !has_key(request.headers(), key) => no_key(request.uri()),
        None if is_of_a_foreign_page(request.headers()) => foreign_page(request.uri()),
        _ => next.run(request).await,
    }
}

fn has_key(headers: &HeaderMap, key: &SecretString) -> bool {
    let sent = headers
        .get(header::AUTHORIZATION)
        .map(HeaderValue::as_bytes);
    let Some((scheme, sent)) = sent.and_then(|value| value.split_at_checked(7)) else {
        return false;
    };
    // Digests are compared, so that the time depends on neither content nor length.
    let same: bool = Sha256::digest(sent)
        .ct_eq(&Sha256::digest(key.expose_secret()))
        .into();
    scheme.eq_ignore_ascii_case(b"bearer ") && same
}

fn no_key(uri: &Uri) -> Response {
    let message = "this gateway needs its key: send `Authorization: Bearer <OCTO_GATEWAY_KEY>`";
    let mut response = refusal(
        uri,
        "invalid_api_key",
        ApiError::unauthorized(message.to_owned()),
    );
    response
        .headers_mut()
        .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
}

/// A web page can have a browser send requests to this machine. Browsers say so: they name the page's
/// origin, and a name that was made to point here stands in `Host`.
fn is_of_a_foreign_page(headers: &HeaderMap) -> bool {
    let text = |name| {
        headers
            .get(name)
            .map(|value: &HeaderValue| value.to_str().unwrap_or("?"))
    };
    let host = text(header::HOST).unwrap_or_default();
    if !is_loopback(host) {
        return true;
    }
    match text(header::ORIGIN) {
        Some(origin) => origin
            .split_once("://")
            .is_none_or(|(_, origin)| origin != host),
        None => text(header::HeaderName::from_static("sec-fetch-site")) == Some("cross-site"),
    }
}

/// `localhost`, `127.0.0.1`, `[::1]`, with or without a port. A client without `Host` is no browser.
fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name
        .trim_start_matches('[')
        .trim_end_matches(']')
        .parse::<std::net::IpAddr>();
    name.is_empty()
        || name.eq_ignore_ascii_case("localhost")
        || address.is_ok_and(|address| address.is_loopback())
}

fn foreign_page(uri: &Uri) -> Response {
    let message = "without OCTO_GATEWAY_KEY this gateway answers programs on this machine, not web pages: \
                   call it by a loopback address and without an Origin of elsewhere, or set a key";
    refusal(uri, "forbidden", ApiError::forbidden(message.to_owned()))
}

/// In the shape that the caller's client reads.
fn refusal(uri: &Uri, code: &str, error: ApiError) -> Response {
    if !uri.path().starts_with("/v1/") {
        return error.into_response();
    }
    let mut shown = OpenAiError::from(error);
    shown.code = Some(code.to_owned());
    shown.into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn programs_pass_and_foreign_pages_do_not() {
        for good in [
            &[("host", "127.0.0.1:8000")][..],
            &[("host", "localhost")],
            &[("host", "[::1]:8000")],
            &[],
            &[
                ("host", "localhost:8000"),
                ("origin", "http://localhost:8000"),
            ],
        ] {
            assert!(!is_of_a_foreign_page(&headers(good)), "{good:?}");
        }
        for bad in [
            &[("host", "evil.example")][..],
            &[("host", "evil.example:8000")],
            &[
                ("host", "localhost:8000"),
                ("origin", "https://evil.example"),
            ],
            &[("host", "localhost:8000"), ("origin", "null")],
            &[("host", "localhost:8000"), ("sec-fetch-site", "cross-site")],
            &[("host", "10.0.0.1")],
        ] {
            assert!(is_of_a_foreign_page(&headers(bad)), "{bad:?}");
        }
    }
}
