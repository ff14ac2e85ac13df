//! On the real parts: a LiteLLM Proxy and a local language model.
//!
//! `cargo xtask test` (or `cargo xtask integration`) sets them up, starts the shared ones, and says in
//! the environment where they are. What a test stops or configures in its own way, it starts itself.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops where something is missing"
)]

mod support;

use std::io::Write;
use std::process::Stdio;

use real_stack::{Environments, LiteLlmProxy, ProxyConfig, ProxyOptions};
use serde_json::{Value, json};
use support::{GOOD_TASK, Gateway, payload, types};

const KEY: &str = "sk-test-of-this-run";

/// Where a shared part is; without it, how to get it.
fn shared(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: the real parts are missing. Run `cargo xtask test`, or `cargo xtask integration` for these tests alone"))
}

/// A gateway in front of the shared proxy.
async fn on_shared_proxy(more: &[(&str, &str)]) -> Gateway {
    let (url, key) = (shared("OCTO_TEST_PROXY_URL"), shared("OCTO_TEST_PROXY_KEY"));
    let mut settings = vec![
        ("LITELLM_PROXY_URL", url.as_str()),
        ("LITELLM_PROXY_KEY", key.as_str()),
    ];
    settings.extend(more);
    Gateway::start(&settings).await
}

/// A proxy of the test's own, with groups of its own.
async fn own_proxy(models: &str) -> LiteLlmProxy {
    let environments = tokio::task::spawn_blocking(|| Environments::ensure(|_| {}))
        .await
        .unwrap()
        .unwrap();
    let config = format!(
        "model_list:\n{models}\nlitellm_settings:\n  telemetry: false\ngeneral_settings:\n  master_key: os.environ/LITELLM_MASTER_KEY\n"
    );
    let options = ProxyOptions {
        config: ProxyConfig::Yaml(config),
        master_key: KEY.to_owned(),
        env: vec![(
            "OCTO_LOCAL_MODEL_URL".to_owned(),
            shared("OCTO_TEST_MODEL_URL"),
        )],
    };
    LiteLlmProxy::start(&environments, options).await.unwrap()
}

async fn gateway_for(proxy: &LiteLlmProxy, more: &[(&str, &str)]) -> Gateway {
    let url = proxy.url();
    let mut settings = vec![
        ("LITELLM_PROXY_URL", url.as_str()),
        ("LITELLM_PROXY_KEY", KEY),
    ];
    settings.extend(more);
    Gateway::start(&settings).await
}

/// A group that answers without a model behind it.
fn mocked(group: &str, model: &str, response: &str, more: &str) -> String {
    format!(
        "  - model_name: {group}\n    litellm_params: {{model: {model}, api_key: none, mock_response: \"{response}\"{more}}}\n"
    )
}

fn completed(view: &Value) -> &Value {
    payload(view, "MODEL_CALL_COMPLETED")
}

#[tokio::test]
async fn an_alias_reaches_its_group_and_the_model_behind_it() {
    let gateway = on_shared_proxy(&[]).await;
    let mut models = Vec::new();
    for (alias, group) in [("planner", "main"), ("summarizer", "cheap")] {
        let (_, view) = gateway
            .run_message("Say one word.", alias, Some(alias))
            .await;
        assert_eq!(types(&view), GOOD_TASK, "{view}");
        let call = completed(&view);
        assert_eq!(
            (&call["model_alias"], &call["runtime_group"]),
            (&json!(alias), &json!(group))
        );
        assert_eq!(
            (&call["provider"], &call["is_fallback"]),
            (&json!("openai"), &json!(false))
        );
        let usage = &call["token_usage"];
        let count = |field: &str| usage[field].as_u64().unwrap();
        assert!(
            count("prompt_tokens") > 0 && count("completion_tokens") > 0,
            "{usage}"
        );
        assert_eq!(
            count("prompt_tokens") + count("completion_tokens"),
            count("total_tokens")
        );
        assert_eq!(
            (&call["cost_source"], &call["cost_unavailable"]),
            (&json!("proxy"), &json!(false))
        );
        assert!(call["cost_usd"].as_f64().unwrap() > 0.0, "{call}");
        models.push(call["model_name"].as_str().unwrap().to_owned());
    }
    assert_eq!(
        models,
        ["gemma-3-270m-main", "gemma-3-270m"],
        "two groups, two models told apart"
    );
    gateway.stop().await;
}

