//! Takes over from gateways on the same store that are gone: closes what they left open.

use std::time::Duration;

use tokio::task::JoinSet;

use crate::app::App;

/// Looks again and again, while the gateway runs. Stops when dropped.
#[derive(Debug)]
pub(crate) struct Takeover {
    _running: JoinSet<()>,
}

impl Takeover {
    /// Does nothing where no other gateway can be: there the start has closed what was open.
    pub(crate) fn start(app: &App) -> Self {
        let mut running = JoinSet::new();
        if app.store.is_shared() {
            let (app, pause) = (app.clone(), app.config.storage.lease / 2);
            running.spawn(async move {
                loop {
                    tokio::select! {
                        () = app.closing.cancelled() => return,
                        () = tokio::time::sleep(pause) => {}
                    }
                    look(&app, pause).await;
                }
            });
        }
        Self { _running: running }
    }
}

async fn look(app: &App, limit: Duration) {
    let recovered = tokio::time::timeout(limit.max(Duration::from_secs(30)), app.tasks.recover());
    match recovered.await {
        Ok(Ok(recovered)) if recovered == Default::default() => {}
        Ok(Ok(recovered)) => tracing::warn!(
            calls = recovered.calls,
            tasks = recovered.tasks,
            "closed what another gateway left open"
        ),
        Ok(Err(error)) => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "cannot look for what other gateways left open"
            );
        }
        Err(_) => tracing::warn!("looking for what other gateways left open takes too long"),
    }
}
