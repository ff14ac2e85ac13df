//! The real proxy and the real model, from nothing to one answer and back to nothing.

use std::path::{Path, PathBuf};

use real_stack::{
    Environments, Exchange, LiteLlmProxy, LocalModel, ProxyConfig, ProxyOptions, workspace_root,
};

const KEY: &str = "sk-only-for-this-test";

fn is_there(process: u32) -> bool {
    rustix::process::Pid::from_raw(process.cast_signed())
        .is_some_and(|process| rustix::process::test_kill_process(process).is_ok())
}

fn options(model: &LocalModel) -> ProxyOptions {
    let config: PathBuf = workspace_root().join(Path::new("config/litellm-local.yaml"));
    ProxyOptions {
        config: ProxyConfig::File(config),
        master_key: KEY.to_owned(),
        env: vec![("OCTO_LOCAL_MODEL_URL".to_owned(), model.url())],
    }
}

fn ask(proxy: &LiteLlmProxy, group: &str) -> Exchange {
    let body = format!(
        r#"{{"model": "{group}", "max_tokens": 8, "messages": [{{"role": "user", "content": "Hello"}}]}}"#
    );
    Exchange::post(format!("{}/v1/chat/completions", proxy.url()), body).bearer(proxy.key())
}

#[tokio::test]
async fn a_real_answer_names_its_model_and_its_cost_and_nothing_is_left_behind() {
    let environments = Environments::ensure(|step| println!("{step}")).unwrap();
    let model = LocalModel::start(&environments).await.unwrap();
    let mut proxy = LiteLlmProxy::start(&environments, options(&model))
        .await
        .unwrap();

    for (group, name) in [
        ("cheap", "openai/gemma-3-270m"),
        ("main", "openai/gemma-3-270m-main"),
    ] {
        let answer = ask(&proxy, group).send().await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("x-litellm-model-name"), Some(name));
        let cost: f64 = answer
            .header("x-litellm-response-cost")
            .unwrap()
            .parse()
            .unwrap();
        assert!(cost > 0.0);
        assert_eq!(answer.json()["model"], group);
        assert!(
            answer.json()["usage"]["completion_tokens"]
                .as_u64()
                .unwrap()
                > 0
        );
    }

    proxy.kill().unwrap();
    assert!(ask(&proxy, "cheap").send().await.is_err());
    let (url, killed) = (proxy.url(), proxy.process_id());
    proxy.restart().await.unwrap();
    assert_eq!(proxy.url(), url);
    assert_eq!(ask(&proxy, "cheap").send().await.unwrap().status, 200);

    let processes = [killed, proxy.process_id(), model.process_id()];
    proxy.stop().await.unwrap();
    drop(model);
    assert_eq!(processes.map(is_there), [false, false, false]);
}