#[tokio::test]
async fn a_program_gets_the_models_answer_with_its_cost() {
    let gateway = on_shared_proxy(&[]).await;
    let body = json!({"model": "router", "messages": [{"role": "user", "content": "Say hi."}], "max_tokens": 8, "seed": 7});
    let answer = gateway
        .post_with(
            "/v1/chat/completions",
            &[("x-octo-task-id", "run-1")],
            &body,
        )
        .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("x-octo-model"), Some("gemma-3-270m"));
    assert!(
        answer.json()["usage"]["completion_tokens"]
            .as_u64()
            .unwrap()
            <= 8,
        "max_tokens passed through"
    );
    let cost = gateway.get("/api/tasks/run-1/cost").await.json();
    let header: Value = serde_json::from_str(answer.header("x-octo-cost-usd").unwrap()).unwrap();
    assert_eq!(cost["total"]["cost_usd"], header);
    assert_eq!(
        gateway.get("/ready?profile=llm").await.json()["checks"]["litellm_proxy"],
        "ok"
    );
    gateway.stop().await;
}

#[tokio::test]
async fn the_price_book_fills_in_and_what_nobody_can_price_is_unavailable() {
    let proxy = own_proxy(
        &[
            // Priced by the proxy, and by our book.
            mocked("main", "openai/gpt-4o-mini", "Four.", ""),
            // Nobody has a price for it.
            mocked("cheap", "openai/no-such-model-9", "Four.", ""),
        ]
        .concat(),
    )
    .await;
    let gateway = gateway_for(&proxy, &[]).await;
    let (_, priced) = gateway.run_message("2+2?", "1", Some("planner")).await;
    let call = completed(&priced);
    assert_eq!(
        (&call["model_name"], &call["cost_source"]),
        (&json!("gpt-4o-mini"), &json!("proxy"))
    );
    assert!(call["cost_usd"].as_f64().unwrap() > 0.0);
    assert!(
        call.get("cost_drift").is_none(),
        "the proxy and our book agree: {call}"
    );
    let (task_id, unpriced) = gateway.run_message("2+2?", "2", Some("router")).await;
    let call = completed(&unpriced);
    assert_eq!(
        (&call["cost_usd"], &call["cost_unavailable"]),
        (&json!(0), &json!(true)),
        "{call}"
    );
    assert!(
        call["cost_unavailable_reason"]
            .as_str()
            .unwrap()
            .contains("no-such-model-9"),
        "{call}"
    );
    let cost = gateway
        .get(&format!("/api/tasks/{task_id}/cost"))
        .await
        .json();
    assert_eq!(cost["total"]["calls_without_cost"], 1);
    let dir = gateway.stop().await;
    // The user's own price for it makes the next call exact.
    let (prices, settings) = (dir.path().join("prices.toml"), dir.path().join("octo.toml"));
    std::fs::write(
        &prices,
        "[models.\"openai/no-such-model-9\"]\ninput_per_million = 1.0\noutput_per_million = 2.0\n",
    )
    .unwrap();
    std::fs::write(&settings, format!("[cost]\nprices = {prices:?}\n")).unwrap();
    let pairs = [
        (
            "OCTOAGENT_DATA_DIR",
            dir.path().to_str().unwrap().to_owned(),
        ),
        ("OCTO_LISTEN", "127.0.0.1:0".to_owned()),
        ("LITELLM_PROXY_URL", proxy.url()),
        ("LITELLM_PROXY_KEY", KEY.to_owned()),
    ];
    let environment = gateway::config::Environment::of_pairs(pairs);
    let overrides = gateway::config::Overrides {
        config: Some(settings),
        listen: None,
    };
    let config = gateway::config::Config::load(&environment, &overrides).unwrap();
    let gateway = Gateway::start_with(dir, config).await;
    let (_, own_price) = gateway.run_message("2+2?", "3", Some("router")).await;
    let call = completed(&own_price);
    assert_eq!(
        (&call["cost_source"], &call["cost_unavailable"]),
        (&json!("override"), &json!(false)),
        "{call}"
    );
    let usage = &call["token_usage"];
    let exact =
        usage["prompt_tokens"].as_u64().unwrap() + 2 * usage["completion_tokens"].as_u64().unwrap();
    let exact: event_payloads::Usd = format!("{exact}e-6").parse().unwrap();
    assert_eq!(call["cost_usd"].to_string(), exact.to_string());
    gateway.stop().await;
}

