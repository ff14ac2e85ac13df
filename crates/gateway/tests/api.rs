//! The HTTP API over real sockets and a real store; the upstream is the echo or does as it is told.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops where something is missing"
)]

mod support;

use serde_json::json;
use support::upstream::{ANSWER, Upstream};
use support::{GOOD_TASK, Gateway, payload, types};

const ECHO: (&str, &str) = ("OCTOAGENT_LLM_MODE", "echo");

#[tokio::test]
async fn a_message_becomes_a_task_and_the_same_key_finds_it() {
    let gateway = Gateway::start(&[ECHO]).await;
    let (task_id, view) = gateway.run_message("Hello there", "k1", None).await;
    assert_eq!(types(&view), GOOD_TASK);
    assert_eq!(view["task"]["status"], "SUCCEEDED");
    assert_eq!(
        view["artifacts"][0]["parts"][0]["content"],
        "Echo: Hello there"
    );
    let again = gateway
        .post(
            "/api/message",
            &json!({"text": "other", "idempotency_key": "k1"}),
        )
        .await;
    assert_eq!(again.status, 200);
    let again = again.json();
    assert_eq!(
        (again["task_id"].as_str(), &again["created"]),
        (Some(task_id.as_str()), &json!(false))
    );
    gateway.stop().await;
}

#[tokio::test]
async fn bad_input_is_refused_in_one_shape_and_creates_nothing() {
    let gateway = Gateway::start(&[ECHO]).await;
    for (path, body) in [
        ("/api/message", json!({"text": "no key"})),
        ("/api/message", json!({"text": "", "idempotency_key": "k"})),
        ("/api/message", json!([1, 2])),
    ] {
        let answer = gateway.post(path, &body).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.json()["error"]["code"]),
            (422, &json!("VALIDATION_ERROR"))
        );
    }
    for (path, status, code) in [
        ("/api/tasks?status=SLEEPING", 422, "VALIDATION_ERROR"),
        ("/api/tasks/nobody", 404, "TASK_NOT_FOUND"),
        ("/api/tasks/%2e%2e%2fetc", 404, "TASK_NOT_FOUND"),
        ("/api/tasks/nobody/cost", 404, "TASK_NOT_FOUND"),
        ("/api/stream/task/nobody", 404, "TASK_NOT_FOUND"),
        ("/api/costs?group_by=colour", 422, "VALIDATION_ERROR"),
        ("/api/costs?from=soon", 422, "VALIDATION_ERROR"),
        ("/ready?profile=none", 422, "VALIDATION_ERROR"),
        ("/api/nothing", 404, "NOT_FOUND"),
        ("/api/message", 405, "METHOD_NOT_ALLOWED"),
    ] {
        let answer = gateway.get(path).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.json()["error"]["code"]),
            (status, &json!(code)),
            "{path}"
        );
    }
    assert_eq!(
        gateway.get("/api/tasks").await.json(),
        json!({"tasks": [], "has_more": false})
    );
    gateway.stop().await;
}

