//! Connections to the server.

use std::sync::Arc;
use std::time::Duration;

use rustls::{ClientConfig, RootCertStore};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_postgres::config::{SslMode, TargetSessionAttrs};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{AsyncMessage, Client, Config, Connection, NoTls, Notification, Socket};
use tokio_postgres_rustls_improved::MakeRustlsConnect;

use super::PostgresOptions;
use super::failure::Failure;
use crate::StoreError;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Reading, beside small writes of its own.
    Reading,
    /// Reading, where nothing may be written.
    ReadingOnly,
    /// Recording commits.
    Writing,
    /// Going over everything and writing: no limit on a statement.
    Repairing,
    /// Going over everything, where nothing may be written.
    Checking,
}

/// Makes connections.
#[derive(Clone)]
pub(crate) struct Connector {
    config: Config,
    tls: Option<MakeRustlsConnect>,
    server: String,
    lock_timeout: Duration,
    hold_limit: Duration,
}

/// A connection and the task that drives it, which ends after it.
#[derive(Debug)]
pub(crate) struct Conn {
    pub(crate) client: Client,
    driver: JoinSet<()>,
    /// Goes with the connection, which tells the driver.
    _open: oneshot::Sender<()>,
}

impl Drop for Conn {
    fn drop(&mut self) {
        // It takes leave of the server by itself, within a limit.
        self.driver.detach_all();
    }
}

/// For the last words to a server.
const LEAVE: Duration = Duration::from_secs(1);

/// The longest that one statement may take.
const STATEMENT: Duration = Duration::from_secs(60);

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Connector").field(&self.server).finish()
    }
}

impl Connector {
    pub(crate) fn new(options: &PostgresOptions) -> Result<Self, StoreError> {
        let plain = options.config.get_ssl_mode() == SslMode::Disable;
        Ok(Self {
            config: options.config.clone(),
            tls: (!plain).then(trusted).transpose()?,
            server: options.server(),
            lock_timeout: options.lock_timeout,
            hold_limit: options.hold_limit,
        })
    }

    pub(crate) fn server(&self) -> &str {
        &self.server
    }

    /// The longest that the server may take to answer: then it is gone, although nobody said so.
    pub(crate) fn answer_limit(&self) -> Duration {
        self.lock_timeout + STATEMENT + Duration::from_secs(5)
    }

    pub(crate) async fn connect(&self, purpose: Purpose) -> Result<Conn, Failure> {
        self.connect_with(purpose, None).await
    }

    /// A connection that hands on what it is notified of.
    pub(crate) async fn listening(&self, to: mpsc::Sender<Notification>) -> Result<Conn, Failure> {
        self.connect_with(Purpose::Reading, Some(to)).await
    }

