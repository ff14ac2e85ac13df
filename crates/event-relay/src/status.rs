//! Whether a server can be published to.

use crate::connection::{Connection, unusable};
use crate::{NatsConfig, RelayError};

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
