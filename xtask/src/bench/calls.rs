//! Calls that are not streamed: the client, the gateway, its commits.

use std::path::Path;

use anyhow::Result;

use super::books::{Seen, books, checked};
use super::build::Built;
use super::cast::Cast;
use super::gateway_load::Target;
use super::report::{ClientLevel, CommitLevel, GatewayLevel, Memory, Plan, Recorded};
use super::{client_cost, commits, gateway_load, proxy};

/// What was measured. Empty where this part was left out.
#[derive(Default)]
pub(super) struct Calls {
    pub(super) client: Vec<ClientLevel>,
    pub(super) gateway: Vec<GatewayLevel>,
    pub(super) commits: Vec<CommitLevel>,
    pub(super) memory: Vec<Memory>,
    pub(super) recorded: Vec<Recorded>,
    /// Which version the proxy is, if there was one.
    pub(super) litellm: Option<String>,
    /// Failed calls, in words.
    pub(super) errors: Vec<String>,
}

pub(super) async fn measure(
    built: &Built,
    data: &Path,
    with_proxy: bool,
    plan: &Plan,
) -> Result<Calls> {
    let proxy = if with_proxy {
        Some(proxy::start_mocking().await?)
    } else {
        None
    };
    let cast = Box::pin(Cast::start(built, data, proxy)).await?;
    let client = client_cost::measure(cast.upstream(), plan).await?;
    let mut targets = cast.targets()?;
    for target in &targets {
        checked(target).await?;
    }
    let gateway = Box::pin(gateway_load::measure(&mut targets, plan)).await?;
    let mut observed = cast.observed()?;
    checked(&observed).await?;
    let log = cast.log_of_groups();
    let commits = Box::pin(commits::measure(&mut observed, &log, plan)).await?;
    targets.push(observed);
    let mut recorded = Vec::new();
    for target in targets.iter().filter(|each| each.keeps_books) {
        recorded.push(books_of(target).await?);
    }
    let litellm = match cast.proxy() {
        Some(proxy) => proxy::version(proxy).await?,
        None => None,
    };
    let calls = Calls {
        errors: errors(&client, &targets),
        client,
        gateway,
        commits,
        memory: cast.memory()?,
        recorded,
        litellm,
    };
    Box::pin(cast.stop()).await?;
    Ok(calls)
}

async fn books_of(target: &Target) -> Result<Recorded> {
    let seen = Seen {
        process: &target.name,
        // And the one before any was timed.
        answered: target.answered + 1,
        hung_up: 0,
        failed: target.failed,
    };
    books(&target.url, seen).await
}

fn errors(client: &[ClientLevel], targets: &[Target]) -> Vec<String> {
    let of_client = client.iter().map(|level| {
        let failed = level.bare.errors + level.provider_litellm.errors;
        ("the client without a gateway", failed)
    });
    let of_targets = targets.iter().map(|each| (each.name.as_str(), each.failed));
    of_client
        .chain(of_targets)
        .filter(|(_, failed)| *failed > 0)
        .map(|(name, failed)| format!("ERRORS: {name} failed {failed} calls"))
        .collect()
}
