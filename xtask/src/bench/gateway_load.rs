//! `octo` under load, beside the upstream without it and the LiteLLM Proxy.

use std::time::Duration;

use anyhow::{Context as _, Result};
use http::Uri;

use super::load::{Connection, Post, Tally, float, round};
use super::report::{GatewayLevel, Plan, TargetFigures};
use super::{process, run, system};
use crate::steps;

/// Connections, each with one call in flight.
pub(super) const LEVELS: [usize; 3] = [1, 16, 64];

/// Something that answers `/v1/chat/completions`.
pub(super) struct Target {
    pub(super) name: String,
    pub(super) process: u32,
    /// Whether each call is two commits on disk (`MODEL_CALL_STARTED`, then the end).
    pub(super) keeps_books: bool,
    pub(super) url: String,
    address: String,
    post: Post,
    /// Calls answered so far, and failed so far.
    pub(super) answered: u64,
    pub(super) failed: u64,
}

impl Target {
    pub(super) fn new(name: &str, served: process::Upstream<'_>, process: u32) -> Result<Self> {
        let mut post = run::post(served)?;
        let authority = post.uri.authority().context("a URL has a host")?;
        let address = authority.to_string();
        post.headers.insert(http::header::HOST, address.parse()?);
        post.uri = Uri::from_static(run::PATH);
        Ok(Self {
            name: name.to_owned(),
            process,
            keeps_books: false,
            url: served.url.to_owned(),
            address,
            post,
            answered: 0,
            failed: 0,
        })
    }

    pub(super) fn with_books(self) -> Self {
        Self {
            keeps_books: true,
            ..self
        }
    }

    /// A round on fresh connections; opening them is not part of it.
    pub(super) async fn round(&mut self, connections: usize, seconds: f64) -> Result<Tally> {
        let mut callers = Vec::with_capacity(connections);
        for _ in 0..connections {
            callers.push(Connection::open(&self.address, &self.post).await?);
        }
        let seen = round(callers, Duration::from_secs_f64(seconds)).await?;
        self.answered += seen.calls();
        self.failed += seen.errors();
        Ok(seen)
    }
}

/// Rounds in turns over all targets, at each number of connections.
pub(super) async fn measure(targets: &mut [Target], plan: &Plan) -> Result<Vec<GatewayLevel>> {
    let mut levels = Vec::new();
    for connections in LEVELS {
        let name = format!("the gateway, connections: {connections}");
        let step = steps::Step::begin(&name);
        let level = Box::pin(level(targets, connections, plan)).await;
        step.end(&level);
        levels.push(level?);
    }
    Ok(levels)
}

async fn level(targets: &mut [Target], connections: usize, plan: &Plan) -> Result<GatewayLevel> {
    let mut seen = Vec::new();
    for target in targets.iter_mut() {
        target.round(connections, plan.warm_up_s).await?;
        seen.push((Tally::new()?, 0_u64));
    }
    for _ in 0..plan.gateway_rounds {
        for (target, (tally, cpu_us)) in targets.iter_mut().zip(&mut seen) {
            let before = system::cpu_us(target.process)?;
            tally.add(&target.round(connections, plan.gateway_round_s).await?)?;
            *cpu_us += system::cpu_us(target.process)?.saturating_sub(before);
        }
    }
    let figures = targets.iter().zip(&seen);
    Ok(GatewayLevel {
        connections,
        targets: figures
            .map(|(target, (tally, cpu_us))| figures_of(target, tally, *cpu_us))
            .collect(),
    })
}

fn figures_of(target: &Target, tally: &Tally, cpu_us: u64) -> TargetFigures {
    let figures = tally.figures();
    let commits = 2.0 * figures.requests_per_s;
    TargetFigures {
        target: target.name.clone(),
        server_cpu_us_per_call: (tally.calls() > 0).then(|| float(cpu_us) / float(tally.calls())),
        durable_commits_per_s: target.keeps_books.then_some(commits),
        figures,
    }
}
