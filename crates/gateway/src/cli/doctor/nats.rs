//! Whether events can be published.

use event_relay::{NatsConfig, NatsStatus, RelayError};

use super::{Finding, LIMIT, Level};
use crate::config::Config;

const CHECK: &str = "nats";

/// Nothing where nothing is published.
pub(super) async fn finding(config: &Config) -> Option<Finding> {
    let config = config.nats.as_ref()?;
    let found = match tokio::time::timeout(LIMIT, NatsStatus::ask(config)).await {
        Ok(asked) => of(config, asked),
        Err(_) => super::finding(
            CHECK,
            Level::Problem,
            format!("{} does not answer", config.servers()),
            "see that it runs, and OCTO_NATS_URL; events wait until then",
        ),
    };
    Some(found)
}

fn of(config: &NatsConfig, asked: Result<NatsStatus, RelayError>) -> Finding {
    let (servers, stream) = (config.servers(), config.stream());
    let (level, message, hint) = match asked {
        Ok(NatsStatus {
            server_version,
            messages: Some(messages),
            ..
        }) => (
            Level::Ok,
            format!(
                "{servers} ({server_version}) has the stream {stream} with {messages} messages"
            ),
            "",
        ),
        Ok(NatsStatus { server_version, .. }) => (
            Level::Ok,
            format!("{servers} ({server_version}) answers; octo serve makes the stream {stream}"),
            "",
        ),
        Err(error) => (Level::Problem, error.to_string(), "events wait until then"),
    };
    super::finding(CHECK, level, message, hint)
}