    async fn connect_with(
        &self,
        purpose: Purpose,
        to: Option<mpsc::Sender<Notification>>,
    ) -> Result<Conn, Failure> {
        let mut config = self.config.clone();
        if !matches!(purpose, Purpose::ReadingOnly | Purpose::Checking) {
            config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
        let conn = match self.tls.clone() {
            Some(tls) => self.over(&config, tls, to).await?,
            None => self.over(&config, NoTls, to).await?,
        };
        let set = self.session(purpose);
        let set = async { Ok(conn.client.batch_execute(&set).await?) };
        Conn::within(self.answer_limit(), set).await?;
        Ok(conn)
    }

    async fn over<T>(
        &self,
        config: &Config,
        tls: T,
        to: Option<mpsc::Sender<Notification>>,
    ) -> Result<Conn, Failure>
    where
        T: MakeTlsConnect<Socket> + Send,
        T::Stream: Send + 'static,
        T::TlsConnect: Send,
        <T::TlsConnect as tokio_postgres::tls::TlsConnect<Socket>>::Future: Send,
    {
        // The limit of the configuration is for the socket alone: a server that takes a connection and
        // says nothing has to be left as well.
        let limit = config.get_connect_timeout().copied().unwrap_or(STATEMENT) * 2;
        let connected = tokio::time::timeout(limit, config.connect(tls)).await;
        let connected = connected.map_err(|_| Failure::lost("it did not answer in time"))?;
        let (client, connection) =
            connected.map_err(|error| Failure::connecting(error, &self.server))?;
        let (open, closed) = oneshot::channel();
        let mut driver = JoinSet::new();
        driver.spawn(async move {
            let left = async {
                // An error is what comes when the connection is dropped.
                let _ = closed.await;
                tokio::time::sleep(LEAVE).await;
            };
            tokio::select! {
                () = drive(connection, to) => {}
                () = left => {}
            }
        });
        Ok(Conn {
            client,
            driver,
            _open: open,
        })
    }

    /// What a session is set to. Who looks up under the lock of all writers must see what the last one
    /// committed, whatever isolation the database gives its transactions by default.
    fn session(&self, purpose: Purpose) -> String {
        let millis = |time: Duration| time.as_millis().clamp(1, 1 << 30);
        let mut sql = format!(
            "SET jit = off; SET lock_timeout = {}; SET idle_in_transaction_session_timeout = {};
             SET statement_timeout = {}; SET default_transaction_isolation = 'read committed';",
            millis(self.lock_timeout),
            match purpose {
                // It holds nobody up.
                Purpose::Checking => 0,
                _ => millis(self.hold_limit),
            },
            match purpose {
                Purpose::Repairing | Purpose::Checking => 0,
                _ => millis(STATEMENT + self.lock_timeout),
            }
        );
        match purpose {
            Purpose::Reading => {}
            Purpose::ReadingOnly | Purpose::Checking => {
                sql.push_str("SET default_transaction_read_only = on;");
            }
            // What is acknowledged is on disk, whatever the server's default; a stricter one stays.
            // The look-ups are all by keys: a plan that was made while a table was small, or before
            // anybody counted its rows, must not go over the whole of it later, nor sort what an index has in
            // order, nor start processes for some rows.
            Purpose::Writing | Purpose::Repairing => sql.push_str(
                "SELECT set_config('synchronous_commit', 'on', false)
                     WHERE current_setting('synchronous_commit') IN ('off', 'local');
                 SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off;
                 SET enable_bitmapscan = off; SET max_parallel_workers_per_gather = 0;",
            ),
        }
        sql
    }
}

/// The certificates that this machine trusts.
fn trusted() -> Result<MakeRustlsConnect, StoreError> {
    let failed = |source: Arc<dyn std::error::Error + Send + Sync>| StoreError::Io {
        doing: "read the certificates that this machine trusts".to_owned(),
        source,
    };
    let mut roots = RootCertStore::empty();
    let (added, _) =
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if added == 0 {
        tracing::warn!(
            "this machine trusts no certificates: no encrypted connection to Postgres can be made"
        );
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(Arc::new(error)))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

/// Moves what the connection has to say and to hear, until either end closes it.
async fn drive<S>(mut connection: Connection<Socket, S>, to: Option<mpsc::Sender<Notification>>)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    loop {
        match std::future::poll_fn(|cx| connection.poll_message(cx)).await {
            None => return,
            Some(Err(error)) => {
                let error = &error as &dyn std::error::Error;
                tracing::debug!(error, "a connection to the database ended");
                return;
            }
            Some(Ok(AsyncMessage::Notification(notification))) => {
                if let Some(to) = &to
                    && to.send(notification).await.is_err()
                {
                    return;
                }
            }
            Some(Ok(_)) => {}
        }
    }
}

impl Conn {
    /// Waits for answers, but not for ever.
    pub(crate) async fn within<T>(
        limit: Duration,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let done = tokio::time::timeout(limit, work).await;
        done.unwrap_or_else(|_| Err(Failure::lost("it stopped answering")))
    }

    /// True if it can be used further.
    pub(crate) fn is_open(&self) -> bool {
        !self.client.is_closed()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::super::feed::Ear;
    use super::*;

    /// That a client is let in, and that the server is ready.
    const WELCOME: &[u8] = b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I";
    const DONE: &[u8] = b"C\0\0\0\x08SET\0Z\0\0\0\x05I";
    /// One row of one column that says `off`.
    const OFF: &[u8] = b"T\0\0\0\x1a\0\x01a\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0\
        D\0\0\0\x0d\0\x01\0\0\0\x03offC\0\0\0\x09SHOW\0Z\0\0\0\x05I";

    /// Takes a connection and answers some of what it says; then there is no more word, and the clock is
    /// made to run to the next limit.
    async fn falls_silent(listener: TcpListener, answers: &[&[u8]]) {
        let (mut client, _): (TcpStream, _) = listener.accept().await.unwrap();
        let mut buffer = [0; 1 << 12];
        for answer in answers {
            assert!(client.read(&mut buffer).await.unwrap() > 0);
            client.write_all(answer).await.unwrap();
        }
        assert!(client.read(&mut buffer).await.unwrap() > 0);
        tokio::time::pause();
        std::future::pending::<()>().await;
    }

    async fn silent_after<T>(answers: &[&[u8]], connect: impl AsyncFnOnce(Connector) -> T) -> T {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let url = format!("postgres://octo@{address}/octo?sslmode=disable");
        let connector = Connector::new(&PostgresOptions::new(&url).unwrap()).unwrap();
        let limit = connector.answer_limit() * 3;
        tokio::select! {
            () = falls_silent(listener, answers) => panic!("it goes on for ever"),
            given_up = connect(connector) => given_up,
            () = async { tokio::time::sleep(limit).await } => panic!("it hangs"),
        }
    }

    fn stopped(failure: &Failure) -> bool {
        matches!(failure, Failure::Lost(cause) if cause.to_string() == "it stopped answering")
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_server_that_falls_silent_while_a_session_is_set_is_left() {
        let connect = async |connector: Connector| connector.connect(Purpose::ReadingOnly).await;
        let failure = silent_after(&[WELCOME], connect).await.unwrap_err();
        assert!(stopped(&failure), "{failure:?}");
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_server_that_falls_silent_before_it_is_listened_to_is_left() {
        let open = async |connector: Connector| Ear::open(&connector).await.map(drop);
        let failure = silent_after(&[WELCOME, OFF, DONE], open).await.unwrap_err();
        assert!(stopped(&failure), "{failure:?}");
    }
}
