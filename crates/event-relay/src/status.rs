//! Whether a server can be published to, and what it has got.

use event_store::EventStore;

use crate::connection::{Connection, unusable};
use crate::{NatsConfig, RelayError, start};

/// Asks the stream up to which position of a store's log it has, or had, every event: 0 if it does not exist yet.
/// What stands behind that waits in the store alone. Changes nothing, and can be asked beside a relay.
///
/// The server keeps what it has acknowledged on its disk some time later, two minutes at most unless it is set to
/// otherwise.
///
/// # Errors
/// The stream can not be asked, or is the copy of another log.
pub async fn published(config: &NatsConfig, store: &dyn EventStore) -> Result<u64, RelayError> {
    let connection = Connection::open(config).await?;
    let Some(stream) = connection.existing(config).await? else {
        return Ok(0);
    };
    start::published(config, store, &stream).await
}

/// What a server says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NatsStatus {
    /// Its version.
    pub server_version: String,
    /// Messages in the stream; `None` if it does not exist yet, then the relay makes it.
    pub messages: Option<u64>,
}

impl NatsStatus {
    /// Asks; changes nothing.
    ///
    /// # Errors
    /// It can not be reached, refuses us, has no JetStream, or its stream of that name is not for us.
    pub async fn ask(config: &NatsConfig) -> Result<Self, RelayError> {
        let connection = Connection::open(config).await?;
        let account = connection.context().query_account().await;
        account.map_err(|error| unusable(config, error))?;
        let stream = connection.existing(config).await?;
        Ok(Self {
            server_version: connection.server_version(),
            messages: stream.map(|stream| stream.cached_info().state.messages),
        })
    }
}
