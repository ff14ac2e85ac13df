//! What the log of the gateway says while events wait.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tracing::subscriber::DefaultGuard;

use crate::books::Books;
use crate::running::Running;
use crate::server::Server;

/// What was logged.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    /// Of this thread, until the guard is dropped.
    pub(crate) fn here() -> (Self, DefaultGuard) {
        let lines = Self::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        (lines, tracing::subscriber::set_default(subscriber))
    }

    pub(crate) fn about(&self, words: &str) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let lines = text.lines().filter(|line| line.contains(words));
        lines.map(str::to_owned).collect()
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_relay_that_is_behind_says_each_minute_how_far() {
    let (lines, _here) = Lines::here();
    let (place, books) = (Server::place(), Books::open().await);
    books.write(1, 1, 3).await;
    tokio::time::pause();
    let relay = Running::start(place.config(), &books.store);
    tokio::time::sleep(Duration::from_secs(125)).await;
    relay.end().await;

    let behind = lines.about("NATS has not got all events yet");
    assert_eq!(behind.len(), 2, "{behind:?}");
    assert!(behind[0].ends_with("behind=3"), "{behind:?}");
    let down = lines.about("events wait for NATS");
    assert!(down[0].contains(&place.config().servers()), "{down:?}");
    // Not a line for each of many tries: one for each reason there was.
    assert!(down.len() <= 4, "{down:?}");
}
