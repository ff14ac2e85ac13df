//! What the clients call: the real LiteLLM Proxy in front of the scripted provider and the local model, and a
//! gateway in front of that proxy.

use real_stack::{Environments, Exchange, LiteLlmProxy, ProxyConfig, ProxyOptions};
use serde_json::{Value, json};

use crate::provider::Provider;
use crate::shared;
use crate::support::Gateway;
use crate::support::client::{Answer, send};

/// Opens the proxy of this test.
const PROXY_KEY: &str = "sk-of-the-proxy";

/// Opens the gateway of this test.
const GATEWAY_KEY: &str = "sk-of-the-gateway";

/// Groups whose model the scripted provider plays, under the same name.
const SCRIPTED: [&str; 26] = [
    "main",
    "chat",
    "tools",
    "parallel",
    "schema",
    "reasoning",
    "refusal",
    "no-usage",
    "embed",
    "unauthorized",
    "invalid",
    "too-long",
    "filtered",
    "missing",
    "limited",
    "broken",
    "overloaded",
    "flaky",
    "flaky-stream",
    "slow",
    "stalls",
    "long",
    "foreign",
    "endless",
    "breaks",
    "cut",
];

/// The same prices for every model, so that a chat of 11 tokens in and 7 out costs exactly 0.000025 USD.
const PRICES: &str = "input_cost_per_token: 0.000001, output_cost_per_token: 0.000002";

/// Where a client is pointed.
pub(crate) struct Target {
    pub(crate) base_url: String,
    pub(crate) key: &'static str,
}

pub(crate) struct Stack {
    pub(crate) provider: Provider,
    proxy: LiteLlmProxy,
    gateway: Gateway,
}

impl Stack {
    pub(crate) async fn start() -> Self {
        let provider = Provider::start().await;
        let environments = tokio::task::spawn_blocking(|| Environments::ensure(|_| {}))
            .await
            .unwrap()
            .unwrap();
        let options = ProxyOptions {
            config: ProxyConfig::Yaml(proxy_config(provider.url())),
            master_key: PROXY_KEY.to_owned(),
            env: vec![
                (
                    "OCTO_LOCAL_MODEL_URL".to_owned(),
                    shared("OCTO_TEST_MODEL_URL"),
                ),
                // `max_retries: 0` does not reach every endpoint: where it gets lost, this is what counts.
                ("DEFAULT_MAX_RETRIES".to_owned(), "0".to_owned()),
            ],
        };
        let proxy = LiteLlmProxy::start(&environments, options).await.unwrap();
        let gateway = gateway_for(&proxy).await;
        let stack = Self {
            provider,
            proxy,
            gateway,
        };
        stack.cool_down().await;
        stack
    }

    /// The proxy itself: what octo has to be as good as.
    pub(crate) fn direct(&self) -> Target {
        Target {
            base_url: format!("{}/v1", self.proxy.url()),
            key: PROXY_KEY,
        }
    }

    pub(crate) fn through_octo(&self) -> Target {
        Target {
            base_url: format!("http://{}/v1", self.gateway.address),
            key: GATEWAY_KEY,
        }
    }

    /// What octo's own API answers, as JSON.
    pub(crate) async fn ask(&self, path: &str) -> Value {
        self.read(path).await.json()
    }

    pub(crate) async fn read(&self, path: &str) -> Answer {
        let key = format!("Bearer {GATEWAY_KEY}");
        let headers = [("authorization", key.as_str())];
        let answer = send(self.gateway.address, "GET", path, &headers, b"").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer
    }

    pub(crate) async fn stop(mut self) {
        self.gateway.stop().await;
        self.proxy.stop().await.unwrap();
    }

    /// After one 429 the proxy gives the group `cooled` a rest, and says from then on how long it takes. It
    /// never hands on a provider's own `Retry-After`.
    async fn cool_down(&self) {
        let body = json!({"model": "cooled", "messages": [{"role": "user", "content": "Hello?"}]});
        let url = format!("{}/v1/chat/completions", self.proxy.url());
        let exchange = Exchange::post(url, body.to_string()).bearer(PROXY_KEY);
        assert_eq!(exchange.send().await.unwrap().status, 429);
        self.provider.take_seen();
    }
}

