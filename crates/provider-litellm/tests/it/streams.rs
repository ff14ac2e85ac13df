//! Answers in pieces: as the proxy sends them (the shapes are those of `tests/fixtures/recorded/stream-*`), and as
//! an upstream that lies does.

use std::time::Duration;

use event_payloads::{Cost, CostSource, TokenUsage};
use provider_core::{
    Chunk, Closed, Endpoint, ModelCall, ModelClient, ModelRequest, ModelStream, ProviderError,
    TimeoutPhase,
};

use crate::mock::{Conn, Mock};
use crate::setup::{call, client, client_of, config, http, known, run};

const DONE: &str = "[DONE]";
const FINISH: &str =
    r#"{"model":"main","choices":[{"finish_reason":"stop","index":0,"delta":{}}]}"#;
/// 1000 + 200 tokens, 0.00027 USD with gpt-4o-mini by the price book; the proxy says half a cent.
const USAGE: &str = r#"{"model":"main","choices":[{"index":0,"delta":{}}],"usage":{"prompt_tokens":1000,"completion_tokens":200,"total_tokens":1200,"cost":5e-3}}"#;

fn delta(text: &str) -> String {
    format!(r#"{{"model":"main","choices":[{{"index":0,"delta":{{"content":"{text}"}}}}]}}"#)
}

fn head(more: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\nx-litellm-response-cost-original: 0.0\r\nx-litellm-key-spend: 0.0\r\n{more}transfer-encoding: chunked\r\n\r\n"
    )
    .into_bytes()
}

const MINI: &str = "x-litellm-model-name: gpt-4o-mini\r\n";

fn piece(data: &str) -> Vec<u8> {
    raw(format!("data: {data}\n\n").as_bytes())
}

