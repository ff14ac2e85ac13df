//! A Postgres database for one test.

use tokio_postgres::NoTls;
use ulid::Ulid;

/// A database of its own on the shared server; it goes with [`drop_it`](Self::drop_it).
pub(crate) struct Database {
    server: String,
    name: String,
}

impl Database {
    pub(crate) async fn make() -> Self {
        let server = std::env::var("OCTO_TEST_POSTGRES_URL").unwrap_or_else(|_| {
            panic!("OCTO_TEST_POSTGRES_URL is not set: no Postgres to test with. Run `cargo xtask test -- -p event-store`, or name a server whose databases may come and go (postgres://user@host:port/postgres)")
        });
        let name = format!("octo_test_{}", Ulid::generate().to_string().to_lowercase());
        let database = Self { server, name };
        database.tell("CREATE DATABASE").await;
        database
    }

    /// The server's URL with another database.
    pub(crate) fn url(&self) -> String {
        let (address, options) = match self.server.split_once('?') {
            Some((address, options)) => (address, format!("?{options}")),
            None => (self.server.as_str(), String::new()),
        };
        let host = address.find("://").map_or(0, |at| at + 3);
        let end = address[host..].find('/').map_or(address.len(), |at| host + at);
        format!("{}/{}{options}", &address[..end], self.name)
    }

    pub(crate) async fn drop_it(&self) {
        self.tell("DROP DATABASE").await;
    }

    async fn tell(&self, what: &str) {
        let (client, connection) = tokio_postgres::connect(&self.server, NoTls).await.unwrap();
        let sql = format!("{what} {}", self.name);
        tokio::select! {
            done = client.batch_execute(&sql) => done.unwrap(),
            ended = connection => panic!("the server hung up: {ended:?}"),
        }
    }
}
