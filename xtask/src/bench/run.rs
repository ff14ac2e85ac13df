//! The whole run: what is started, in which order it is measured, what is asked of it in the end.

use std::time::Instant;

use anyhow::Result;
use http::{HeaderValue, header};
use provider_core::ModelRequest;

use super::books::{adds_up, books, checked};
use super::build::Built;
use super::cast::Cast;
use super::gateway_load::Target;
use super::load::Post;
use super::process::Upstream;
use super::report::{Plan, Recorded, Report};
use super::{Args, client_cost, commits, disk, gateway_load, machine, proxy, upstream};
use crate::steps;

/// Where a call goes.
pub(super) const PATH: &str = "/v1/chat/completions";
/// The model group that is asked for.
pub(super) const GROUP: &str = "main";
/// What is asked.
pub(super) const PROMPT: &str = "What is two plus two? Answer in one word.";
/// The key of the stand-in, which looks at none, and of the proxy of this run.
pub(super) const KEY: &str = "sk-of-this-run";

/// Measures everything.
pub(super) async fn measure(args: &Args, built: &Built) -> Result<Report> {
    let started = Instant::now();
    let plan = plan(args.quick)?;
    let machine = machine::machine();
    // Beside the build, not in /tmp: that may be in memory, where a sync costs nothing.
    let data = tempfile::Builder::new()
        .prefix("bench-")
        .tempdir_in(&built.target)?;
    let disk = steps::step("syncing the disk", || {
        disk::measure(data.path(), plan.disk_syncs)
    })?;
    let proxy = if args.without_proxy {
        None
    } else {
        Some(proxy::start(KEY).await?)
    };
    let cast = Box::pin(Cast::start(built, data, proxy)).await?;
    let client = client_cost::measure(cast.upstream(), &plan).await?;
    let mut targets = cast.targets()?;
    for target in &targets {
        checked(target).await?;
    }
    let gateway = Box::pin(gateway_load::measure(&mut targets, &plan)).await?;
    let mut observed = cast.observed()?;
    checked(&observed).await?;
    let log = cast.log_of_groups();
    let commits = Box::pin(commits::measure(&mut observed, &log, &plan)).await?;
    let memory = cast.memory()?;
    let mut recorded = Vec::new();
    for target in targets
        .iter()
        .chain([&observed])
        .filter(|each| each.keeps_books)
    {
        recorded.push(books(target).await?);
    }
    let litellm = cast.litellm_version().await?;
    let versions = machine::versions(built, litellm)?;
    Box::pin(cast.stop()).await?;
    let mut notes = notes(args, &targets, &recorded);
    notes.extend(machine::busy(&machine));
    let failed: u64 = targets
        .iter()
        .chain([&observed])
        .map(|each| each.failed)
        .sum();
    let client_errors = client
        .iter()
        .map(|level| level.bare.errors + level.provider_litellm.errors);
    let unbooked = recorded.iter().any(|books| !adds_up(books));
    Ok(Report {
        clean: failed == 0 && client_errors.sum::<u64>() == 0 && !unbooked,
        quick: args.quick,
        machine,
        versions,
        plan,
        disk,
        client,
        gateway,
        commits,
        memory,
        recorded,
        notes,
        duration_s: started.elapsed().as_secs_f64(),
    })
}

fn plan(quick: bool) -> Result<Plan> {
    let request = ModelRequest::from_prompt(PROMPT).to_body(&GROUP.parse()?);
    let plan = Plan {
        client_rounds: 12,
        client_round_s: 1.0,
        gateway_rounds: 3,
        gateway_round_s: 3.0,
        warm_up_s: 0.5,
        disk_syncs: 200,
        request_bytes: request.len(),
        answer_bytes: upstream::ANSWER.len(),
    };
    if !quick {
        return Ok(plan);
    }
    Ok(Plan {
        client_rounds: 2,
        client_round_s: 0.2,
        gateway_rounds: 2,
        gateway_round_s: 0.25,
        warm_up_s: 0.1,
        disk_syncs: 20,
        ..plan
    })
}

/// The call that everything is measured with.
pub(super) fn post(served: Upstream<'_>) -> Result<Post> {
    let mut headers = http::HeaderMap::new();
    let json = HeaderValue::from_static("application/json");
    headers.insert(header::ACCEPT, json.clone());
    headers.insert(header::CONTENT_TYPE, json);
    let bearer = format!("Bearer {}", served.key);
    headers.insert(header::AUTHORIZATION, bearer.parse()?);
    Ok(Post {
        uri: format!("{}{PATH}", served.url).parse()?,
        headers,
        body: ModelRequest::from_prompt(PROMPT).to_body(&GROUP.parse()?),
    })
}

fn notes(args: &Args, targets: &[Target], recorded: &[Recorded]) -> Vec<String> {
    let mut notes = vec![
        "load, upstream, octo and proxy share these cores: rates compare with each other, not with other machines".to_owned(),
        "octo writes two synced commits a call; the stand-in and the proxy (no database) write none".to_owned(),
        "the proxy makes its mock answer itself, one process, as it starts by default; octo asks the upstream over HTTP".to_owned(),
    ];
    if args.without_proxy {
        notes.push(
            "WITHOUT THE LITELLM PROXY (--without-proxy): nothing here compares octo with it"
                .to_owned(),
        );
    }
    if args.quick {
        notes.push("QUICK: rounds of a fraction of a second, rough figures".to_owned());
    }
    for target in targets.iter().filter(|target| target.failed > 0) {
        notes.push(format!(
            "ERRORS: {} failed {} calls",
            target.name, target.failed
        ));
    }
    for books in recorded.iter().filter(|books| !adds_up(books)) {
        notes.push(format!("THE BOOKS DO NOT ADD UP: {}", books.process));
    }
    notes
}
