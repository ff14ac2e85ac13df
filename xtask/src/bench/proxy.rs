//! The LiteLLM Proxy, with answers of its own making.

use anyhow::Result;
use real_stack::{Environments, LiteLlmProxy, ProxyConfig, ProxyOptions};

use crate::steps;

/// As the proxy starts by default: one worker, no database.
const CONFIG: &str = "\
model_list:
  - model_name: main
    litellm_params:
      model: openai/gpt-4o-mini
      api_key: not-needed
      mock_response: Four.
litellm_settings:
  telemetry: false
general_settings:
  master_key: os.environ/LITELLM_MASTER_KEY
";

pub(super) async fn start(key: &str) -> Result<LiteLlmProxy> {
    let environments = steps::step("setting the LiteLLM Proxy up", || {
        Ok(Environments::ensure(|line| steps::note(line))?)
    })?;
    let options = ProxyOptions {
        config: ProxyConfig::Yaml(CONFIG.to_owned()),
        master_key: key.to_owned(),
        env: Vec::new(),
    };
    let step = steps::Step::begin("starting the LiteLLM Proxy");
    let started = LiteLlmProxy::start(&environments, options).await;
    let started = started.map_err(anyhow::Error::from);
    step.end(&started);
    started
}