#[tokio::test]
async fn when_the_proxy_stops_tasks_still_end_and_when_it_is_back_the_next_call_is_real() {
    let mut proxy = own_proxy(&mocked("main", "openai/gpt-4o-mini", "Real.", "")).await;
    let gateway = gateway_for(&proxy, &[]).await;
    let text = |view: &Value| {
        view["artifacts"][0]["parts"][0]["content"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let (_, before) = gateway.run_message("hi", "1", None).await;
    assert_eq!(text(&before), "Real.");

    proxy.kill().unwrap();
    let (_, gone) = gateway.run_message("hi", "2", None).await;
    assert_eq!(
        (&gone["task"]["status"], text(&gone).as_str()),
        (&json!("SUCCEEDED"), "Echo: hi")
    );
    assert_eq!(types(&gone), GOOD_TASK);
    let call = completed(&gone);
    assert_eq!(
        (&call["is_fallback"], &call["model_name"]),
        (&json!(true), &json!("echo"))
    );
    assert!(
        call["fallback_reason"]
            .as_str()
            .unwrap()
            .contains("LITELLM_PROXY_URL"),
        "{call}"
    );
    let ready = gateway.get("/ready?profile=llm").await;
    assert_eq!(
        (
            ready.status.as_u16(),
            &ready.json()["checks"]["litellm_proxy"]
        ),
        (503, &json!("unreachable"))
    );
    assert_eq!(
        gateway.get("/ready").await.status,
        200,
        "the core does not need the proxy"
    );

    proxy.restart().await.unwrap();
    let (_, back) = gateway.run_message("hi", "3", None).await;
    assert_eq!(
        (text(&back).as_str(), &completed(&back)["is_fallback"]),
        ("Real.", &json!(false))
    );
    assert_eq!(gateway.get("/ready?profile=full").await.status, 200);
    gateway.stop().await;
    proxy.stop().await.unwrap();
}

#[tokio::test]
async fn a_wrong_key_is_said_and_is_not_ok() {
    let gateway = on_shared_proxy(&[("LITELLM_PROXY_KEY", "sk-wrong")]).await;
    let ready = gateway.get("/ready?profile=llm").await;
    assert_eq!(ready.status, 503);
    let check = ready.json()["checks"]["litellm_proxy"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        check.starts_with("error: ") && check.contains("LITELLM_PROXY_KEY"),
        "{check}"
    );
    let (_, view) = gateway.run_message("hi", "1", None).await;
    let call = completed(&view);
    assert_eq!(call["is_fallback"], true);
    assert!(
        call["fallback_reason"]
            .as_str()
            .unwrap()
            .contains("rejects our key"),
        "{call}"
    );
    assert!(
        !view.to_string().contains("sk-wrong"),
        "no key in any event"
    );
    let body = json!({"model": "planner", "messages": [{"role": "user", "content": "hi"}]});
    let refused = gateway.post("/v1/chat/completions", &body).await;
    assert_eq!(
        (refused.status.as_u16(), &refused.json()["error"]["code"]),
        (502, &json!("key_rejected"))
    );
    gateway.stop().await;
}

#[tokio::test]
async fn the_callers_own_errors_are_not_hidden_by_an_echo() {
    let models = [
        mocked(
            "main",
            "openai/gpt-4o-mini",
            "litellm.ContextWindowExceededError",
            "",
        ),
        mocked("cheap", "openai/gpt-4o-mini", "litellm.RateLimitError", ""),
        mocked(
            "fallback",
            "openai/gpt-4o-mini",
            "litellm.InternalServerError",
            "",
        ),
    ];
    let proxy = own_proxy(&models.concat()).await;
    let gateway = gateway_for(&proxy, &[]).await;
    let (_, view) = gateway
        .run_message("much too long", "1", Some("planner"))
        .await;
    assert_eq!(view["task"]["status"], "FAILED");
    assert_eq!(
        types(&view)[3..],
        [
            "MODEL_CALL_STARTED",
            "MODEL_CALL_FAILED",
            "STATE_TRANSITION"
        ]
    );
    assert_eq!(
        payload(&view, "MODEL_CALL_FAILED")["error_type"],
        "context_window_exceeded"
    );
    for (alias, kind) in [("router", "429"), ("fallback", "500")] {
        let (_, view) = gateway.run_message("hi", alias, Some(alias)).await;
        let call = completed(&view);
        assert_eq!(
            call["is_fallback"], true,
            "the upstream's failure is not the caller's fault"
        );
        assert!(
            call["fallback_reason"].as_str().unwrap().contains(kind),
            "{call}"
        );
    }
    let chat = |model: &str, messages: Value| json!({"model": model, "messages": messages});
    let user = json!([{"role": "user", "content": "hi"}]);
    for (body, status, code) in [
        (
            chat("planner", user.clone()),
            400,
            "context_length_exceeded",
        ),
        (chat("router", user), 429, "rate_limit_exceeded"),
        (
            chat("fallback", json!([{"role": "user", "content": "hi"}])),
            502,
            "upstream_error",
        ),
    ] {
        let allowed = [(
            "x-octo-allow-fallback",
            if status == 400 { "true" } else { "false" },
        )];
        let answer = gateway
            .post_with("/v1/chat/completions", &allowed, &body)
            .await;
        assert_eq!(
            (answer.status.as_u16(), &answer.json()["error"]["code"]),
            (status, &json!(code)),
            "{answer:?}"
        );
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_fallback_inside_the_proxy_is_recognised() {
    let models = [
        "  - model_name: main\n    litellm_params: {model: openai/gone, api_key: none, api_base: \"http://127.0.0.1:1/v1\"}\n".to_owned(),
        mocked("spare", "openai/gpt-4o-mini", "From the spare.", ""),
        "router_settings:\n  num_retries: 0\n  fallbacks: [{main: [spare]}]\n".to_owned(),
    ];
    let proxy = own_proxy(&models.concat()).await;
    let gateway = gateway_for(&proxy, &[]).await;
    let (_, view) = gateway.run_message("hi", "1", Some("planner")).await;
    let call = completed(&view);
    assert_eq!(
        (&call["is_fallback"], &call["attempted_fallbacks"]),
        (&json!(false), &json!(1)),
        "{call}"
    );
    assert_eq!(
        (&call["model_name"], &call["response_summary"]),
        (&json!("gpt-4o-mini"), &json!("From the spare."))
    );
    assert!(call["cost_usd"].as_f64().unwrap() > 0.0, "{call}");
    gateway.stop().await;
}

#[tokio::test]
async fn real_events_satisfy_the_schemas_in_another_language() {
    let gateway = on_shared_proxy(&[]).await;
    let (_, good) = gateway
        .run_message("Say one word.", "1", Some("summarizer"))
        .await;
    gateway
        .post("/v1/chat/completions", &json!({"model": "planner"}))
        .await;
    let failed = gateway.get("/api/tasks?status=FAILED").await.json();
    let failed = failed["tasks"][0]["task_id"].as_str().unwrap().to_owned();
    let failed = gateway.get(&format!("/api/tasks/{failed}")).await.json();
    assert_eq!(
        payload(&failed, "MODEL_CALL_FAILED")["error_type"],
        "invalid_request"
    );
    gateway.stop().await;
    let events: Vec<&Value> = [&good, &failed]
        .into_iter()
        .flat_map(|view| view["events"].as_array().unwrap())
        .collect();
    let script = real_stack::workspace_root().join("xtask/python/validate_events.py");
    let mut python = std::process::Command::new(shared("OCTO_TEST_PYTHON"))
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    python
        .stdin
        .take()
        .unwrap()
        .write_all(&serde_json::to_vec(&events).unwrap())
        .unwrap();
    let checked = python.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&checked.stdout).into_owned()
        + &String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success(), "{said}");
}
