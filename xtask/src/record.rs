//! `cargo xtask record`: real exchanges with the real proxy, kept as fixtures for the tests of the client.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use real_stack::{
    Answer, Environments, Exchange, LiteLlmProxy, LocalModel, ProxyConfig, ProxyOptions,
    workspace_root,
};
use serde_json::{Value, json};

use crate::steps::{note, step};

const FOLDER: &str = "crates/provider-litellm/tests/fixtures/recorded";

/// Opens only the proxy of this run. It is long enough to be found should it ever reach a fixture.
const KEY: &str = "sk-octo-recording-0000000000000000";

/// How an exchange is sent, apart from its body.
enum As {
    Owner,
    Stranger,
    Nobody,
}

/// One exchange, and the status that LITELLM-WIRE says it has.
struct Take {
    name: &'static str,
    sent_as: As,
    ask: Ask,
    status: u16,
}

enum Ask {
    Get(&'static str),
    Chat(String),
}

/// Records all of them.
pub(crate) fn run() -> Result<()> {
    let environments = step("set up LiteLLM Proxy and the local model", || {
        Ok(Environments::ensure(|line| note(line))?)
    })?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime
        .context("cannot start the runtime")?
        .block_on(async {
            let mut model = LocalModel::start(&environments).await?;
            let options = ProxyOptions {
                config: ProxyConfig::Yaml(include_str!("record/litellm.yaml").to_owned()),
                master_key: KEY.to_owned(),
                env: vec![("OCTO_LOCAL_MODEL_URL".to_owned(), model.url())],
            };
            let mut proxy = LiteLlmProxy::start(&environments, options).await?;
            let outcome = record(&proxy).await;
            proxy.stop().await?;
            model.stop().await?;
            outcome
        })
}

async fn record(proxy: &LiteLlmProxy) -> Result<()> {
    let folder = workspace_root().join(FOLDER);
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for take in takes() {
        let answer = send(proxy, &take).await?;
        let status = answer.status.as_u16();
        if status != take.status {
            note(format!(
                "{}: {status}, where {} was measured before",
                take.name, take.status
            ));
        }
        write(&folder, take.name, &answer)?;
        note(format!("{}: {status}", take.name));
    }
    Ok(())
}

fn takes() -> Vec<Take> {
    let chat = |name, group, status| Take {
        name,
        sent_as: As::Owner,
        ask: Ask::Chat(question(group)),
        status,
    };
    let refused = |name, sent_as, status| Take {
        name,
        sent_as,
        ask: Ask::Chat(question("cheap")),
        status,
    };
    let sent = |name, body: String| Take {
        name,
        sent_as: As::Owner,
        ask: Ask::Chat(body),
        status: 400,
    };
    let list = |name, path| Take {
        name,
        sent_as: As::Owner,
        ask: Ask::Get(path),
        status: 200,
    };
    vec![
        chat("completed", "cheap", 200),
        chat("completed-again", "cheap", 200),
        chat("unpriced", "unpriced", 200),
        chat("mocked", "mocked", 200),
        chat("proxy-side-fallback", "down-with-spare", 200),
        refused("wrong-key", As::Stranger, 400),
        refused("no-key", As::Nobody, 500),
        chat("unknown-model", "no-such-group", 400),
        sent("no-messages", json!({"model": "cheap"}).to_string()),
        sent("not-json", "{\"model\": ".to_owned()),
        chat("rate-limited", "rate-limited", 429),
        chat("internal-server-error", "broken", 500),
        chat("context-window-exceeded", "too-long", 400),
        chat("timeout", "slow", 408),
        chat("upstream-down", "down", 500),
        list("models", "/v1/models"),
        list("model-info", "/model/info"),
        list("liveliness", "/health/liveliness"),
        list("readiness", "/health/readiness"),
    ]
}

fn question(group: &str) -> String {
    let text =
        "The capital of France is a city that people from all over the world know. Its name is";
    let message = json!({"role": "user", "content": text});
    json!({"model": group, "messages": [message], "max_tokens": 16, "temperature": 0}).to_string()
}

async fn send(proxy: &LiteLlmProxy, take: &Take) -> Result<Answer> {
    let exchange = match &take.ask {
        Ask::Get(path) => Exchange::get(format!("{}{path}", proxy.url())),
        Ask::Chat(body) => {
            Exchange::post(format!("{}/v1/chat/completions", proxy.url()), body.clone())
        }
    };
    let exchange = match take.sent_as {
        As::Owner => exchange.bearer(KEY),
        As::Stranger => exchange.bearer("sk-wrong"),
        As::Nobody => exchange,
    };
    exchange
        .send()
        .await
        .with_context(|| format!("recording {}", take.name))
}

fn write(folder: &Path, name: &str, answer: &Answer) -> Result<()> {
    let headers = answer.headers.iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes());
        json!([name.as_str(), value])
    });
    let fixture = json!({
        "status": answer.status.as_u16(),
        "headers": headers.collect::<Vec<Value>>(),
        "body": answer.text(),
    });
    let mut text = serde_json::to_string_pretty(&fixture)?;
    text.push('\n');
    ensure!(
        !text.contains(KEY),
        "the answer to {name} holds the proxy's key: not written"
    );
    let home = workspace_root().display().to_string();
    ensure!(
        !text.contains(&home),
        "the answer to {name} holds a path of this machine: not written"
    );
    let path = folder.join(format!("{name}.json"));
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
}
