//! What `provider-litellm` adds to a call, over a bare hyper client that sends the same bytes and reads
//! the whole answer.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use bytes::Bytes;
use cost_tracker::{CostTracker, PriceBook};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use provider_core::{ModelCall, ModelClient as _, ModelRequest};
use provider_litellm::{LiteLlmClient, LiteLlmConfig};

use super::load::{Caller, Post, Tally, expect_answer, extent, float, round};
use super::report::{ClientLevel, Plan};
use super::{process, run, system};
use crate::steps;

/// Calls in flight.
const LEVELS: [usize; 2] = [1, 16];

#[derive(Clone)]
struct Bare {
    client: Client<HttpConnector, Full<Bytes>>,
    post: Post,
}

impl Caller for Bare {
    async fn call(&mut self) -> Result<()> {
        let response = self.client.request(self.post.request()).await?;
        let (head, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        expect_answer(head.status, &body)
    }
}

#[derive(Clone)]
struct Ours {
    client: Arc<LiteLlmClient>,
    call: Arc<ModelCall>,
}

impl Caller for Ours {
    async fn call(&mut self) -> Result<()> {
        let completion = self.client.complete(&self.call).await?;
        // What it is paid for: it read the answer, named the model and settled the cost.
        let result = &completion.result;
        ensure!(!result.content.is_empty() && !result.model_name.is_empty());
        Ok(())
    }
}

/// Rounds in turns: bare, ours, bare, ours …
pub(super) async fn measure(
    upstream: process::Upstream<'_>,
    plan: &Plan,
) -> Result<Vec<ClientLevel>> {
    let (bare, ours) = (bare(upstream)?, ours(upstream)?);
    let mut levels = Vec::new();
    for in_flight in LEVELS {
        let name = format!("provider-litellm and a bare client, {in_flight} in flight");
        let step = steps::Step::begin(&name);
        let level = level(&bare, &ours, in_flight, plan).await;
        step.end(&level);
        levels.push(level?);
    }
    Ok(levels)
}

async fn level(bare: &Bare, ours: &Ours, in_flight: usize, plan: &Plan) -> Result<ClientLevel> {
    let warm_up = Duration::from_secs_f64(plan.warm_up_s);
    round(vec![bare.clone(); in_flight], warm_up).await?;
    round(vec![ours.clone(); in_flight], warm_up).await?;
    let (mut of_bare, mut of_ours) = (Side::new()?, Side::new()?);
    let mut added = Vec::new();
    for _ in 0..plan.client_rounds {
        let length = Duration::from_secs_f64(plan.client_round_s);
        let one = of_bare.round(bare, in_flight, length).await?;
        let other = of_ours.round(ours, in_flight, length).await?;
        added.push(other - one);
    }
    Ok(ClientLevel {
        in_flight,
        added_p50_us: of_ours.tally.quantile_us(0.5) - of_bare.tally.quantile_us(0.5),
        added_p99_us: of_ours.tally.quantile_us(0.99) - of_bare.tally.quantile_us(0.99),
        added_p50_us_of_rounds: extent(&added),
        bare_cpu_us_per_call: of_bare.cpu_us_per_call(),
        provider_litellm_cpu_us_per_call: of_ours.cpu_us_per_call(),
        bare: of_bare.tally.figures(),
        provider_litellm: of_ours.tally.figures(),
    })
}

/// One of the two, over all rounds.
struct Side {
    tally: Tally,
    cpu_us: u64,
}

impl Side {
    fn new() -> Result<Self> {
        Ok(Self {
            tally: Tally::new()?,
            cpu_us: 0,
        })
    }

    /// The round's median, in microseconds.
    async fn round<C: Caller + Clone>(
        &mut self,
        caller: &C,
        in_flight: usize,
        length: Duration,
    ) -> Result<f64> {
        let before = system::own_cpu_us();
        let seen = round(vec![caller.clone(); in_flight], length).await?;
        self.cpu_us += system::own_cpu_us().saturating_sub(before);
        self.tally.add(&seen)?;
        Ok(seen.quantile_us(0.5))
    }

    fn cpu_us_per_call(&self) -> f64 {
        float(self.cpu_us) / float(self.tally.calls().max(1))
    }
}

fn bare(upstream: process::Upstream<'_>) -> Result<Bare> {
    let mut tcp = HttpConnector::new();
    tcp.set_nodelay(true);
    let mut builder = Client::builder(TokioExecutor::new());
    builder.pool_timer(TokioTimer::new());
    Ok(Bare {
        client: builder.build(tcp),
        post: run::post(upstream)?,
    })
}

fn ours(upstream: process::Upstream<'_>) -> Result<Ours> {
    let config = LiteLlmConfig::new(upstream.url, upstream.key.to_owned().into())?;
    let client = LiteLlmClient::new(config, CostTracker::new(PriceBook::builtin()))?;
    let call = ModelCall {
        model_alias: "planner".into(),
        runtime_group: run::GROUP.parse()?,
        request: ModelRequest::from_prompt(run::PROMPT),
    };
    Ok(Ours {
        client: Arc::new(client),
        call: Arc::new(call),
    })
}
