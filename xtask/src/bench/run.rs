//! The whole run: what is started, in which order it is measured, what is asked of it in the end.

use std::time::Instant;

use anyhow::Result;
use http::{HeaderValue, header};
use provider_core::ModelRequest;

use super::books::adds_up;
use super::build::Built;
use super::calls::Calls;
use super::load::Post;
use super::process::Upstream;
use super::report::{Machine, Plan, Report};
use super::streams::Streamed;
use super::{Args, Part, calls, disk, machine, prices, store, streams, upstream};
use crate::steps;

/// Where a call goes.
pub(super) const PATH: &str = "/v1/chat/completions";
/// The model group that is asked for.
pub(super) const GROUP: &str = "main";
/// What is asked.
pub(super) const PROMPT: &str = "What is two plus two? Answer in one word.";
/// The key of the stand-in, which looks at none, and of the proxy of this run.
pub(super) const KEY: &str = "sk-of-this-run";

/// Measures everything, or the part that is asked for.
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
    let with_proxy = !args.without_proxy;
    // Before anything else is alive: it is a matter of microseconds.
    let prices = if args.measures(Part::Prices) {
        let environments = with_proxy.then(crate::parts::environments).transpose()?;
        Some(prices::measure(&plan, environments.as_ref())?)
    } else {
        None
    };
    let mut calls = Calls::default();
    if args.measures(Part::Calls) {
        calls = Box::pin(calls::measure(built, data.path(), with_proxy, &plan)).await?;
    }
    let mut streamed = Streamed::default();
    if args.measures(Part::Streams) {
        streamed = Box::pin(streams::measure(built, data.path(), with_proxy, args.quick)).await?;
    }
    let mut appends = Vec::new();
    if args.measures(Part::Store) {
        appends = store::appends(data.path(), args.quick).await?;
    }
    let mut growth = Vec::new();
    if args.measures(Part::Growth) {
        let sizes: &[u64] = if args.quick {
            &[600, 6_000]
        } else {
            &[10_000, 1_000_000, 10_000_000]
        };
        growth = store::growth(data.path(), sizes, args.quick).await?;
    }
    let mut recorded = calls.recorded;
    recorded.extend(streamed.recorded);
    let mut errors = calls.errors;
    errors.extend(streamed.errors);
    let unbooked = recorded.iter().filter(|books| !adds_up(books));
    errors.extend(unbooked.map(|books| format!("THE BOOKS DO NOT ADD UP: {}", books.process)));
    Ok(Report {
        clean: errors.is_empty(),
        quick: args.quick,
        notes: notes(args, &machine).into_iter().chain(errors).collect(),
        versions: machine::versions(built, calls.litellm.or(streamed.litellm))?,
        machine,
        plan,
        disk,
        prices,
        client: calls.client,
        gateway: calls.gateway,
        commits: calls.commits,
        streams: streamed.streams,
        appends,
        growth,
        memory: calls.memory,
        recorded,
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
        price_rounds: 200,
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
        price_rounds: 10,
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

fn notes(args: &Args, machine: &Machine) -> Vec<String> {
    let mut notes = vec![
        "load, upstream, octo and proxy share these cores: rates compare with each other, not with other machines",
        "octo writes two synced commits a call; the stand-in and the proxy (no database) write none",
    ];
    if args.measures(Part::Calls) {
        notes.push("the proxy makes its mock answer itself, one process, as it starts by default; octo asks the upstream over HTTP");
    }
    if args.measures(Part::Streams) {
        notes.push("streams: octo and the proxy (one process, as it starts by default) both ask the upstream over HTTP");
        notes.push(
            "streams: where a way can not keep up with the pace, its times are those of its queue",
        );
    }
    if args.without_proxy {
        notes.push(
            "WITHOUT THE LITELLM PROXY (--without-proxy): nothing here compares octo with it",
        );
    }
    if args.quick {
        notes.push("QUICK: rounds of a fraction of a second, rough figures");
    }
    let notes = notes.into_iter().map(str::to_owned);
    notes.chain(machine::busy(machine)).collect()
}