/// One chunk of the body.
fn raw(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

const END: &[u8] = b"0\r\n\r\n";

/// A whole stream of these pieces.
fn whole(head_lines: &str, pieces: &[&str]) -> Vec<u8> {
    let pieces = pieces.iter().flat_map(|data| piece(data));
    head(head_lines)
        .into_iter()
        .chain(pieces)
        .chain(END.to_vec())
        .collect()
}

pub(crate) fn request(endpoint: Endpoint, body: &str) -> ModelCall {
    ModelCall {
        request: ModelRequest::from_json(endpoint, body.as_bytes()).unwrap(),
        ..call()
    }
}

/// What came of a stream.
pub(crate) struct Seen {
    pub(crate) chunks: Vec<Chunk>,
    pub(crate) error: Option<ProviderError>,
    pub(crate) closed: Closed,
}

impl Seen {
    pub(crate) fn text(&self) -> String {
        self.chunks
            .iter()
            .map(|chunk| chunk.text.as_str())
            .collect()
    }

    /// All that the caller gets.
    pub(crate) fn wire(&self) -> String {
        let last = if self.error.is_none() {
            &self.closed.tail
        } else {
            &self.closed.last_words
        };
        let frames = self.chunks.iter().map(|chunk| &chunk.frame).chain([last]);
        String::from_utf8(frames.flatten().copied().collect()).unwrap()
    }

    fn broke_off(&self, reason: &str) {
        let error = self.error.as_ref().expect("a false success");
        assert!(error.to_string().contains(reason), "{error} <> {reason}");
        assert!(
            !self.wire().contains(DONE),
            "a cut stream is never a success"
        );
    }
}

async fn read(mut stream: ModelStream) -> Seen {
    let mut chunks = Vec::new();
    let error = loop {
        match stream.next().await {
            Ok(Some(chunk)) => chunks.push(chunk),
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
    };
    let closed = stream.close().await;
    Seen {
        chunks,
        error,
        closed,
    }
}

pub(crate) fn seen_of(mock: &Mock, call: &ModelCall) -> Result<Seen, ProviderError> {
    run(async { Ok(read(client(mock).stream(call).await?).await) })
}

fn seen(reply: impl Into<Vec<u8>>) -> Seen {
    seen_of(&Mock::sending(reply), &call()).unwrap()
}

fn refused(reply: impl Into<Vec<u8>>) -> ProviderError {
    match seen_of(&Mock::sending(reply), &call()) {
        Err(error) => error,
        Ok(seen) => panic!("it began: {}", seen.wire()),
    }
}

#[test]
fn a_stream_is_handed_on_as_it_came_and_priced_by_its_last_piece() {
    let asked = request(
        Endpoint::ChatCompletions,
        r#"{"model":"planner","messages":[],"stream":true,"stream_options":{"include_usage":true}}"#,
    );
    let (one, two) = (delta("Hel"), delta("lo."));
    let pieces = [one.as_str(), &two, FINISH, USAGE, DONE];
    let mock = Mock::sending(whole(MINI, &pieces));
    let seen = seen_of(&mock, &asked).unwrap();
    assert!(seen.error.is_none());
    let sent: String = pieces
        .iter()
        .map(|data| format!("data: {data}\n\n"))
        .collect();
    assert_eq!(seen.wire(), sent);
    assert_eq!(seen.text(), "Hello.");
    let result = &seen.closed.result;
    assert_eq!(
        (result.content.as_str(), result.model_name.as_str()),
        ("Hello.", "gpt-4o-mini")
    );
    assert_eq!(result.finish_reason.as_deref(), Some("stop"));
    assert_eq!(result.token_usage, Some(TokenUsage::new(1000, 200)));
    assert!(!result.usage_is_estimated);
    assert_eq!(
        result.cost.usd(),
        Some("0.005".parse().unwrap()),
        "the proxy's own figure"
    );
    assert_eq!(result.cost.source(), CostSource::Proxy);
    assert!(
        matches!(result.cost, Cost::Known { drift: Some(_), .. }),
        "which is not ours"
    );
    assert!(result.time_to_first_token.unwrap() <= result.duration);
    let body = String::from_utf8(mock.log().requests[0].body.clone()).unwrap();
    assert_eq!(
        body,
        r#"{"model":"main","messages":[],"stream":true,"stream_options":{"include_usage":true}}"#
    );
}

#[test]
fn the_usage_is_asked_for_and_kept_from_a_caller_who_did_not_ask() {
    let mock = Mock::sending(whole(MINI, &[&delta("Hi"), FINISH, USAGE, DONE]));
    let seen = seen_of(&mock, &call()).unwrap();
    assert!(!seen.wire().contains("usage"), "{}", seen.wire());
    assert!(seen.wire().ends_with("data: [DONE]\n\n"));
    assert_eq!(
        seen.closed.result.token_usage,
        Some(TokenUsage::new(1000, 200))
    );
    let body = String::from_utf8(mock.log().requests[0].body.clone()).unwrap();
    assert!(
        body.contains(r#""stream_options":{"include_usage":true}"#),
        "{body}"
    );
}

#[test]
fn a_usage_beside_a_text_is_cut_out_and_nothing_else_of_the_piece() {
    let piece = r#"{"x":1.50,"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2},"y":[ 1 ]}"#;
    let seen = seen(whole(MINI, &[piece, DONE]));
    assert_eq!(
        seen.wire(),
        "data: {\"x\":1.50,\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"},\"finish_reason\":\"stop\"}],\"y\":[ 1 ]}\n\ndata: [DONE]\n\n"
    );
    assert_eq!(seen.closed.result.token_usage, Some(TokenUsage::new(1, 1)));
}

#[test]
fn the_traps_in_the_head_are_no_price() {
    let seen = seen(whole(
        &format!("{MINI}x-litellm-response-cost: 7\r\n"),
        &[
            &delta("Hi"),
            FINISH,
            &USAGE.replace(",\"cost\":5e-3", ""),
            DONE,
        ],
    ));
    assert_eq!(
        seen.closed.result.cost,
        known("0.00027", CostSource::PriceBook)
    );
}

#[test]
fn zeros_in_every_piece_do_not_hide_the_usage_of_one() {
    let zero = r#""usage":{"completion_tokens":0,"prompt_tokens":0,"total_tokens":0}"#;
    let text = format!(r#"{{"choices":[{{"index":0,"text":"Hi"}}],{zero}}}"#);
    let last = format!(r#"{{"choices":[{{"index":0,"finish_reason":"stop"}}],{zero}}}"#);
    for pieces in [
        [text.as_str(), USAGE, last.as_str(), DONE],
        [text.as_str(), last.as_str(), USAGE, DONE],
    ] {
        let asked = request(
            Endpoint::Completions,
            r#"{"model":"planner","prompt":"hi"}"#,
        );
        let seen = seen_of(&Mock::sending(whole(MINI, &pieces)), &asked).unwrap();
        assert_eq!(
            seen.closed.result.token_usage,
            Some(TokenUsage::new(1000, 200))
        );
        assert_eq!(seen.closed.result.content, "Hi");
        assert!(!seen.wire().contains("usage"), "{}", seen.wire());
    }
}

#[test]
fn an_answer_without_a_usage_is_counted_and_says_so() {
    let result = seen(whole(MINI, &[&delta("hello world"), FINISH, DONE]))
        .closed
        .result;
    // "hi": 1 token, 4 for its message, 3 for the answer.
    assert_eq!(result.token_usage, Some(TokenUsage::new(8, 2)));
    assert!(result.usage_is_estimated);
    // 8 × 0.15 + 2 × 0.6 USD a million.
    assert_eq!(result.cost, known("0.0000024", CostSource::PriceBook));
}

#[test]
fn what_only_the_provider_can_count_has_no_cost_rather_than_a_guess() {
    let asked = request(
        Endpoint::ChatCompletions,
        r#"{"model":"planner","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:"}}]}]}"#,
    );
    let mock = Mock::sending(whole(MINI, &[&delta("A cat."), FINISH, DONE]));
    let result = seen_of(&mock, &asked).unwrap().closed.result;
    assert!(!result.usage_is_estimated && result.token_usage.is_none());
    assert!(matches!(result.cost, Cost::Unavailable(reason) if reason.contains("not text")));
}

#[test]
fn several_answers_and_the_calls_of_tools_are_put_together() {
    let tool = |index: u32, more: &str| {
        format!(
            r#"{{"choices":[{{"index":0,"delta":{{"tool_calls":[{{"index":{index},{more}}}]}}}}]}}"#
        )
    };
    let pieces = [
        tool(
            0,
            r#""id":"call_1","type":"function","function":{"name":"weather","arguments":""}"#,
        ),
        tool(0, r#""type":"function","function":{"arguments":"{\"ci"}"#),
        r#"{"choices":[{"index":1,"delta":{"content":"Also"}}]}"#.to_owned(),
        tool(0, r#""function":{"arguments":"ty\":\"Rome\"}"}"#),
        tool(
            1,
            r#""id":"call_2","function":{"name":"time","arguments":"{}"}"#,
        ),
        r#"{"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}"#.to_owned(),
        r#"{"choices":[{"index":1,"delta":{},"finish_reason":"length"}]}"#.to_owned(),
        DONE.to_owned(),
    ];
    let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
    let result = seen(whole(MINI, &pieces)).closed.result;
    insta::assert_snapshot!(serde_json::to_string(&result.tool_calls).unwrap(), @r#"[{"id":"call_1","type":"function","function":{"name":"weather","arguments":"{\"city\":\"Rome\"}"}},{"id":"call_2","type":"function","function":{"name":"time","arguments":"{}"}}]"#);
    assert_eq!(result.finish_reason.as_deref(), Some("tool_calls"));
    assert_eq!(
        (result.content.as_str(), result.further_contents),
        ("", vec!["Also".to_owned()])
    );
    assert!(
        result.token_usage.unwrap().completion_tokens > 8,
        "all of it was counted"
    );
}

#[test]
fn an_error_before_the_first_piece_is_one_with_its_status() {
    let body = r#"{"error":{"message":"litellm.RateLimitError: slow down","type":"throttling_error","param":null,"code":"429"}}"#;
    let error = refused(http("429 Too Many Requests", &["retry-after: 7"], body));
    assert_eq!(
        (error.kind(), error.retry_after()),
        ("rate_limited", Some(Duration::from_secs(7)))
    );
    let first =
        r#"{"error":{"message":"litellm.ContextWindowExceededError: too long","code":"400"}}"#;
    let error = refused(whole(MINI, &[first]));
    assert_eq!(
        (error.kind(), error.is_recoverable()),
        ("context_window_exceeded", false)
    );
}

#[test]
fn what_is_no_stream_is_not_taken_for_one() {
    for (reply, reason) in [
        (http("200 OK", &[], "null"), "application/json"),
        (whole(MINI, &[]), "cut off"),
        (whole(MINI, &[DONE]), "cut off"),
        (whole(MINI, &["{"]), "can not be read"),
        (whole(MINI, &["[]"]), "can not be read"),
        (
            whole(MINI, &[r#"{"choices":[{"index":99999999,"delta":{}}]}"#]),
            "99999999",
        ),
        (
            [head(MINI), raw(b"data: \xff\xfe\n\n"), END.to_vec()].concat(),
            "UTF-8",
        ),
    ] {
        let error = refused(reply);
        assert!(error.to_string().contains(reason), "{error} <> {reason}");
        assert!(error.is_recoverable() && error.may_be_billed());
    }
}

#[test]
fn a_model_that_breaks_in_the_middle_is_a_failure_with_what_it_used() {
    let error =
        r#"{"error":{"message":"litellm.APIError: gone","type":null,"param":null,"code":"500"}}"#;
    let seen = seen(whole(MINI, &[&delta("hello world"), error]));
    seen.broke_off("gone");
    assert_eq!(seen.text(), "hello world");
    let result = seen.closed.result;
    assert!(result.usage_is_estimated);
    assert_eq!(result.cost, known("0.0000024", CostSource::PriceBook));
}

#[test]
fn every_way_to_cut_a_stream_is_a_failure() {
    let begun = [head(MINI), piece(&delta("Hel"))].concat();
    for (name, reply) in [
        ("no end of the body", begun.clone()),
        (
            "an end without [DONE]",
            [begun.clone(), END.to_vec()].concat(),
        ),
        (
            "inside a piece",
            [begun.clone(), raw(b"data: {\"choi"), END.to_vec()].concat(),
        ),
        (
            "inside a chunk",
            [begun.clone(), b"ff\r\ndata".to_vec()].concat(),
        ),
        (
            "[DONE] before the model was done",
            [begun, piece(DONE), END.to_vec()].concat(),
        ),
    ] {
        let seen = seen(reply);
        assert!(seen.error.is_some(), "{name}");
        let place = if name == "inside a piece" {
            "in the middle of a piece"
        } else {
            "cut off"
        };
        seen.broke_off(place);
        assert!(seen.closed.result.cost.usd().is_some(), "{name}");
    }
}

#[test]
fn an_error_after_the_model_was_done_is_an_error_and_no_end_follows_it() {
    let late = r#"{"error":{"message":"a guardrail refused it","code":"400"}}"#;
    for last in [late, "{"] {
        let seen = seen(whole(MINI, &[&delta("Hi"), FINISH, last, DONE]));
        assert!(seen.error.is_some() && !seen.closed.is_whole, "{last}");
        assert!(!seen.wire().contains(DONE), "{}", seen.wire());
    }
}

#[test]
fn who_leaves_when_the_model_is_done_still_has_the_usage_in_the_books() {
    let mock = Mock::sending(whole(MINI, &[&delta("Hi"), FINISH, USAGE, DONE]));
    let closed = run(async {
        let mut stream = client(&mock).stream(&call()).await.unwrap();
        for _ in 0..2 {
            stream.next().await.unwrap();
        }
        stream.close().await
    });
    assert!(closed.is_whole);
    assert_eq!(closed.result.token_usage, Some(TokenUsage::new(1000, 200)));
    assert_eq!(closed.result.cost.source(), CostSource::Proxy);
}

#[test]
fn a_group_that_takes_over_in_the_middle_is_the_one_that_answered() {
    let first = r#"{"model":"main","choices":[{"index":0,"delta":{"role":"assistant"}}]}"#;
    let rest = [
        delta("Hi").replace("main", "gpt-4o"),
        FINISH.replace("main", "gpt-4o"),
    ];
    let result = seen(whole(MINI, &[first, &rest[0], &rest[1], DONE]))
        .closed
        .result;
    assert_eq!(result.model_name, "gpt-4o");
}

#[test]
fn a_model_that_has_written_nothing_may_have_thought_for_long() {
    let first = r#"{"model":"main","choices":[{"index":0,"delta":{"role":"assistant"}}]}"#;
    let seen = seen([head(MINI), piece(first)].concat());
    assert!(seen.error.is_some());
    assert!(matches!(seen.closed.result.cost, Cost::Unavailable(_)));
}

#[test]
fn a_refusal_that_comes_as_a_stream_is_still_the_callers() {
    let body = "data: {\"error\":{\"message\":\"Violated guardrail policy\",\"code\":\"400\"}}\n\ndata: [DONE]\n\n";
    let error = refused(http("400 Bad Request", &[], body));
    assert_eq!(
        (error.kind(), error.is_recoverable()),
        ("invalid_request", false)
    );
    assert!(error.to_string().contains("guardrail"), "{error}");
}

#[test]
fn endless_comments_are_under_the_limit_too() {
    let mock = Mock::start(|conn, _| {
        conn.read_request();
        conn.send(&head(MINI));
        conn.send(&piece(&delta("Hi")));
        while conn.send(&raw(&b": alive\n".repeat(500))) {}
    });
    seen_of(&mock, &call()).unwrap().broke_off("larger than");
}

#[test]
fn one_end_of_several_answers_will_do_as_the_proxy_passes_no_other_on() {
    let other = r#"{"choices":[{"index":1,"delta":{"content":"Also"}}]}"#;
    let ended = [&delta("Hi"), other, FINISH, USAGE];
    let done = seen(whole(MINI, &[&ended[..], &[DONE]].concat()));
    assert!(done.error.is_none(), "{:?}", done.error);
    assert_eq!(done.closed.result.further_contents, ["Also"]);
    let asked = request(
        Endpoint::ChatCompletions,
        r#"{"model":"planner","messages":[],"n":2}"#,
    );
    let cut = seen_of(&Mock::sending(whole(MINI, &ended[..1])), &asked).unwrap();
    cut.broke_off("cut off");
    let all_but_done = seen_of(&Mock::sending(whole(MINI, &ended)), &asked).unwrap();
    all_but_done.broke_off("cut off");
}

#[test]
fn a_model_that_was_done_is_done_whatever_happens_after() {
    let done = [head(MINI), piece(&delta("Hi")), piece(FINISH)].concat();
    for reply in [
        done.clone(),
        [done.clone(), END.to_vec()].concat(),
        [done.clone(), b"zz\r\n".to_vec()].concat(),
    ] {
        let seen = seen(reply);
        assert!(seen.error.is_none(), "{:?}", seen.error);
        assert!(seen.wire().ends_with("data: [DONE]\n\n"));
        assert!(seen.closed.result.usage_is_estimated);
    }
}

#[test]
fn a_piece_may_be_cut_anywhere_and_comments_may_stand_anywhere() {
    let text = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Grüße 🙂\"}}]}\r\n\r\n: alive\r\n\r\ndata: {\"choices\":[{\"index\":0,\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    for size in 1..text.len() {
        let pieces = text.as_bytes().chunks(size).flat_map(raw);
        let reply: Vec<u8> = head(MINI)
            .into_iter()
            .chain(pieces)
            .chain(END.to_vec())
            .collect();
        let seen = seen(reply);
        assert!(seen.error.is_none(), "{size}");
        assert_eq!(seen.closed.result.content, "Grüße 🙂", "{size}");
    }
}

#[test]
fn a_stream_is_no_larger_than_an_answer_may_be() {
    let mock = Mock::start(|conn, _| {
        conn.read_request();
        conn.send(&head(MINI));
        while conn.send(&piece(&delta(&"x".repeat(1000)))) {}
    });
    seen_of(&mock, &call()).unwrap().broke_off("larger than");
    let endless = Mock::start(|conn, _| {
        conn.read_request();
        conn.send(&head(MINI));
        conn.send(&raw(b"data: "));
        while conn.send(&raw(&[b'x'; 4096])) {}
    });
    let Err(error) = seen_of(&endless, &call()) else {
        panic!("it began")
    };
    assert!(error.to_string().contains("limit"), "{error}");
}

/// A server that begins a stream and then says nothing, or only that it is alive.
fn silent_after(first: &'static str, alive: bool) -> Mock {
    Mock::start(move |conn: &mut Conn, _| {
        conn.read_request();
        conn.send(&head(MINI));
        if !first.is_empty() {
            conn.send(&piece(&delta(first)));
        }
        if !alive {
            return conn.wait_closed();
        }
        while conn.send(&raw(b": alive\n\n")) {
            std::thread::sleep(Duration::from_millis(20));
        }
    })
}

#[test]
fn each_part_of_a_stream_has_its_own_limit() {
    let ms = Duration::from_millis;
    let none = silent_after("", false);
    let first = run(client_of(config(&none.url()).with_call_timeout(ms(200))).stream(&call()));
    let Err(error) = first else {
        panic!("it began")
    };
    assert!(
        matches!(
            error,
            ProviderError::Timeout {
                phase: TimeoutPhase::Call,
                ..
            }
        ),
        "{error:?}"
    );
    none.wait_for(|log| log.closed_by_client == 1);

    let idle = silent_after("Hel", false);
    let limits = config(&idle.url()).with_stream_idle_timeout(ms(200));
    let seen = run(async { read(client_of(limits).stream(&call()).await.unwrap()).await });
    seen.broke_off("proxy.stream_idle_timeout_s");
    assert!(seen.closed.result.usage_is_estimated);

    let alive = silent_after("Hel", true);
    let limits = config(&alive.url())
        .with_stream_idle_timeout(ms(200))
        .with_stream_timeout(ms(600));
    let seen = run(async { read(client_of(limits).stream(&call()).await.unwrap()).await });
    seen.broke_off("proxy.stream_timeout_s");
}

#[test]
fn a_stream_that_is_left_is_ended_upstream() {
    let mock = silent_after("Hel", false);
    let result = run(async {
        let mut stream = client(&mock).stream(&call()).await.unwrap();
        assert_eq!(stream.next().await.unwrap().unwrap().text, "Hel");
        stream.close().await.result
    });
    mock.wait_for(|log| log.closed_by_client >= 1);
    assert_eq!(result.content, "Hel");
    assert!(result.usage_is_estimated && result.cost.usd().is_some());
}

#[test]
fn a_connection_is_used_again_after_a_whole_stream() {
    let mock = Mock::answering(|_| Some(whole(MINI, &[&delta("Hi"), FINISH, USAGE, DONE])));
    run(async {
        let client = client(&mock);
        for _ in 0..5 {
            let stream = client.stream(&call()).await.unwrap();
            assert!(read(stream).await.error.is_none());
        }
    });
    assert_eq!(mock.log().connections, 1);
}

fn response(pieces: &[&str]) -> Result<Seen, ProviderError> {
    let asked = request(
        Endpoint::Responses,
        r#"{"model":"planner","input":"hi","stream":true}"#,
    );
    seen_of(&Mock::sending(whole(MINI, pieces)), &asked)
}

const CREATED: &str = r#"{"type":"response.created","response":{"id":"r","status":"in_progress"}}"#;
const RESPONSE_DELTA: &str = r#"{"type":"response.output_text.delta","delta":"hello world"}"#;

#[test]
fn a_response_ends_with_all_that_it_was() {
    let completed = r#"{"type":"response.completed","response":{"id":"r","status":"completed","error":null,"model":"gemma","output":[{"type":"reasoning"},{"type":"message","content":[{"type":"output_text","text":"hello world"}]},{"type":"function_call","name":"f","arguments":"{}"}],"usage":{"input_tokens":1000,"input_tokens_details":{"cached_tokens":0},"output_tokens":200,"total_tokens":1200,"cost":5e-3}}}"#;
    let pieces = [CREATED, RESPONSE_DELTA, completed, DONE];
    let seen = response(&pieces).unwrap();
    assert!(seen.error.is_none(), "{:?}", seen.error);
    let sent: String = pieces
        .iter()
        .map(|data| format!("data: {data}\n\n"))
        .collect();
    assert_eq!(seen.wire(), sent);
    let result = seen.closed.result;
    assert_eq!(
        (seen.chunks.len(), result.content.as_str()),
        (2, "hello world")
    );
    assert_eq!(result.tool_calls.len(), 1);
    assert_eq!(result.token_usage, Some(TokenUsage::new(1000, 200)));
    assert_eq!(result.cost.usd(), Some("0.005".parse().unwrap()));
    assert_eq!(result.finish_reason.as_deref(), Some("completed"));
}

#[test]
fn a_response_that_fails_or_is_cut_is_a_failure() {
    let failed = r#"{"type":"response.failed","response":{"status":"failed","error":{"code":"server_error","message":"gone"}}}"#;
    let seen = response(&[CREATED, RESPONSE_DELTA, failed]).unwrap();
    seen.broke_off("gone");
    assert!(
        seen.wire().contains("response.failed"),
        "the caller sees it as it came"
    );
    assert!(seen.closed.result.usage_is_estimated);
    for broken in [
        r#"{"error":{"message":"gone","type":"None","param":"None","code":"500"}}"#,
        r#"{"type":"error","code":"server_error","message":"gone","param":null}"#,
    ] {
        response(&[CREATED, broken]).unwrap().broke_off("gone");
    }
    response(&[CREATED, RESPONSE_DELTA])
        .unwrap()
        .broke_off("cut off");
    response(&[CREATED, RESPONSE_DELTA, DONE])
        .unwrap()
        .broke_off("cut off");
}
