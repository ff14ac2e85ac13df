//! Streams under `/v1`: what a program gets, and what the books say, whatever happens on the way.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops where something is missing"
)]

mod support;

use serde_json::{Value, json};
use support::sse::{SseAnswer, open};
use support::upstream::PIECES;
use support::writer::{Pen, Writer};
use support::{GOOD_TASK, Gateway, payload, types};

const CHAT: &str = "/v1/chat/completions";

fn question() -> Value {
    json!({"model": "planner", "stream": true, "messages": [{"role": "user", "content": "2+2?"}]})
}

async fn gateway_for(writer: &Writer) -> Gateway {
    Gateway::start(&[("LITELLM_PROXY_URL", &writer.url())]).await
}

/// A stream of which the first piece has been read.
async fn begun(gateway: &Gateway, writer: &mut Writer) -> (SseAnswer, Pen) {
    let (address, question) = (gateway.address, question());
    let asking = open(address, CHAT, &[("te", "trailers")], &question);
    let writing = async {
        let pen = writer.call().await.stream();
        pen.write(PIECES[1]).await;
        pen
    };
    let (mut answer, pen) = tokio::join!(asking, writing);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.next().await.as_deref(), Some(PIECES[1]));
    (answer, pen)
}

/// The task of an answer, once it has ended.
async fn ended(gateway: &Gateway, answer: &SseAnswer) -> Value {
    let task_id = answer.header("x-octo-task-id").unwrap();
    // The stream of a task ends with it.
    gateway.get(&format!("/api/stream/task/{task_id}")).await;
    gateway.get(&format!("/api/tasks/{task_id}")).await.json()
}

#[tokio::test]
async fn a_stream_comes_as_it_is_written_and_its_books_are_closed_before_its_end() {
    let mut writer = Writer::start().await;
    let gateway = gateway_for(&writer).await;
    let (mut answer, pen) = begun(&gateway, &mut writer).await;
    assert_eq!(
        answer.header("content-type"),
        Some("text/event-stream; charset=utf-8")
    );
    assert_eq!(answer.header("x-octo-model"), Some("gpt-4o-mini"));
    assert_eq!(answer.header("x-octo-cost-usd"), None, "nobody knows yet");
    for piece in &PIECES[2..] {
        pen.write(piece).await;
    }
    pen.write("[DONE]").await;
    for piece in &PIECES[2..4] {
        assert_eq!(answer.next().await.as_deref(), Some(*piece));
    }
    assert_eq!(
        answer.next().await.as_deref(),
        Some("[DONE]"),
        "the usage was not asked for"
    );
    let costs = gateway.get("/api/costs").await.json();
    assert_eq!(costs["total"]["open_calls"], 0);
    assert_eq!(costs["total"]["cost_usd"].to_string(), "0.000006");
    assert_eq!(answer.next().await, None);
    assert_eq!(answer.trailers["x-octo-cost-usd"], "0.000006");
    let view = ended(&gateway, &answer).await;
    assert_eq!(types(&view), GOOD_TASK);
    let call = payload(&view, "MODEL_CALL_COMPLETED");
    assert_eq!(
        (&call["response_summary"], &call["cost_source"]),
        (&json!("Four."), &json!("proxy"))
    );
    assert!(call["time_to_first_token_ms"].is_u64(), "{call}");
    assert!(call.get("usage_is_estimated").is_none(), "{call}");
    gateway.stop().await;
}

#[tokio::test]
async fn the_usage_comes_to_who_asks_for_it() {
    let mut writer = Writer::start().await;
    let gateway = gateway_for(&writer).await;
    let mut asked = question();
    asked["stream_options"] = json!({"include_usage": true});
    let asking = open(gateway.address, CHAT, &[], &asked);
    let (mut answer, ()) = tokio::join!(asking, async {
        writer.call().await.stream().write_all().await;
    });
    let rest = answer.rest().await;
    assert_eq!(rest[..5], PIECES);
    assert_eq!(rest[5..], ["[DONE]"]);
    assert!(
        answer.trailers.is_empty(),
        "a client that takes no trailers gets none"
    );
    gateway.stop().await;
}

