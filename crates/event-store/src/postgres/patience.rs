//! How long a writer goes on when its database is away.

use std::time::Duration;

use tokio::time::Instant;

/// How long to go on trying: pauses of 20 ms, doubled up to a second.
pub(crate) struct Patience {
    until: Instant,
    pause: Duration,
}

impl Patience {
    pub(crate) fn new(time: Duration) -> Self {
        Self {
            until: Instant::now() + time,
            pause: Duration::from_millis(20),
        }
    }

    /// Waits before the next try; false if there is to be none.
    pub(crate) async fn wait(&mut self) -> bool {
        if Instant::now() + self.pause > self.until {
            return false;
        }
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(Duration::from_secs(1));
        true
    }
}
