//! A connection, and the stream on it.

use std::time::Duration;

use async_nats::jetstream::context::ContextBuilder;
use async_nats::jetstream::{self, Context, stream};
use async_nats::{ConnectOptions, Event};
use secrecy::ExposeSecret;
use tokio_util::sync::CancellationToken;

use crate::config::Login;
use crate::{NatsConfig, RelayError};

/// For a connection to stand.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// For each answer of the server, an acknowledgement too.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// How long the server remembers event ids to drop what comes twice.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(600);

/// One connection. It is never mended: what was on its way when it broke has an unknown fate, so the next
/// one starts by asking the stream where it ends.
#[derive(Debug)]
pub(crate) struct Connection {
    context: Context,
    /// Cancelled when the connection is gone.
    pub(crate) lost: CancellationToken,
}

impl Connection {
    pub(crate) async fn open(config: &NatsConfig) -> Result<Self, RelayError> {
        let lost = CancellationToken::new();
        let told = lost.clone();
        let options = ConnectOptions::new()
            .name("octo")
            .connection_timeout(CONNECT_LIMIT)
            .request_timeout(Some(ANSWER_LIMIT))
            // 0 would mean without end.
            .max_reconnects(1)
            .event_callback(move |event| {
                if matches!(event, Event::Disconnected | Event::Closed) {
                    told.cancel();
                }
                std::future::ready(())
            });
        let options = match config.login() {
            Login::Nobody => options,
            Login::User { name, password } => {
                options.user_and_password(name.clone(), password.expose_secret().to_owned())
            }
            Login::Token(token) => options.token(token.expose_secret().to_owned()),
        };
        // The limit again: the client's own does not cover what comes after the TCP connection.
        let connected =
            tokio::time::timeout(2 * CONNECT_LIMIT, options.connect(config.addresses()));
        let refused = |source| RelayError::Connect {
            servers: config.servers(),
            source,
        };
        let client = connected
            .await
            .map_err(|elapsed| refused(elapsed.into()))?
            .map_err(|error| refused(error.into()))?;
        let context = ContextBuilder::new()
            .timeout(ANSWER_LIMIT)
            .ack_timeout(ANSWER_LIMIT)
            .build(client);
        Ok(Self { context, lost })
    }

    pub(crate) fn context(&self) -> &Context {
        &self.context
    }

    /// The version of the server.
    pub(crate) fn server_version(&self) -> String {
        self.context.client().server_info().version
    }

    /// The stream, made if it does not exist; one that does is used as its operator configured it.
    pub(crate) async fn stream(&self, config: &NatsConfig) -> Result<stream::Stream, RelayError> {
        let wanted = stream::Config {
            name: config.stream().to_owned(),
            subjects: vec![format!("{}.>", config.subjects())],
            storage: stream::StorageType::File,
            retention: stream::RetentionPolicy::Limits,
            duplicate_window: DUPLICATE_WINDOW,
            ..stream::Config::default()
        };
        let stream = self.context.get_or_create_stream(wanted).await;
        let stream = stream.map_err(|error| unusable(config, error))?;
        check(config, &stream.cached_info().config)?;
        Ok(stream)
    }

    /// The stream, if it exists.
    pub(crate) async fn existing(
        &self,
        config: &NatsConfig,
    ) -> Result<Option<stream::Stream>, RelayError> {
        use jetstream::ErrorCode;
        use jetstream::context::GetStreamErrorKind;
        match self.context.get_stream(config.stream()).await {
            Ok(stream) => {
                check(config, &stream.cached_info().config)?;
                Ok(Some(stream))
            }
            Err(error) => match error.kind() {
                GetStreamErrorKind::JetStream(cause)
                    if cause.error_code() == ErrorCode::STREAM_NOT_FOUND =>
                {
                    Ok(None)
                }
                _ => Err(unusable(config, error)),
            },
        }
    }
}

pub(crate) fn unusable(
    config: &NatsConfig,
    source: impl std::error::Error + Send + Sync + 'static,
) -> RelayError {
    RelayError::Stream {
        stream: config.stream().to_owned(),
        source: source.into(),
    }
}

fn check(config: &NatsConfig, found: &stream::Config) -> Result<(), RelayError> {
    let stream = || config.stream().to_owned();
    if !found
        .subjects
        .iter()
        .any(|each| takes(each, config.subjects()))
    {
        return Err(RelayError::Subjects {
            stream: stream(),
            found: found.subjects.join(", "),
            wanted: format!("{}.>", config.subjects()),
        });
    }
    if found.no_ack {
        return Err(RelayError::NoAcks { stream: stream() });
    }
    Ok(())
}

/// True if a stream with this subject takes every `<start>.<type>.<task>`.
fn takes(subject: &str, start: &str) -> bool {
    let mut subject = subject.split('.');
    for wanted in start.split('.').chain(["*", "*"]) {
        match subject.next() {
            Some(">") => return true,
            Some("*") => {}
            Some(token) if token == wanted => {}
            _ => return false,
        }
    }
    subject.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_ours_only_if_it_takes_every_subject_of_ours() {
        for subject in [
            ">",
            "octo.>",
            "octo.events.>",
            "octo.events.*.*",
            "*.events.*.*",
            "octo.events.*.>",
        ] {
            assert!(takes(subject, "octo.events"), "{subject}");
        }
        for subject in [
            "orders.>",
            "octo",
            "octo.events",
            "octo.events.*",
            "octo.events.ERROR.>",
            "octo.events.*.*.>",
            "octo.events.*.*.*",
            "octo.events.*.t",
        ] {
            assert!(!takes(subject, "octo.events"), "{subject}");
        }
    }
}
