//! Closes what nobody works on any more: what gateways on the same store left open that are gone, and what
//! this one could not record the end of.

use std::time::Duration;

use event_store::StoreError;
use provider_service::{Recovered, Suspects};
use tokio::task::JoinSet;

use crate::app::App;

/// How often a gateway that is alone on its store looks at what it left open itself.
const ALONE: Duration = Duration::from_secs(30);
/// How long one look may take at least, before it is given up until the next.
const LOOK_LIMIT: Duration = Duration::from_secs(30);

/// Looks again and again, while the gateway runs. Stops when dropped.
#[derive(Debug)]
pub(crate) struct Takeover {
    _running: JoinSet<()>,
}

impl Takeover {
    pub(crate) fn start(app: &App) -> Self {
        let mut running = JoinSet::new();
        let pause = if app.store.is_shared() {
            app.config.storage.lease / 2
        } else {
            ALONE
        };
        let app = app.clone();
        running.spawn(async move {
            let mut suspects = Suspects::default();
            loop {
                tokio::select! {
                    () = app.closing.cancelled() => return,
                    () = tokio::time::sleep(pause) => {}
                }
                let look = look(&app, &mut suspects);
                if tokio::time::timeout(pause.max(LOOK_LIMIT), look)
                    .await
                    .is_err()
                {
                    tracing::warn!("looking for what was left open takes too long");
                }
            }
        });
        Self { _running: running }
    }
}

async fn look(app: &App, suspects: &mut Suspects) {
    if app.store.is_shared() {
        report("another gateway", app.tasks.recover().await);
    }
    report("this gateway", app.tasks.close_abandoned(suspects).await);
}

fn report(whose: &str, closed: Result<Recovered, StoreError>) {
    match closed {
        Ok(closed) if closed == Recovered::default() => {}
        Ok(closed) => tracing::warn!(
            calls = closed.calls,
            tasks = closed.tasks,
            "closed what {whose} left open"
        ),
        Err(error) => tracing::warn!(
            error = &error as &dyn std::error::Error,
            "cannot look for what {whose} left open"
        ),
    }
}
