//! How a Postgres store is set up.

use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

use crate::StoreError;
use crate::options::{Limits, limit_setters};

/// Where a [`PostgresStore`](crate::PostgresStore) keeps its data, and its limits.
///
/// The connection must reach the server itself, or a pooler that leaves a session to one client: the store
/// listens, prepares statements and holds locks.
#[derive(Clone, Debug)]
pub struct PostgresOptions {
    /// Its `Debug` leaves the password out.
    pub(crate) config: Config,
    pub(crate) limits: Limits,
    pub(crate) retry_for: Duration,
    pub(crate) lease: Duration,
    pub(crate) lock_timeout: Duration,
    pub(crate) hold_limit: Duration,
}

impl PostgresOptions {
    /// A database by its URL: `postgres://user:password@host:port/database?sslmode=require`, also with
    /// several hosts (`host1,host2`), of which the first that takes writes is used. The tables are made by
    /// the first that opens it. The limits are the usual ones, the clock is the machine's.
    ///
    /// `sslmode` is `disable`, `prefer` (unless set: encrypted if the server can) or `require`. Where it is
    /// encrypted the server's certificate is checked, so `verify-full` is another word for `require`; for a
    /// server with a certificate of its own name that in `SSL_CERT_FILE`.
    ///
    /// # Errors
    /// [`StoreError::InvalidUrl`], which does not repeat the URL: it may hold a password.
    pub fn new(url: &str) -> Result<Self, StoreError> {
        Ok(Self {
            config: parse(url).map_err(|problem| StoreError::InvalidUrl { problem })?,
            limits: Limits::default(),
            retry_for: Duration::from_secs(10),
            lease: Duration::from_secs(15),
            lock_timeout: Duration::from_secs(15),
            hold_limit: Duration::from_secs(10),
        })
    }

    limit_setters!();

    /// How long a commit whose connection was lost is tried again before its caller hears of it; 10 s unless
    /// set.
    #[must_use]
    pub const fn retry_for(mut self, time: Duration) -> Self {
        self.retry_for = time;
        self
    }

    /// How long this program counts as alive after it was last heard of; 15 s unless set. Others take over
    /// what it left behind a third of that later.
    #[must_use]
    pub const fn lease(mut self, time: Duration) -> Self {
        self.lease = time;
        self
    }

    /// How long a commit waits for those of other programs before it fails with [`StoreError::Busy`]; 15 s
    /// unless set. It should be longer than [`hold_limit`](Self::hold_limit).
    #[must_use]
    pub const fn lock_timeout(mut self, time: Duration) -> Self {
        self.lock_timeout = time;
        self
    }

    /// How long this program may stand still in the middle of a commit, while all others wait, before the
    /// server gives that commit up; 10 s unless set.
    #[must_use]
    pub const fn hold_limit(mut self, time: Duration) -> Self {
        self.hold_limit = time;
        self
    }

    /// True if the URL holds a password.
    #[must_use]
    pub fn has_password(&self) -> bool {
        self.config.get_password().is_some()
    }

    /// Where the server is, for people: `host:port/database`, without user and password.
    #[must_use]
    pub fn server(&self) -> String {
        let ports = self.config.get_ports();
        let hosts = self
            .config
            .get_hosts()
            .iter()
            .enumerate()
            .map(|(at, host)| {
                let port = ports
                    .get(at)
                    .or_else(|| ports.first())
                    .copied()
                    .unwrap_or(5432);
                match host {
                    Host::Tcp(name) => format!("{name}:{port}"),
                    #[cfg(unix)]
                    Host::Unix(folder) => format!("{}:{port}", folder.display()),
                }
            });
        let hosts = hosts.collect::<Vec<_>>().join(",");
        self.config
            .get_dbname()
            .map_or_else(|| hosts.clone(), |name| format!("{hosts}/{name}"))
    }
}

fn parse(url: &str) -> Result<Config, String> {
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err("it does not start with postgres:// or postgresql://".to_owned());
    }
    // The rest of a password would pass for a host or a database, and be told.
    if url.matches('@').count() > 1 {
        return Err(
            "it holds more than one @; write those of a user or a password as %40, and / as %2F"
                .to_owned(),
        );
    }
    let mut verified = false;
    let url =
        ["sslmode=verify-full", "sslmode=verify-ca"]
            .iter()
            .fold(url.to_owned(), |url, word| {
                verified |= url.contains(word);
                url.replace(word, "sslmode=require")
            });
    // What is wrong stands underneath, and names an option, never its value.
    let mut config: Config = url.parse().map_err(|error: tokio_postgres::Error| {
        let underneath = std::error::Error::source(&error);
        underneath.map_or_else(|| error.to_string(), ToString::to_string)
    })?;
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        return Err("it names no host".to_owned());
    }
    if verified {
        config.ssl_mode(SslMode::Require);
    }
    if config.get_application_name().is_none() {
        config.application_name("octo");
    }
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(Duration::from_secs(5));
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(Duration::from_secs(20));
    }
    config
        .keepalives_idle(Duration::from_secs(10))
        .keepalives_interval(Duration::from_secs(5))
        .keepalives_retries(3);
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(url: &str) -> String {
        PostgresOptions::new(url).unwrap_err().to_string()
    }

    #[test]
    fn a_wrong_url_is_told_without_its_password() {
        for url in [
            "mysql://octo:s3cret@db/octo",
            "octo:s3cret@db",
            "postgres://octo:s3cret@db:port/octo",
            "postgres://octo:s3cret@db/octo?sslmode=s3cret",
            "postgres://octo:s3cret@db/octo?colour=s3cret",
            "postgres://octo:p@s3cret@db/octo",
            "postgres://octo:p@host/s3cret@db/octo",
            "postgres://",
        ] {
            let told = problem(url);
            assert!(!told.contains("s3cret"), "{told}");
        }
        insta::assert_snapshot!(problem("mysql://db"), @"the database URL is not usable: it does not start with postgres:// or postgresql://; it looks like postgres://user:password@host:5432/database");
    }

    #[test]
    fn the_server_is_named_without_its_password() {
        let options =
            PostgresOptions::new("postgresql://octo:s3cret@one:5433,two/books?sslmode=verify-full");
        let options = options.unwrap();
        for host in ["127.0.0.1", "[::1]", "my-db_1.example", "%2Ftmp"] {
            assert!(
                PostgresOptions::new(&format!("postgres://a%40b:c%2F@{host}/d")).is_ok(),
                "{host}"
            );
        }
        assert_eq!(options.server(), "one:5433,two:5432/books");
        assert!(!format!("{options:?}").contains("s3cret"));
        assert_eq!(options.config.get_ssl_mode(), SslMode::Require);
    }
}
