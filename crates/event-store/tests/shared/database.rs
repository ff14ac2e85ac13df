//! A database of its own for one test, on the server that is started for all tests.

use tokio_postgres::{Client, NoTls};

/// Names the server, for a superuser.
const SERVER: &str = "OCTO_TEST_POSTGRES_URL";

/// An empty database. It is dropped with this, also when the test fails.
#[derive(Debug)]
pub(crate) struct Database {
    name: String,
    url: String,
}

/// The server's URL.
pub(crate) fn server() -> String {
    std::env::var(SERVER).unwrap_or_else(|_| panic!("{SERVER} is set by `cargo xtask test`"))
}

/// The server's URL with another database.
fn url_of(name: &str) -> String {
    let server = server();
    let (start, rest) = server.split_once("://").unwrap();
    let host = rest.split(['/', '?']).next().unwrap();
    format!("{start}://{host}/{name}?sslmode=disable")
}

/// Runs something as the superuser.
pub(crate) async fn as_superuser(url: &str, sql: &str) {
    let client = connected(url).await;
    client.batch_execute(sql).await.unwrap();
}

/// A connection of the superuser.
pub(crate) async fn connected(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    let mut driver = tokio::task::JoinSet::new();
    driver.spawn(async move {
        // It ends with the client.
        let _ = connection.await;
    });
    driver.detach_all();
    client
}

impl Database {
    pub(crate) async fn fresh() -> Self {
        let name = format!("test_{}", ulid::Ulid::generate().to_string().to_lowercase());
        let sql = format!("CREATE DATABASE {name}");
        as_superuser(&url_of("postgres"), &sql).await;
        let url = url_of(&name);
        Self { name, url }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let sql = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        // On a thread of its own: the test's runtime may be blocked here, or gone.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(as_superuser(&url_of("postgres"), &sql));
        });
        if dropping.join().is_err() && !std::thread::panicking() {
            panic!("the test's database stays behind");
        }
    }
}
