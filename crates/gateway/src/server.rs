//! Connections: how many, how long, and how they end.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::App;
use crate::http::router;
use crate::relay::Relay;
use crate::retention::Retention;
use crate::takeover::Takeover;

/// After a failed accept (too many open files, mostly) the next try waits so long.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// A client that takes nothing of its answer for so long has gone, whatever its connection says.
const WRITE_LIMIT: Duration = Duration::from_secs(120);
/// For answers that are ready to reach their clients, after the last call has ended.
const DRAIN_LIMIT: Duration = Duration::from_secs(2);
/// What a stopped call may take to be recorded.
const RECORD_LIMIT: Duration = Duration::from_secs(5);

/// Serves until `stop` is cancelled, then ends gracefully: no new connection, calls in flight finish
/// within the configured grace period or are stopped, and every one of them is recorded.
///
/// # Errors
/// The store does not close cleanly.
pub async fn serve(
    app: App,
    listener: TcpListener,
    stop: CancellationToken,
) -> Result<(), event_store::StoreError> {
    let relay = Relay::start(&app);
    let takeover = Takeover::start(&app);
    let retention = Retention::start(&app);
    let connections = Connections::new(&app);
    connections.accept_until(listener, &stop).await;
    tracing::info!("ending: no new connections, waiting for calls in flight");
    connections.close(&app).await;
    drop((takeover, retention));
    // After the last event, and before the store that it reads.
    relay.end().await;
    app.store.close().await
}

struct Connections {
    router: Router,
    header_timeout: Duration,
    places: Arc<Semaphore>,
    tracker: TaskTracker,
    graceful: GracefulShutdown,
}

impl Connections {
    fn new(app: &App) -> Self {
        let server = &app.config.server;
        Self {
            router: router(app.clone()),
            header_timeout: server.header_timeout,
            places: Arc::new(Semaphore::new(server.max_connections)),
            tracker: TaskTracker::new(),
            graceful: GracefulShutdown::new(),
        }
    }

    async fn accept_until(&self, listener: TcpListener, stop: &CancellationToken) {
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => return,
                accepted = self.accept(&listener) => accepted,
            };
            match accepted {
                Ok((stream, place)) => self.spawn(stream, place),
                Err(error) => {
                    tracing::warn!(%error, "cannot take a connection, trying again");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// The next connection, once there is a place for it. Until then the system's queue holds it.
    async fn accept(
        &self,
        listener: &TcpListener,
    ) -> io::Result<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
        let place = self
            .places
            .clone()
            .acquire_owned()
            .await
            .map_err(io::Error::other)?;
        let (stream, _) = listener.accept().await?;
        // Small answers go out at once. A connection that does not take the option works without.
        let _ = stream.set_nodelay(true);
        Ok((stream, place))
    }

    fn spawn(&self, stream: TcpStream, place: tokio::sync::OwnedSemaphorePermit) {
        let service = TowerToHyperService::new(self.router.clone());
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(WRITE_LIMIT));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.header_timeout)
            .serve_connection(TokioIo::new(Box::pin(stream)), service);
        let connection = self.graceful.watch(connection);
        self.tracker.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended early");
            }
            drop(place);
        });
    }

    /// Idle connections close at once, the others after their answer; no new work is taken on them.
    async fn close(self, app: &App) {
        app.closing.cancel();
        let grace = app.config.server.shutdown_grace;
        let ended = async {
            let (calls, connections) = (app.tasks.shut_down(grace), self.graceful.shutdown());
            tokio::pin!(calls, connections);
            tokio::select! {
                () = &mut connections => calls.await,
                () = &mut calls => {
                    // A client that does not read its answer is not waited for.
                    let _ = tokio::time::timeout(DRAIN_LIMIT, connections).await;
                }
            }
        };
        if tokio::time::timeout(grace + RECORD_LIMIT + DRAIN_LIMIT, ended)
            .await
            .is_err()
        {
            tracing::error!("not all calls could be recorded in time; the next start closes them");
        }
        self.tracker.close();
    }
}
