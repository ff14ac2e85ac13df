//! Answers that lie about their size, their form or their sense.

use serde_json::json;

use crate::mock::Mock;
use crate::setup::{
    MAX_BYTES, USAGE, assert_invalid, chat, good, hello, http, outcome, outcome_of, result_of,
};

#[test]
fn an_answer_that_is_no_chat_completion_is_never_a_success() {
    for (body, reason) in [
        ("", "it is empty"),
        ("{", "not a chat completion"),
        ("null", "not a chat completion"),
        ("[]", "not a chat completion"),
        ("\"I'm alive!\"", "not a chat completion"),
        ("<html><body>Welcome</body></html>", "not a chat completion"),
        ("{}", "no choices"),
        (r#"{"choices":[]}"#, "no choices"),
        (
            r#"[[{"message":{"content":"hi"}}]]"#,
            "not a chat completion",
        ),
        (
            r#"{"choices":[[{"content":"hi"}]]}"#,
            "not a chat completion",
        ),
        (r#"{"choices":null}"#, "not a chat completion"),
        (r#"{"choices":[{}]}"#, "not a chat completion"),
        (r#"{"choices":[{"message":null}]}"#, "not a chat completion"),
        (r#"{"choices":[{"message":"hi"}]}"#, "not a chat completion"),
        (
            r#"{"choices":[{"message":{"content":42}}]}"#,
            "not a chat completion",
        ),
        (
            r#"{"choices":[{"message":{"content":{"a":1}}}]}"#,
            "not a chat completion",
        ),
        (
            r#"{"error":{"message":"boom","code":"500"},"choices":[{"message":{"content":"hi"}}]}"#,
            "an error with the status of a success",
        ),
        (
            r#"{"error":"boom"}"#,
            "an error with the status of a success",
        ),
    ] {
        assert_invalid(outcome_of(http("200 OK", &[], body)), reason);
    }
    let twice = format!("{}{}", hello(), hello());
    assert_invalid(
        outcome_of(http("200 OK", &[], &twice)),
        "not a chat completion",
    );
}

#[test]
fn what_an_unusable_answer_says_is_not_repeated() {
    let secret = "proxy-key-0123456789 and the prompt";
    for body in [
        format!(r#""{secret}""#),
        format!(r#"{{"choices":"{secret}"}}"#),
        format!(r#"{{"choices":[{{"message":{{"tool_calls":"{secret}"}}}}]}}"#),
    ] {
        let error = outcome_of(http("200 OK", &[], &body)).unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(
            !shown.contains("proxy-key") && !shown.contains("prompt"),
            "{shown}"
        );
    }
}

#[test]
fn only_200_is_a_completed_call() {
    for status in [
        "204 No Content",
        "201 Created",
        "202 Accepted",
        "206 Partial Content",
    ] {
        let body = if status.starts_with("204") {
            ""
        } else {
            &hello()
        };
        assert_invalid(outcome_of(http(status, &[], body)), status);
    }
}

#[test]
fn a_redirect_is_not_followed() {
    for status in [
        "301 Moved Permanently",
        "302 Found",
        "307 Temporary Redirect",
        "308 Permanent Redirect",
    ] {
        let mock = Mock::answering(move |seen| {
            Some(if seen.line.contains("/v1/chat/completions") {
                http(status, &["location: /elsewhere"], "")
            } else {
                good(&[])
            })
        });
        assert_invalid(
            outcome(&mock),
            "does LITELLM_PROXY_URL name the proxy itself?",
        );
        assert_eq!(mock.log().requests.len(), 1);
    }
}

#[test]
fn an_announced_100_mb_is_not_read() {
    let mock = Mock::start(|conn, _| {
        conn.read_request();
        conn.send(b"HTTP/1.1 200 OK\r\ncontent-length: 104857600\r\n\r\n");
        conn.wait_closed();
    });
    assert_invalid(
        outcome(&mock),
        "larger than 1048576 bytes (proxy.max_response_bytes)",
    );
    mock.wait_for(|log| log.closed_by_client == 1);
}

#[test]
fn a_chunked_100_mb_is_read_only_up_to_the_limit() {
    let (tell, told) = std::sync::mpsc::channel();
    let mock = Mock::start(move |conn, _| {
        conn.read_request();
        conn.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
        let chunk = [b"10000\r\n".as_slice(), &[b' '; 0x10000], b"\r\n"].concat();
        let sent = (0..1600).take_while(|_| conn.send(&chunk)).count();
        tell.send(sent * 0x10000).unwrap();
    });
    assert_invalid(outcome(&mock), "larger than 1048576 bytes");
    // What was sent beyond the limit sat in the sockets' buffers (a few MB), not in our memory.
    let sent = told.recv().unwrap();
    assert!((MAX_BYTES..50 << 20).contains(&sent), "{sent}");
    mock.wait_for(|log| log.closed_by_client == 1);
}

#[test]
fn an_answer_of_just_the_largest_size_is_taken_and_one_byte_more_is_not() {
    let body = |size: usize| {
        let empty = chat(r#"{"content":""}"#, USAGE);
        let text = "x".repeat(size - empty.len());
        chat(&format!(r#"{{"content":"{text}"}}"#), USAGE)
    };
    assert!(outcome_of(http("200 OK", &[], &body(MAX_BYTES))).is_ok());
    assert_invalid(
        outcome_of(http("200 OK", &[], &body(MAX_BYTES + 1))),
        "larger than",
    );
}

#[test]
fn a_content_length_that_is_too_short_cuts_the_answer() {
    let body = hello();
    let reply = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
        body.len() - 1
    );
    assert_invalid(outcome_of(reply), "not a chat completion");
}

#[test]
fn a_content_length_that_is_too_long_is_an_answer_cut_off() {
    let body = hello();
    let reply = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
        body.len() + 1
    );
    assert_invalid(outcome_of(reply), "cut off before its end");
}

#[test]
fn contradicting_or_senseless_lengths_are_refused() {
    for lengths in [
        "content-length: 5\r\ncontent-length: 6",
        "content-length: -1",
        "content-length: 99999999999999999999999",
        "content-length: ten",
    ] {
        let reply = format!("HTTP/1.1 200 OK\r\n{lengths}\r\n\r\n{}", hello());
        assert_invalid(outcome_of(reply), "not HTTP that we can read");
    }
}

#[test]
fn what_is_not_http_is_refused() {
    for reply in [
        "SSH-2.0-OpenSSH_9.6\r\n",
        "hello\r\n\r\n",
        "\0\0\0\0\0\0\0\0",
        "HTTP/9.9 200 OK\r\n\r\n",
        "HTTP/1.1 20x OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon here\r\n\r\n",
    ] {
        assert_invalid(outcome_of(reply), "not HTTP that we can read");
    }
}

#[test]
fn an_enormous_header_block_is_refused() {
    let reply = format!("HTTP/1.1 200 OK\r\nx-big: {}\r\n\r\n", "a".repeat(8 << 20));
    assert_invalid(outcome_of(reply), "not HTTP that we can read");
}

#[test]
fn two_hundred_headers_are_read() {
    // LiteLLM passes its providers' headers on (`llm_provider-…`), on top of its own.
    let headers: Vec<String> = (0..200)
        .map(|n| format!("llm_provider-x-{n}: {n}"))
        .collect();
    let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
    assert_eq!(result_of(good(&headers)).content, "Hello.");
}

#[test]
fn two_thousand_headers_are_refused() {
    let headers = "x: y\r\n".repeat(2000);
    assert_invalid(
        outcome_of(format!(
            "HTTP/1.1 200 OK\r\n{headers}content-length: 0\r\n\r\n"
        )),
        "not HTTP that we can read",
    );
}

#[test]
fn http_1_0_is_an_answer_when_its_json_is_whole() {
    let head = format!("HTTP/1.0 200 OK\r\n{}\r\n\r\n", crate::setup::MINI);
    assert_eq!(result_of(format!("{head}{}", hello())).content, "Hello.");
    let cut = &hello()[..100];
    assert_invalid(outcome_of(format!("{head}{cut}")), "not a chat completion");
}

#[test]
fn interim_answers_are_not_the_answer() {
    for interim in [
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n",
    ] {
        let reply = [interim.as_bytes(), &good(&[])].concat();
        assert_eq!(result_of(reply).content, "Hello.");
        // Nothing after the interim answer is no answer.
        assert!(outcome_of(interim).unwrap_err().may_be_billed());
    }
}

#[test]
fn an_answer_that_only_calls_tools_has_no_text() {
    let call =
        json!({"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let message = json!({"role": "assistant", "content": null, "tool_calls": [call]});
    let result = result_of(http("200 OK", &[], &chat(&message.to_string(), USAGE)));
    assert_eq!(result.content, "");
    assert_eq!(result.tool_calls, [call]);
    let none = chat(r#"{"content":"Hi","tool_calls":null}"#, USAGE);
    assert!(result_of(http("200 OK", &[], &none)).tool_calls.is_empty());
}

#[test]
fn the_text_of_content_parts_is_put_together() {
    let parts = r#"{"content":[{"type":"text","text":"Hel"},{"type":"image_url","image_url":{}},{"type":"text","text":"lo."}]}"#;
    let result = result_of(http("200 OK", &[], &chat(parts, USAGE)));
    assert_eq!(result.content, "Hello.");
}

#[test]
fn the_body_passes_through_byte_for_byte() {
    let body = hello().replace("\"id\"", "\"new_field\": 1.10,  \"id\"");
    let completion = outcome_of(http("200 OK", &[], &body)).unwrap();
    assert_eq!(completion.body, body.as_bytes());
    assert_eq!(completion.result.finish_reason.as_deref(), Some("stop"));
}

#[test]
fn what_the_proxy_did_is_kept_within_bounds() {
    let long = format!("x-litellm-call-id: {}", "c".repeat(5000));
    let proxy = result_of(good(&[
        "x-litellm-attempted-retries: 2",
        "x-litellm-attempted-fallbacks: -1",
        "x-litellm-model-group: main",
        &long,
    ]))
    .proxy;
    assert_eq!((proxy.attempted_retries, proxy.attempted_fallbacks), (2, 0));
    assert_eq!(proxy.model_group.as_deref(), Some("main"));
    assert_eq!(proxy.call_id.unwrap().len(), 200);
}