#[tokio::test]
async fn an_error_before_the_first_piece_has_its_status_and_what_to_do() {
    let mut writer = Writer::start().await;
    let gateway = gateway_for(&writer).await;
    for (status, headers, message, shown, code, retry_after) in [
        (
            429,
            &[("retry-after", "7")][..],
            "litellm.RateLimitError: slow",
            429,
            "rate_limit_exceeded",
            Some("7"),
        ),
        (
            400,
            &[],
            "litellm.ContextWindowExceededError: long",
            400,
            "context_length_exceeded",
            None,
        ),
        (
            400,
            &[],
            "litellm.BadRequestError: odd",
            400,
            "invalid_request",
            None,
        ),
        (
            500,
            &[],
            "litellm.InternalServerError: gone",
            502,
            "upstream_error",
            None,
        ),
        (
            404,
            &[],
            "litellm.NotFoundError: no such model",
            404,
            "model_not_found",
            None,
        ),
        (
            503,
            &[],
            "litellm.ServiceUnavailableError: later",
            503,
            "upstream_error",
            None,
        ),
        (
            408,
            &[],
            "litellm.Timeout: slow",
            504,
            "upstream_timeout",
            None,
        ),
    ] {
        let asked = question();
        let asking = open(gateway.address, CHAT, &[], &asked);
        let error = json!({"error": {"message": message, "type": null, "param": null, "code": status.to_string()}});
        let (answer, ()) = tokio::join!(asking, async {
            writer.call().await.answer(status, headers, &error);
        });
        assert_eq!(answer.status, shown, "{message}");
        assert_eq!(answer.header("retry-after"), retry_after, "{message}");
        let view = ended(&gateway, &answer).await;
        assert_eq!(view["task"]["status"], "FAILED");
        let body = answer.json().await;
        assert_eq!(body["error"]["code"], code, "{body}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_model_that_breaks_off_is_an_error_that_sdks_raise_and_a_failed_call_with_its_cost() {
    let mut writer = Writer::start().await;
    let gateway = gateway_for(&writer).await;
    let broken =
        r#"{"error":{"message":"litellm.APIError: gone","type":null,"param":null,"code":"500"}}"#;
    for cut in [false, true] {
        let (mut answer, pen) = begun(&gateway, &mut writer).await;
        if cut {
            pen.cut().await;
        } else {
            pen.write(broken).await;
            drop(pen);
        }
        let rest = answer.rest().await;
        assert_eq!(rest.len(), 1, "{rest:?}");
        let error: Value = serde_json::from_str(&rest[0]).unwrap();
        assert_eq!(error["error"]["type"], "server_error", "{error}");
        assert!(error["error"]["message"].is_string());
        let view = ended(&gateway, &answer).await;
        let call = payload(&view, "MODEL_CALL_FAILED");
        assert_eq!(call["usage_is_estimated"], true, "{call}");
        assert!(
            call["cost_usd"].as_f64().unwrap() > 0.0,
            "what came is paid for: {call}"
        );
        assert_eq!(call["model_name"], "gpt-4o-mini");
        let usd = answer.trailers["x-octo-cost-usd"].to_str().unwrap();
        assert_eq!(
            serde_json::from_str::<Value>(usd).unwrap(),
            call["cost_usd"]
        );
    }
    let costs = gateway.get("/api/costs").await.json();
    assert_eq!(costs["total"]["estimated_calls"], 2);
    gateway.stop().await;
}

#[tokio::test]
async fn a_client_that_hangs_up_ends_the_call_upstream_even_if_nothing_moves() {
    let mut writer = Writer::start().await;
    let gateway = gateway_for(&writer).await;
    let (answer, pen) = begun(&gateway, &mut writer).await;
    let task_id = answer.header("x-octo-task-id").unwrap().to_owned();
    drop(answer);
    // Neither side has anything to say: only the closed connection tells.
    pen.left().await;
    gateway.get(&format!("/api/stream/task/{task_id}")).await;
    let view = gateway.get(&format!("/api/tasks/{task_id}")).await.json();
    assert_eq!(view["task"]["status"], "CANCELLED");
    let call = payload(&view, "MODEL_CALL_FAILED");
    assert_eq!(
        (&call["error_type"], &call["usage_is_estimated"]),
        (&json!("caller_gone"), &json!(true))
    );
    assert!(call["cost_usd"].as_f64().unwrap() > 0.0, "{call}");
    gateway.stop().await;
}

#[tokio::test]
async fn a_client_that_hangs_up_before_the_first_piece_is_noticed_too() {
    let mut writer = Writer::start().await;
    let gateway = gateway_for(&writer).await;
    let asked = question();
    let asking = Box::pin(open(gateway.address, CHAT, &[], &asked));
    let waiting = Box::pin(writer.call());
    let (call, asking) = match futures_util::future::select(asking, waiting).await {
        futures_util::future::Either::Left(_) => unreachable!("nobody has answered"),
        futures_util::future::Either::Right(both) => both,
    };
    drop(asking);
    let tasks = gateway.get("/api/tasks").await.json();
    let task_id = tasks["tasks"][0]["task_id"].as_str().unwrap();
    gateway.get(&format!("/api/stream/task/{task_id}")).await;
    let view = gateway.get(&format!("/api/tasks/{task_id}")).await.json();
    let failed = payload(&view, "MODEL_CALL_FAILED");
    assert_eq!(
        (&failed["error_type"], &failed["cost_unavailable"]),
        (&json!("caller_gone"), &json!(true))
    );
    drop(call);
    gateway.stop().await;
}

#[tokio::test]
async fn cancelling_the_task_ends_its_stream_with_an_error() {
    let mut writer = Writer::start().await;
    let gateway = gateway_for(&writer).await;
    let (mut answer, pen) = begun(&gateway, &mut writer).await;
    let task_id = answer.header("x-octo-task-id").unwrap().to_owned();
    let cancelled = gateway
        .post(&format!("/api/tasks/{task_id}/cancel"), &json!({}))
        .await;
    assert_eq!(cancelled.status, 200);
    pen.left().await;
    let rest = answer.rest().await;
    let error: Value = serde_json::from_str(&rest[0]).unwrap();
    assert_eq!(
        (rest.len(), &error["error"]["code"]),
        (1, &json!("cancelled"))
    );
    gateway.stop().await;
}

#[tokio::test]
async fn the_echo_streams_where_it_may_and_says_what_it_is() {
    // Nobody listens there.
    let gateway = Gateway::start(&[("LITELLM_PROXY_URL", "http://127.0.0.1:9")]).await;
    let refused = open(gateway.address, CHAT, &[], &question()).await;
    assert_eq!(refused.status, 503);
    let allow = [("x-octo-allow-fallback", "true")];
    let mut echo = open(gateway.address, CHAT, &allow, &question()).await;
    assert_eq!(
        (echo.status.as_u16(), echo.header("x-octo-model")),
        (200, Some("echo"))
    );
    assert!(
        echo.header("x-octo-fallback")
            .unwrap()
            .contains("connection refused")
    );
    let text: String = echo
        .rest()
        .await
        .iter()
        .filter_map(|data| serde_json::from_str::<Value>(data).ok())
        .filter_map(|piece| {
            piece["choices"][0]["delta"]["content"]
                .as_str()
                .map(str::to_owned)
        })
        .collect();
    assert_eq!(text, "Echo: 2+2?");
    let view = ended(&gateway, &echo).await;
    assert_eq!(payload(&view, "MODEL_CALL_COMPLETED")["is_fallback"], true);
    gateway.stop().await;
}

#[tokio::test]
async fn a_message_task_is_told_piece_by_piece() {
    let mut writer = Writer::start().await;
    let gateway = gateway_for(&writer).await;
    let task_id = gateway.submit("2+2?", "1", Some("planner")).await;
    let call = writer.call().await;
    let path = format!("/api/stream/task/{task_id}");
    let mut follow = support::sse::follow(gateway.address, &path).await;
    let mut seen = Vec::new();
    while seen.last().is_none_or(|kind| kind != "MODEL_CALL_STARTED") {
        seen.push(follow.event().await.unwrap().kind.unwrap());
    }
    let pen = call.stream();
    pen.write(PIECES[1]).await;
    let chunk = follow.event().await.unwrap();
    assert_eq!(chunk.kind.as_deref(), Some("MODEL_CALL_CHUNK"));
    assert_eq!(chunk.id, None, "no place to resume from");
    let data = chunk.json();
    assert_eq!(data["payload"]["text"], "Fo");
    assert_eq!(
        (&data["payload"]["index"], &data["final"]),
        (&json!(0), &json!(false))
    );
    for piece in &PIECES[2..] {
        pen.write(piece).await;
    }
    pen.write("[DONE]").await;
    let mut rest = Vec::new();
    while let Some(event) = follow.event().await {
        rest.push(event.kind.unwrap());
    }
    assert_eq!(
        rest,
        [
            "MODEL_CALL_CHUNK",
            "MODEL_CALL_COMPLETED",
            "ARTIFACT_CREATED",
            "STATE_TRANSITION"
        ]
    );
    let view = gateway.get(&format!("/api/tasks/{task_id}")).await.json();
    assert_eq!(types(&view), GOOD_TASK, "the pieces are stored nowhere");
    gateway.stop().await;
}

#[tokio::test]
async fn the_other_endpoints_have_the_same_aliases_events_and_costs() {
    let mut writer = Writer::start().await;
    let gateway = gateway_for(&writer).await;
    let usage = json!({"prompt_tokens": 28, "completion_tokens": 3, "total_tokens": 31});
    let response_usage =
        json!({"input_tokens": 28, "output_tokens": 3, "total_tokens": 31, "cost": null});
    for (path, body, answer, summary) in [
        (
            "/v1/completions",
            json!({"model": "planner", "prompt": "2+2="}),
            json!({"object": "text_completion", "model": "main", "choices": [{"index": 0, "text": "Four.", "finish_reason": "stop"}], "usage": usage}),
            "Four.",
        ),
        (
            "/v1/responses",
            json!({"model": "planner", "input": "2+2?", "x_new": [1.50]}),
            json!({"object": "response", "model": "main", "status": "completed", "error": null, "output": [{"type": "message", "content": [{"type": "output_text", "text": "Four."}]}], "usage": response_usage}),
            "Four.",
        ),
        (
            "/v1/embeddings",
            json!({"model": "planner", "input": ["a", "b"]}),
            json!({"object": "list", "model": "main", "data": [{"index": 0, "embedding": [0.5, -0.25]}, {"index": 1, "embedding": [0, 1]}], "usage": {"prompt_tokens": 28, "completion_tokens": 0, "total_tokens": 28}}),
            "2 embeddings of 2 numbers",
        ),
    ] {
        let posting = gateway.post(path, &body);
        let (got, asked) = tokio::join!(posting, async {
            let call = writer.call().await;
            let asked = (call.path.clone(), call.body.clone());
            call.answer(200, &[("x-litellm-response-cost", "6e-06")], &answer);
            asked
        });
        assert_eq!(asked.0, path);
        let mut wanted = body.clone();
        wanted["model"] = json!("main");
        assert_eq!(
            asked.1, wanted,
            "the alias is resolved, and nothing else is touched"
        );
        assert_eq!(got.text(), answer.to_string(), "byte for byte");
        assert_eq!(got.header("x-octo-cost-usd"), Some("0.000006"));
        let task_id = got.header("x-octo-task-id").unwrap();
        let view = gateway.get(&format!("/api/tasks/{task_id}")).await.json();
        assert_eq!(types(&view), GOOD_TASK);
        let call = payload(&view, "MODEL_CALL_COMPLETED");
        assert_eq!(call["response_summary"], summary, "{path}");
        assert_eq!(call["token_usage"]["prompt_tokens"], 28, "{path}");
    }
    for (path, param) in [("/v1/completions", "prompt"), ("/v1/responses", "input")] {
        let refused = gateway.post(path, &json!({"model": "planner"})).await;
        assert_eq!(
            (refused.status.as_u16(), &refused.json()["error"]["param"]),
            (400, &json!(param))
        );
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_response_that_breaks_off_ends_with_an_event_of_its_own() {
    let mut writer = Writer::start().await;
    let gateway = gateway_for(&writer).await;
    let asked = json!({"model": "planner", "input": "2+2?", "stream": true});
    let asking = open(gateway.address, "/v1/responses", &[], &asked);
    let delta = r#"{"type":"response.output_text.delta","delta":"Fo"}"#;
    let (mut answer, pen) = tokio::join!(asking, async {
        let pen = writer.call().await.stream();
        pen.raw(format!(
            "event: response.output_text.delta\ndata: {delta}\n\n"
        ))
        .await;
        pen
    });
    assert_eq!(answer.next().await.as_deref(), Some(delta));
    pen.cut().await;
    let rest = answer.rest().await;
    let error: Value = serde_json::from_str(&rest[0]).unwrap();
    assert_eq!((rest.len(), &error["type"]), (1, &json!("error")));
    assert_eq!(error["message"], error["error"]["message"]);
    gateway.stop().await;
}

#[tokio::test]
async fn a_model_can_be_looked_up_by_its_name() {
    let gateway = Gateway::start(&[("OCTOAGENT_LLM_MODE", "echo")]).await;
    assert_eq!(
        gateway.get("/v1/models/planner").await.json()["id"],
        "planner"
    );
    let unknown = gateway.get("/v1/models/gpt-9").await;
    assert_eq!(
        (unknown.status.as_u16(), &unknown.json()["error"]["code"]),
        (404, &json!("model_not_found"))
    );
    gateway.stop().await;
}

#[tokio::test]
async fn shutting_down_gives_a_stream_its_grace_and_then_ends_it_with_an_error() {
    let mut writer = Writer::start().await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("octo.toml");
    std::fs::write(&file, "[server]\nshutdown_grace_s = 0.2\n").unwrap();
    let environment = gateway::config::Environment::of_pairs([
        (
            "OCTOAGENT_DATA_DIR",
            dir.path().to_str().unwrap().to_owned(),
        ),
        ("OCTO_LISTEN", "127.0.0.1:0".to_owned()),
        ("LITELLM_PROXY_URL", writer.url()),
    ]);
    let overrides = gateway::config::Overrides {
        config: Some(file),
        listen: None,
    };
    let config = gateway::config::Config::load(&environment, &overrides).unwrap();
    let gateway = Gateway::start_with(dir, config).await;
    let (mut answer, pen) = begun(&gateway, &mut writer).await;
    let reading = async {
        let rest = answer.rest().await;
        let error: Value = serde_json::from_str(&rest[0]).unwrap();
        assert_eq!(error["error"]["code"], "shutting_down", "{error}");
    };
    let (_dir, ()) = tokio::join!(gateway.stop(), reading);
    pen.left().await;
}