/// No retries, no fallbacks, and no group that takes a rest but the one that is meant to: otherwise what a
/// case sees depends on the cases before it.
fn proxy_config(provider: &str) -> String {
    let scripted = |group: &str, parameters: &str| {
        format!(
            "  - model_name: {group}\n    litellm_params: {{{parameters}, api_base: \"{provider}\", api_key: sk-of-the-provider, max_retries: 0, {PRICES}}}\n"
        )
    };
    let mut models: String = SCRIPTED
        .iter()
        .map(|group| scripted(group, &format!("model: openai/{group}")))
        .collect();
    // The proxy keeps `metadata` to itself, and `user` unless it is told otherwise.
    models += &scripted(
        "fields",
        "model: openai/fields, allowed_openai_params: [user]",
    );
    // A provider without `/v1/responses`: the proxy makes chats of them.
    models += &scripted("bridged", "model: custom_openai/chat");
    models += &scripted("cooled", "model: openai/cooled");
    models += "    model_info: {allowed_fails_policy: {RateLimitErrorAllowedFails: 0}, cooldown_time: 600}\n";
    models += OTHERS;
    format!("model_list:\n{models}{SETTINGS}")
}

/// A group with nobody behind it (the port of a service that nothing runs), and one with a real model.
const OTHERS: &str = r#"
  - model_name: nobody
    litellm_params: {model: openai/nobody, api_base: "http://127.0.0.1:9/v1", api_key: none, max_retries: 0}
  - model_name: local
    litellm_params:
      model: openai/gemma-3-270m
      api_base: os.environ/OCTO_LOCAL_MODEL_URL
      api_key: none
      input_cost_per_token: 0.0000001
      output_cost_per_token: 0.0000004
"#;

const SETTINGS: &str = "
router_settings:
  num_retries: 0
  allowed_fails: 1000000
litellm_settings:
  request_timeout: 25
  telemetry: false
general_settings:
  master_key: os.environ/LITELLM_MASTER_KEY
";

/// Every group is an alias of its own name.
fn gateway_config() -> String {
    let others = ["fields", "cooled", "bridged", "nobody", "local"];
    SCRIPTED
        .iter()
        .chain(&others)
        .map(|group| {
            format!("[[alias]]\nname = \"{group}\"\ncategory = \"main\"\nruntime_group = \"{group}\"\ndescription = \"\"\n")
        })
        .collect()
}

/// Prices for streams that end before the proxy says what they cost. They are the proxy's own.
fn gateway_prices() -> String {
    ["breaks", "cut", "stalls", "endless"]
        .map(|model| {
            format!(
                "[models.\"openai/{model}\"]\ninput_per_million = 1.0\noutput_per_million = 2.0\n"
            )
        })
        .concat()
}

async fn gateway_for(proxy: &LiteLlmProxy) -> Gateway {
    let dir = tempfile::tempdir().unwrap();
    let settings = dir.path().join("octo.toml");
    let prices = dir.path().join("prices.toml");
    std::fs::write(&prices, gateway_prices()).unwrap();
    let config = format!("[cost]\nprices = {prices:?}\n{}", gateway_config());
    std::fs::write(&settings, config).unwrap();
    let data = dir.path().to_str().unwrap().to_owned();
    let environment = gateway::config::Environment::of_pairs([
        ("OCTOAGENT_DATA_DIR", data),
        ("OCTO_LISTEN", "127.0.0.1:0".to_owned()),
        ("OCTO_GATEWAY_KEY", GATEWAY_KEY.to_owned()),
        ("LITELLM_PROXY_URL", proxy.url()),
        ("LITELLM_PROXY_KEY", PROXY_KEY.to_owned()),
    ]);
    let overrides = gateway::config::Overrides {
        config: Some(settings),
        listen: None,
    };
    let config = gateway::config::Config::load(&environment, &overrides).unwrap();
    Gateway::start_with(dir, config).await
}
