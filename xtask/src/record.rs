//! `cargo xtask record`: real exchanges with the real proxy, kept as fixtures for the tests of the client.

mod takes;
mod upstream;

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use real_stack::{
    Answer, Environments, Exchange, LiteLlmProxy, LocalModel, ProxyConfig, ProxyOptions,
    workspace_root,
};
use serde_json::{Value, json};

use crate::steps::{note, step};
use takes::{As, Take, long_stream, takes};
use upstream::Upstream;

const FOLDER: &str = "crates/provider-litellm/tests/fixtures/recorded";

/// Opens only the proxy of this run. It is long enough to be found should it ever reach a fixture.
const KEY: &str = "sk-octo-recording-0000000000000000";

/// How long a stream runs before its model is killed.
const BEFORE_THE_KILL: Duration = Duration::from_secs(1);

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
            let upstream = Upstream::start().await?;
            let mut model = LocalModel::start(&environments).await?;
            let options = ProxyOptions {
                config: ProxyConfig::Yaml(include_str!("record/litellm.yaml").to_owned()),
                master_key: KEY.to_owned(),
                env: vec![
                    ("OCTO_LOCAL_MODEL_URL".to_owned(), model.url()),
                    ("OCTO_SCRIPTED_URL".to_owned(), upstream.url().to_owned()),
                ],
            };
            let mut proxy = LiteLlmProxy::start(&environments, options).await?;
            let outcome = record(&proxy, &mut model).await;
            proxy.stop().await?;
            model.stop().await?;
            outcome
        })
}

async fn record(proxy: &LiteLlmProxy, model: &mut LocalModel) -> Result<()> {
    let folder = workspace_root().join(FOLDER);
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for take in takes() {
        let answer = send(proxy, &take).await?;
        keep(&folder, &take, &answer)?;
    }
    let take = long_stream();
    let (answer, killed) = tokio::join!(send(proxy, &take), async {
        tokio::time::sleep(BEFORE_THE_KILL).await;
        model.kill()
    });
    killed?;
    keep(&folder, &take, &answer?)
}

async fn send(proxy: &LiteLlmProxy, take: &Take) -> Result<Answer> {
    let url = format!("{}{}", proxy.url(), take.path);
    let exchange = match &take.body {
        Some(body) => Exchange::post(url, body.clone()),
        None => Exchange::get(url),
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

fn keep(folder: &Path, take: &Take, answer: &Answer) -> Result<()> {
    let status = answer.status.as_u16();
    if status != take.status {
        note(format!(
            "{}: {status}, where {} was measured before",
            take.name, take.status
        ));
    }
    write(folder, take.name, answer)?;
    note(format!("{}: {status}", take.name));
    Ok(())
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