#[tokio::test]
async fn tasks_are_listed_newest_first_and_by_status() {
    let gateway = Gateway::start(&[ECHO]).await;
    let (first, _) = gateway.run_message("one", "1", None).await;
    let (second, _) = gateway.run_message("two", "2", None).await;
    let ids = |view: serde_json::Value| -> Vec<String> {
        view["tasks"]
            .as_array()
            .unwrap()
            .iter()
            .map(|task| task["task_id"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        ids(gateway.get("/api/tasks").await.json()),
        [second.clone(), first.clone()]
    );
    assert_eq!(
        ids(gateway.get("/api/tasks?status=SUCCEEDED").await.json()),
        [second, first]
    );
    assert!(ids(gateway.get("/api/tasks?status=FAILED").await.json()).is_empty());
    gateway.stop().await;
}

#[tokio::test]
async fn health_always_answers_and_ready_says_what_was_checked() {
    let gateway = Gateway::start(&[ECHO]).await;
    assert_eq!(gateway.get("/health").await.json(), json!({"status": "ok"}));
    for profile in ["", "?profile=core", "?profile=llm", "?profile=full"] {
        let ready = gateway.get(&format!("/ready{profile}")).await;
        assert_eq!(ready.status, 200);
        let ready = ready.json();
        assert_eq!(ready["status"], "ready");
        assert_eq!(ready["checks"]["sqlite"], "ok");
        assert_eq!(ready["checks"]["artifacts_dir"], "ok");
        assert_eq!(ready["checks"]["litellm_proxy"], "skipped");
        assert!(ready["checks"]["disk_space_mb"].is_u64());
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_proxy_that_is_not_there_is_unreachable_for_llm_and_skipped_for_core() {
    let gateway = Gateway::start(&[("LITELLM_PROXY_URL", "http://127.0.0.1:1")]).await;
    let core = gateway.get("/ready").await;
    assert_eq!(
        (
            core.status.as_u16(),
            &core.json()["checks"]["litellm_proxy"]
        ),
        (200, &json!("skipped"))
    );
    let llm = gateway.get("/ready?profile=llm").await;
    assert_eq!(llm.status, 503);
    assert_eq!(llm.json()["status"], "not_ready");
    assert_eq!(llm.json()["checks"]["litellm_proxy"], "unreachable");
    gateway.stop().await;
}

#[tokio::test]
async fn without_a_proxy_a_task_still_ends_and_says_why() {
    let gateway = Gateway::start(&[("LITELLM_PROXY_URL", "http://127.0.0.1:1")]).await;
    let (task_id, view) = gateway.run_message("Anybody?", "k", None).await;
    assert_eq!(view["task"]["status"], "SUCCEEDED");
    let call = payload(&view, "MODEL_CALL_COMPLETED");
    assert_eq!(call["is_fallback"], true);
    assert!(
        call["fallback_reason"]
            .as_str()
            .unwrap()
            .contains("http://127.0.0.1:1"),
        "{call}"
    );
    assert_eq!(
        (&call["cost_usd"], &call["cost_unavailable"]),
        (&json!(0), &json!(false))
    );
    let cost = gateway
        .get(&format!("/api/tasks/{task_id}/cost"))
        .await
        .json();
    assert_eq!(
        (&cost["total"]["calls"], &cost["total"]["fallback_calls"]),
        (&json!(1), &json!(1))
    );
    gateway.stop().await;
}

#[tokio::test]
async fn a_program_gets_an_honest_error_unless_it_allows_the_echo() {
    let gateway = Gateway::start(&[("LITELLM_PROXY_URL", "http://127.0.0.1:1")]).await;
    let body = json!({"model": "planner", "messages": [{"role": "user", "content": "hi"}]});
    let refused = gateway.post("/v1/chat/completions", &body).await;
    assert_eq!(refused.status, 503);
    assert_eq!(refused.json()["error"]["code"], "unreachable");
    assert_eq!(refused.header("x-octo-cost-usd"), Some("0"));
    let task = gateway
        .get(&format!(
            "/api/tasks/{}",
            refused.header("x-octo-task-id").unwrap()
        ))
        .await
        .json();
    assert_eq!(types(&task)[4..], ["MODEL_CALL_FAILED", "STATE_TRANSITION"]);
    let allowed = gateway
        .post_with(
            "/v1/chat/completions",
            &[("x-octo-allow-fallback", "true")],
            &body,
        )
        .await;
    assert_eq!(allowed.status, 200);
    assert_eq!(
        allowed.json()["choices"][0]["message"]["content"],
        "Echo: hi"
    );
    assert_eq!(allowed.header("x-octo-model"), Some("echo"));
    assert!(allowed.header("x-octo-fallback").is_some());
    gateway.stop().await;
}

#[tokio::test]
async fn a_chat_call_passes_both_ways_untouched_with_its_cost_in_headers() {
    let upstream = Upstream::open().await;
    let gateway = Gateway::start(&[("LITELLM_PROXY_URL", &upstream.url())]).await;
    let asked = r#"{"temperature":0.70,"model":"planner","x_new":[1,{"b":2,"a":1}],"messages":[{"role":"user","content":"2+2?"}]}"#;
    let answer = support::client::send(
        gateway.address,
        "POST",
        "/v1/chat/completions",
        &[],
        asked.as_bytes(),
    )
    .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(
        answer.text(),
        ANSWER,
        "the answer is handed back byte for byte"
    );
    assert_eq!(answer.header("x-octo-model"), Some("gpt-4o-mini"));
    assert_eq!(answer.header("x-octo-cost-usd"), Some("0.000006"));
    let sent = String::from_utf8(upstream.last_body.lock().unwrap().to_vec()).unwrap();
    assert_eq!(
        sent,
        r#"{"model":"main","temperature":0.70,"x_new":[1,{"b":2,"a":1}],"messages":[{"role":"user","content":"2+2?"}]}"#
    );
    let task_id = answer.header("x-octo-task-id").unwrap();
    let view = gateway.get(&format!("/api/tasks/{task_id}")).await.json();
    let call = payload(&view, "MODEL_CALL_COMPLETED");
    assert_eq!(
        (&call["model_name"], &call["provider"]),
        (&json!("gpt-4o-mini"), &json!("openai"))
    );
    assert_eq!(call["cost_usd"].to_string(), "0.000006");
    assert_eq!(call["cost_source"], "proxy");
    assert_eq!(call["proxy_call_id"], "0190f0a5");
    gateway.stop().await;
}

#[tokio::test]
async fn v1_refuses_in_the_shape_that_sdks_read() {
    let gateway = Gateway::start(&[ECHO]).await;
    for (body, status, param) in [
        (json!({"messages": []}), 400, json!("model")),
        (
            json!({"model": "planner", "messages": [], "stream": 7}),
            400,
            json!("stream"),
        ),
    ] {
        let answer = gateway.post("/v1/chat/completions", &body).await;
        let error = &answer.json()["error"];
        assert_eq!(
            (answer.status.as_u16(), &error["param"]),
            (status, &param),
            "{error}"
        );
        assert_eq!(error["type"], "invalid_request_error");
        assert!(error["message"].is_string());
    }
    let body = json!({"model": "planner", "messages": []});
    let odd = gateway
        .post_with("/v1/chat/completions", &[("x-octo-task-id", "a b")], &body)
        .await;
    assert_eq!(
        (odd.status.as_u16(), &odd.json()["error"]["code"]),
        (400, &json!("invalid_task_id"))
    );
    for (path, status) in [("/v1/nothing", 404), ("/v1/chat/completions", 405)] {
        let answer = gateway.get(path).await;
        assert_eq!(answer.status.as_u16(), status, "{path}");
        assert!(answer.json()["error"]["type"].is_string());
    }
    let models = gateway.get("/v1/models").await.json();
    let ids: Vec<&str> = models["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["id"].as_str().unwrap())
        .collect();
    assert_eq!(
        ids,
        [
            "cheap",
            "executor",
            "extractor",
            "fallback",
            "main",
            "planner",
            "router",
            "summarizer"
        ]
    );
    gateway.stop().await;
}

#[tokio::test]
async fn with_a_key_only_health_and_readiness_are_open() {
    let gateway = Gateway::start(&[ECHO, ("OCTO_GATEWAY_KEY", "gk-1")]).await;
    for path in ["/api/tasks", "/v1/models", "/api/nothing"] {
        assert_eq!(gateway.get(path).await.status, 401, "{path}");
        for wrong in ["Bearer gk-2", "Bearer ", "gk-1", "Basic gk-1"] {
            let answer = support::client::send(
                gateway.address,
                "GET",
                path,
                &[("authorization", wrong)],
                b"",
            )
            .await;
            assert_eq!(answer.status, 401, "{path} {wrong}");
            assert!(!answer.text().contains("gk-1"));
        }
    }
    let good = support::client::send(
        gateway.address,
        "GET",
        "/v1/models",
        &[("authorization", "Bearer gk-1")],
        b"",
    )
    .await;
    assert_eq!(good.status, 200);
    assert_eq!(gateway.get("/health").await.status, 200);
    assert_eq!(gateway.get("/ready").await.status, 200);
    gateway.stop().await;
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_without_being_read_whole() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("octo.toml");
    std::fs::write(&file, "[server]\nmax_body_bytes = 2000\n").unwrap();
    let environment = gateway::config::Environment::of_pairs([
        (
            "OCTOAGENT_DATA_DIR",
            dir.path().join("data").to_str().unwrap().to_owned(),
        ),
        ("OCTO_LISTEN", "127.0.0.1:0".to_owned()),
        ("OCTOAGENT_LLM_MODE", "echo".to_owned()),
    ]);
    let overrides = gateway::config::Overrides {
        config: Some(file),
        listen: None,
    };
    let config = gateway::config::Config::load(&environment, &overrides).unwrap();
    let gateway = Gateway::start_with(dir, config).await;
    let long = "x".repeat(5000);
    let api = gateway
        .post(
            "/api/message",
            &json!({"text": long, "idempotency_key": "k"}),
        )
        .await;
    assert_eq!(
        (api.status.as_u16(), &api.json()["error"]["code"]),
        (413, &json!("PAYLOAD_TOO_LARGE"))
    );
    let v1 = gateway
        .post(
            "/v1/chat/completions",
            &json!({"model": "planner", "x": long}),
        )
        .await;
    assert_eq!(
        (v1.status.as_u16(), &v1.json()["error"]["code"]),
        (413, &json!("payload_too_large"))
    );
    gateway.stop().await;
}

#[tokio::test]
async fn cancelling_during_a_call_ends_it_and_says_that_the_cost_is_unknown() {
    let upstream = Upstream::closed().await;
    let gateway = Gateway::start(&[("LITELLM_PROXY_URL", &upstream.url())]).await;
    let task_id = gateway.submit("hi", "k", None).await;
    upstream.waiting.acquire().await.unwrap().forget();
    let cancel = format!("/api/tasks/{task_id}/cancel");
    let cancelled = gateway.post(&cancel, &json!({})).await;
    assert_eq!(
        (cancelled.status.as_u16(), &cancelled.json()["status"]),
        (200, &json!("CANCELLED"))
    );
    let view = gateway.get(&format!("/api/tasks/{task_id}")).await.json();
    let failed = payload(&view, "MODEL_CALL_FAILED");
    assert_eq!(
        (&failed["error_type"], &failed["cost_unavailable"]),
        (&json!("cancelled"), &json!(true))
    );
    let again = gateway.post(&cancel, &json!({})).await;
    assert_eq!(
        (again.status.as_u16(), &again.json()["error"]["code"]),
        (409, &json!("TASK_ALREADY_TERMINAL"))
    );
    assert_eq!(
        gateway
            .post("/api/tasks/nobody/cancel", &json!({}))
            .await
            .status,
        404
    );
    gateway.stop().await;
}

#[tokio::test]
async fn costs_add_up_by_every_dimension() {
    let upstream = Upstream::open().await;
    let gateway = Gateway::start(&[("LITELLM_PROXY_URL", &upstream.url())]).await;
    for (key, alias) in [("1", "planner"), ("2", "planner"), ("3", "summarizer")] {
        gateway.run_message("2+2?", key, Some(alias)).await;
    }
    let report = gateway
        .get("/api/costs?group_by=alias,category,model,provider")
        .await
        .json();
    assert_eq!(report["total"]["cost_usd"].to_string(), "0.000018");
    assert_eq!(
        (
            &report["total"]["calls"],
            &report["total"]["calls_without_cost"]
        ),
        (&json!(3), &json!(0))
    );
    let rows = report["rows"].as_array().unwrap();
    let planner = rows.iter().find(|row| row["alias"] == "planner").unwrap();
    assert_eq!(
        (&planner["calls"], &planner["category"], &planner["model"]),
        (&json!(2), &json!("main"), &json!("gpt-4o-mini"))
    );
    assert_eq!(planner["cost_usd"].to_string(), "0.000012");
    let none = gateway
        .get("/api/costs?from=2000-01-01&to=2000-01-02")
        .await
        .json();
    assert_eq!(none["total"]["calls"], 0);
    gateway.stop().await;
}

#[tokio::test]
async fn a_web_page_of_elsewhere_can_not_spend_money_through_the_browser() {
    let gateway = Gateway::start(&[ECHO]).await;
    let body = json!({"model": "planner", "messages": [{"role": "user", "content": "hi"}]});
    let foreign = [
        ("origin", "https://evil.example"),
        ("content-type", "text/plain"),
    ];
    let refused = gateway
        .post_with("/v1/chat/completions", &foreign, &body)
        .await;
    assert_eq!(
        (refused.status.as_u16(), &refused.json()["error"]["code"]),
        (403, &json!("forbidden"))
    );
    let message = json!({"text": "hi", "idempotency_key": "k"});
    let refused = gateway.post_with("/api/message", &foreign, &message).await;
    assert_eq!(
        (refused.status.as_u16(), &refused.json()["error"]["code"]),
        (403, &json!("FORBIDDEN"))
    );
    assert_eq!(gateway.get("/api/tasks").await.json()["tasks"], json!([]));
    gateway.stop().await;
}
