//! Opening a database, new or in use.

use std::sync::{Arc, Mutex};

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use ulid::Ulid;

use super::connect::{Conn, Connector, Purpose};
use super::failure::Failure;
use super::feed::{Ear, Feed};
use super::lease::Lease;
use super::moment::Moment;
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
        let told = |failure: Failure| failure.told(connector.server());
        let purpose = Purpose::ReadingOnly;
        with_tables(&connector, purpose).await.map_err(told)?;
        let readers = Readers::new(connector.clone(), purpose, options.limits.readers);
        Ok(read_only(&options, connector, readers))
    }

    /// Opens a database for reading as it is now, whatever is recorded from now on: for who reads page by
    /// page and wants one whole. [`verify`](crate::EventStore::verify) alone looks at what is there by then.
    ///
    /// The server keeps what others remove or change until this store is closed.
    ///
    /// # Errors
    /// As [`open_read_only`](Self::open_read_only). Reads fail with [`StoreError::Unreachable`] once the
    /// connection is lost that holds on to the moment.
    pub async fn open_at_a_moment(options: PostgresOptions) -> Result<Self, StoreError> {
        let connector = Connector::new(&options)?;
        let told = |failure: Failure| failure.told(connector.server());
        let purpose = Purpose::Checking;
        let holder = with_tables(&connector, purpose).await.map_err(told)?;
        let moment = Conn::within(connector.answer_limit(), Moment::now(holder));
        let moment = moment.await.map_err(told)?;
        let readers = Readers::new(connector.clone(), purpose, options.limits.readers).at(moment);
        Ok(read_only(&options, connector, readers))
    }
}

/// A connection to a database that has today's tables.
async fn with_tables(connector: &Connector, purpose: Purpose) -> Result<Conn, Failure> {
    let conn = connector.connect(purpose).await?;
    let found = Conn::within(connector.answer_limit(), schema::layout(&conn.client)).await?;
    if found < LAYOUT {
        let needed = LAYOUT;
        return Err(StoreError::TooOld { found, needed }.into());
    }
    Ok(conn)
}

fn read_only(options: &PostgresOptions, connector: Connector, readers: Readers) -> PostgresStore {
    let hub = Arc::new(Hub::default());
    let lease = Lease::new(String::new(), options.lease);
    let readers = Arc::new(readers);
    assemble(options, connector, readers, hub, lease, Mode::ReadOnly)
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
