//! Opening a database, new or in use.

use std::sync::{Arc, Mutex};

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use ulid::Ulid;

use super::connect::{Conn, Connector, Purpose};
use super::failure::Failure;
use super::feed::{Ear, Feed};
use super::lease::Lease;
use super::pool::Readers;
use super::repair::Kept;
use super::schema::{self, LAYOUT};
use super::writer::{Session, Writer};
use super::{Handle, Mode, PostgresOptions, PostgresStore};
use crate::id::Monotonic;
use crate::live::Hub;
use crate::rows::Row as _;
use crate::{StoreError, sql};

impl PostgresStore {
    /// Opens a database for reading and writing, beside any number of others; makes its tables if it has
    /// to. It counts as alive from now on, until it is closed or stops.
    ///
    /// # Errors
    /// The server can not be reached ([`StoreError::Unreachable`]) or does not let us in
    /// ([`StoreError::Denied`]), [`StoreError::TooNew`] if a newer version made the tables.
    pub async fn open(options: PostgresOptions) -> Result<Self, StoreError> {
        let connector = Connector::new(&options)?;
        let opened = Box::pin(open(&options, &connector)).await;
        opened.map_err(|failure| failure.told(connector.server()))
    }

    /// Opens a database for reading, also from a server that takes no writes.
    ///
    /// Subscriptions end at once: they are told what this process records.
    ///
    /// # Errors
    /// As [`open`](Self::open), and [`StoreError::TooOld`] if it was never opened for writing by this
    /// version.
    pub async fn open_read_only(options: PostgresOptions) -> Result<Self, StoreError> {
        let connector = Connector::new(&options)?;
        let found = layout_of(&connector).await;
        let found = found.map_err(|failure| failure.told(connector.server()))?;
        if found < LAYOUT {
            return Err(StoreError::TooOld {
                found,
                needed: LAYOUT,
            });
        }
        let readers = Readers::new(
            connector.clone(),
            Purpose::ReadingOnly,
            options.limits.readers,
        );
        let hub = Arc::new(Hub::default());
        let lease = Lease::new(String::new(), options.lease);
        Ok(assemble(
            &options,
            connector,
            Arc::new(readers),
            hub,
            lease,
            Mode::ReadOnly,
        ))
    }
}

async fn layout_of(connector: &Connector) -> Result<i64, Failure> {
    let conn = connector.connect(Purpose::ReadingOnly).await?;
    Conn::within(connector.answer_limit(), schema::layout(&conn.client)).await
}

async fn open(options: &PostgresOptions, connector: &Connector) -> Result<PostgresStore, Failure> {
    let lease = Lease::new(Ulid::generate().to_string(), options.lease);
    let prepared = Conn::within(connector.answer_limit(), prepare(connector, &lease));
    let (ear, head, last) = prepared.await?;
    let hub = Hub::open(head);
    let readers = Readers::new(connector.clone(), Purpose::Reading, options.limits.readers);
    let readers = Arc::new(readers);
    let (closing, told) = watch::channel(false);
    let (jobs, queue) = mpsc::channel(options.limits.queue.clamp(1, 1 << 20));
    let writer = Writer {
        connector: connector.clone(),
        session: Some(Session::open(connector).await?),
        ids: Monotonic::after(last),
        clock: Arc::clone(&options.limits.clock),
        hub: Arc::clone(&hub),
        lease: lease.clone(),
        retry_for: options.retry_for,
    };
    let feed = Feed {
        connector: connector.clone(),
        readers: Arc::clone(&readers),
        hub: Arc::clone(&hub),
        gateway_id: lease.gateway_id.clone(),
        seen: head,
    };
    let mut writing = JoinSet::new();
    writing.spawn(writer.run(queue));
    let mut beside = JoinSet::new();
    beside.spawn(lease.clone().keep(connector.clone(), told.clone()));
    beside.spawn(feed.run(ear, told));
    let mode = Mode::Writing(Mutex::new(Some(Handle {
        jobs,
        writing,
        beside,
        closing,
    })));
    Ok(assemble(
        options,
        connector.clone(),
        readers,
        hub,
        lease,
        mode,
    ))
}

/// Makes the tables and registers; gives the log's last position, which is read once somebody listens so
/// that nothing is recorded unheard, and an identifier that new ones should sort after.
async fn prepare(connector: &Connector, lease: &Lease) -> Result<(Ear, u64, Ulid), Failure> {
    let conn = connector.connect(Purpose::Repairing).await?;
    schema::migrate(&conn.client, connector.server()).await?;
    lease.register(&conn).await?;
    let ear = Ear::open(connector).await?;
    let head = conn.client.query_one(sql::HEAD, &[]).await?;
    let head = head.count("head").unwrap_or(0);
    // Identifiers that are no ULIDs were made elsewhere and have no time in them.
    let newest = "SELECT event_id FROM events ORDER BY event_id DESC LIMIT 1000";
    let newest = conn.client.query(newest, &[]).await?;
    let mut ulids = newest.iter().filter_map(|row| row.text("event_id").ok());
    let last = ulids.find_map(|id| Ulid::from_string(&id).ok());
    Ok((ear, head, last.unwrap_or_else(Ulid::nil)))
}

fn assemble(
    options: &PostgresOptions,
    connector: Connector,
    readers: Arc<Readers>,
    hub: Arc<Hub>,
    lease: Lease,
    mode: Mode,
) -> PostgresStore {
    PostgresStore {
        connector,
        readers,
        limits: options.limits.artifacts,
        hub,
        lease,
        clock: Arc::clone(&options.limits.clock),
        taking_in: Kept::default(),
        mode,
    }
}
