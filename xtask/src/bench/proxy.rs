//! The LiteLLM Proxy, with answers of its own making or those of the stand-in upstream.

use anyhow::Result;
use real_stack::{Environments, Exchange, LiteLlmProxy, ProxyConfig, ProxyOptions};

use super::process::Upstream;
use super::run::{KEY, post};
use crate::steps;

/// As the proxy starts by default: one worker, no database.
const SETTINGS: &str = "\
litellm_settings:
  telemetry: false
general_settings:
  master_key: os.environ/LITELLM_MASTER_KEY
";

/// It opens 500 connections to a host by default, and lets further calls wait.
const CONNECTIONS_OF_A_HOST: &str = "AIOHTTP_CONNECTOR_LIMIT_PER_HOST";

/// One that makes its answer itself.
pub(super) async fn start_mocking() -> Result<LiteLlmProxy> {
    start(config("mock_response: Four."), Vec::new()).await
}

/// One that asks the stand-in upstream, as it would ask a provider, on as many connections at once.
pub(super) async fn start_before(upstream: &str, connections: usize) -> Result<LiteLlmProxy> {
    let config = config(&format!("api_base: {upstream}/v1"));
    let connections = (CONNECTIONS_OF_A_HOST.to_owned(), connections.to_string());
    start(config, vec![connections]).await
}

fn config(answer: &str) -> String {
    format!(
        "\
model_list:
  - model_name: main
    litellm_params:
      model: openai/gpt-4o-mini
      api_key: not-needed
      {answer}
{SETTINGS}"
    )
}

async fn start(config: String, env: Vec<(String, String)>) -> Result<LiteLlmProxy> {
    let environments = steps::step("setting the LiteLLM Proxy up", || {
        Ok(Environments::ensure(|line| steps::note(line))?)
    })?;
    let options = ProxyOptions {
        config: ProxyConfig::Yaml(config),
        master_key: KEY.to_owned(),
        env,
    };
    let step = steps::Step::begin("starting the LiteLLM Proxy");
    let started = LiteLlmProxy::start(&environments, options).await;
    let started = started.map_err(anyhow::Error::from);
    step.end(&started);
    started
}

/// As the proxy itself says, beside an answer.
pub(super) async fn version(proxy: &LiteLlmProxy) -> Result<Option<String>> {
    let call = post(Upstream {
        url: &proxy.url(),
        key: KEY,
    })?;
    let answer = Exchange::post(call.uri.to_string(), call.body)
        .bearer(KEY)
        .send()
        .await?;
    Ok(answer.header("x-litellm-version").map(str::to_owned))
}
