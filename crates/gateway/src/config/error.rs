//! What is wrong with a setting.

use std::path::PathBuf;

/// A setting that can not be used. Names the setting, its value and what is allowed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A file that can not be read.
    #[error("cannot read {path}: {source}; create it, or name another with --config")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// A file that is not what it should be.
    #[error("{path} is not valid: {message}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What and where.
        message: String,
    },
    /// A value that is not allowed.
    #[error("{name} is `{value}`, allowed is {allowed}")]
    Value {
        /// The setting: the environment variable, the flag, or the key in the file.
        name: String,
        /// What it is.
        value: String,
        /// What it may be.
        allowed: String,
    },
    /// A gateway that others can reach needs a key.
    #[error(
        "octo would listen on {listen}, which others can reach, without a key; set OCTO_GATEWAY_KEY, or listen on 127.0.0.1"
    )]
    OpenWithoutKey {
        /// The address.
        listen: std::net::SocketAddr,
    },
}
