//! `octo serve`

use std::io;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{Exit, output};
use crate::app::App;
use crate::config::Config;
use crate::{logging, server};

pub(super) async fn serve(config: Config) -> Exit {
    logging::start();
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let listen = config.server.listen;
    // The port first: a second `octo serve` fails here, before it touches anything.
    let (listener, address) = match bind(listen).await {
        Ok(bound) => bound,
        Err(error) => {
            output::note(format!(
                "error: cannot listen on {listen}: {error}; choose another with --listen"
            ));
            return Exit::Failed;
        }
    };
    let stop = match stop_on_signal() {
        Ok(stop) => stop,
        Err(error) => {
            output::error(&error);
            return Exit::Failed;
        }
    };
    let app = match App::start(config).await {
        Ok(app) => app,
        Err(error) => {
            output::error(&error);
            return Exit::Failed;
        }
    };
    output::line(format!("listening on http://{address}"));
    match server::serve(app, listener, stop).await {
        Ok(()) => Exit::Good,
        Err(error) => {
            output::error(&error);
            Exit::Failed
        }
    }
}

async fn bind(listen: std::net::SocketAddr) -> io::Result<(TcpListener, std::net::SocketAddr)> {
    let listener = TcpListener::bind(listen).await?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// Cancelled by the first SIGTERM or SIGINT.
fn stop_on_signal() -> io::Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = CancellationToken::new();
    let told = stop.clone();
    let wait = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        told.cancel();
    };
    #[expect(
        clippy::disallowed_methods,
        reason = "lives as long as the process; the runtime ends it"
    )]
    tokio::spawn(wait);
    Ok(stop)
}
