//! What went wrong on the wire, told apart by what may have reached the proxy.

use std::error::Error;
use std::io;
use std::time::Duration;

use hyper_util::client::legacy::Error as ClientError;
use provider_core::{BoxError, ProviderError, TimeoutPhase};

/// No answer began.
pub(crate) fn failed(
    error: ClientError,
    address: &str,
    connect_timeout: Duration,
    elapsed: Duration,
) -> ProviderError {
    // hyper calls canceled only a request that it hands back because none of it was written.
    let untouched = find::<hyper::Error>(&error).is_some_and(hyper::Error::is_canceled);
    let request_sent = !error.is_connect() && !untouched;
    let io_kind = find::<io::Error>(&error).map(io::Error::kind);
    if !request_sent && io_kind == Some(io::ErrorKind::TimedOut) {
        return ProviderError::Timeout {
            phase: TimeoutPhase::Connect,
            limit: connect_timeout,
            elapsed,
        };
    }
    if find::<hyper::Error>(&error).is_some_and(hyper::Error::is_parse) {
        return ProviderError::InvalidAnswer {
            reason: "it is not HTTP that we can read".to_owned(),
            source: Some(error.into()),
        };
    }
    let detail = detail(&error, io_kind, request_sent);
    ProviderError::Unreachable {
        address: address.to_owned(),
        detail,
        request_sent,
        source: error.into(),
    }
}

fn detail(error: &ClientError, io_kind: Option<io::ErrorKind>, request_sent: bool) -> String {
    let what = match io_kind {
        Some(io::ErrorKind::ConnectionRefused) => "connection refused".to_owned(),
        Some(io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe) => {
            "connection reset".to_owned()
        }
        _ if find::<hyper::Error>(error).is_some_and(hyper::Error::is_incomplete_message) => {
            "connection closed before an answer came".to_owned()
        }
        _ => innermost(error).to_string(),
    };
    let when = if request_sent {
        ", after the request was sent"
    } else {
        ""
    };
    format!("{what}{when}")
}

/// An answer began and did not come whole.
pub(crate) fn broken_body(error: hyper::Error) -> ProviderError {
    ProviderError::InvalidAnswer {
        reason: "it was cut off before its end".to_owned(),
        source: Some(error.into()),
    }
}

/// An answer that is not the JSON that it should be.
///
/// An error about a *value* repeats that value, which may be a key or somebody's text: it says where,
/// and nothing more.
pub(crate) fn unreadable(what: &str, source: serde_json::Error) -> ProviderError {
    let (line, column) = (source.line(), source.column());
    let source = (!source.is_data()).then(|| source.into());
    ProviderError::InvalidAnswer {
        reason: format!("{what} (at line {line} column {column})"),
        source,
    }
}

/// An answer that can be read and is not one.
pub(crate) fn unusable(reason: &str) -> ProviderError {
    ProviderError::InvalidAnswer {
        reason: reason.to_owned(),
        source: None,
    }
}

/// The same, shown by another error.
pub(crate) fn with_source(reason: String, source: BoxError) -> ProviderError {
    ProviderError::InvalidAnswer {
        reason,
        source: Some(source),
    }
}

/// The first cause of a type.
fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        next = cause(error);
    }
    None
}

/// What stands behind an error. An `io::Error` that wraps another passes over it in its `source`.
fn cause<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    let wrapped = error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref);
    match wrapped {
        Some(inner) => Some(inner),
        None => error.source(),
    }
}

fn innermost<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    let mut last = error;
    while let Some(next) = cause(last) {
        last = next;
    }
    last
}
