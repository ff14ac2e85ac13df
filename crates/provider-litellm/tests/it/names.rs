//! The model that answered: never an alias, never a group, empty rather than wrong.

use std::time::{Duration, Instant};

use provider_core::{ModelCallResult, ModelClient};

use crate::mock::Mock;
use crate::setup::{AGREED, call, client, client_of, config, good, hello, http, outcome, run};

/// `GET /model/info` of a proxy with these groups.
fn info(groups: &[(&str, &str)]) -> Vec<u8> {
    let entries: Vec<_> = groups
        .iter()
        .map(|(group, model)| {
            serde_json::json!({
                "model_name": group,
                "litellm_params": {"model": model},
                "model_info": {"id": "x", "input_cost_per_token": null},
            })
        })
        .collect();
    http(
        "200 OK",
        &[],
        &serde_json::json!({ "data": entries }).to_string(),
    )
}

/// A proxy that answers with these headers, and says this of its models.
fn proxy(headers: &'static [&'static str], body: String, about: Option<Vec<u8>>) -> Mock {
    Mock::answering(move |seen| {
        if seen.line.starts_with("GET /model/info ") {
            return about.clone();
        }
        Some(http("200 OK", headers, &body))
    })
}

fn named(mock: &Mock) -> (String, String) {
    let ModelCallResult {
        provider,
        model_name,
        ..
    } = outcome(mock).unwrap().result;
    (provider, model_name)
}

fn pair(provider: &str, model: &str) -> (String, String) {
    (provider.to_owned(), model.to_owned())
}

#[test]
fn the_header_names_the_model() {
    for (header, expected) in [
        ("openai/gemma-3-270m", pair("openai", "gemma-3-270m")),
        ("gpt-4o-mini", pair("openai", "gpt-4o-mini")),
        (
            "openrouter/anthropic/claude-x",
            pair("openrouter", "anthropic/claude-x"),
        ),
        ("nobody-knows-this", pair("", "nobody-knows-this")),
    ] {
        let header = format!("x-litellm-model-name: {header}");
        let reply = http("200 OK", &[&header, AGREED], &hello());
        let mock = Mock::answering(move |_| Some(reply.clone()));
        assert_eq!(named(&mock), expected);
        // Nobody is asked for the name; only of a model that the map does not have, for its price.
        let asked = if expected.1 == "gpt-4o-mini" { 1 } else { 2 };
        assert_eq!(mock.log().requests.len(), asked);
    }
}

#[test]
fn a_stream_after_a_fallback_is_named_by_the_group_that_answered() {
    let stream = "data: {\"model\":\"cheap\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    let mock = Mock::answering(move |seen| {
        if seen.line.starts_with("GET /model/info ") {
            return Some(info(&[
                ("main", "openai/gpt-4o"),
                ("cheap", "openai/gpt-4o-mini"),
            ]));
        }
        let length = stream.len();
        Some(format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nx-litellm-attempted-fallbacks: 1\r\ncontent-length: {length}\r\n\r\n{stream}").into_bytes())
    });
    let result = run(async {
        let mut stream = client(&mock).stream(&call()).await.unwrap();
        while stream.next().await.unwrap().is_some() {}
        stream.close().await.result
    });
    assert_eq!(
        (result.provider.as_str(), result.model_name.as_str()),
        ("openai", "gpt-4o-mini")
    );
    assert!(result.cost.usd().is_some() && result.usage_is_estimated);
}

#[test]
fn after_a_fallback_the_only_model_of_the_group_that_answered_is_it() {
    let headers = &[
        "x-litellm-attempted-fallbacks: 1",
        "x-litellm-model-group: cheap",
    ];
    let models = info(&[
        ("main", "openai/gpt-4o"),
        ("cheap", "openai/gpt-4o-mini"),
        ("cheap", "openai/gpt-4o-mini"),
    ]);
    let mock = proxy(headers, hello(), Some(models));
    assert_eq!(named(&mock), pair("openai", "gpt-4o-mini"));
}

#[test]
fn a_group_with_several_models_does_not_tell_which() {
    let headers = &["x-litellm-model-group: main"];
    let models = info(&[("main", "openai/gpt-4o"), ("main", "openai/gpt-4o-mini")]);
    assert_eq!(named(&proxy(headers, hello(), Some(models))), pair("", ""));
    let elsewhere = info(&[("main", "openai/gpt-4o"), ("main", "azure/gpt-4o")]);
    assert_eq!(
        named(&proxy(headers, hello(), Some(elsewhere))),
        pair("", "")
    );
    // A deployment that can not be read may be another model.
    let unread = http(
        "200 OK",
        &[],
        r#"{"data":[{"model_name":"main","litellm_params":{"model":"openai/gpt-4o"}},{"model_name":"main","litellm_params":{"model":null}}]}"#,
    );
    assert_eq!(named(&proxy(headers, hello(), Some(unread))), pair("", ""));
}

#[test]
fn a_proxy_that_does_not_say_leaves_the_name_empty_and_the_call_good() {
    for about in [
        None,
        Some(http("500 Internal Server Error", &[], "")),
        Some(http("200 OK", &[], "<html>")),
        Some(http("200 OK", &[], "{}")),
        Some(info(&[])),
    ] {
        let mock = proxy(&["x-litellm-model-group: main"], hello(), about);
        let result = outcome(&mock).unwrap().result;
        assert_eq!(
            (result.model_name.as_str(), result.content.as_str()),
            ("", "Hello.")
        );
    }
}

#[test]
fn a_slow_look_up_does_not_hold_the_answer_for_long() {
    let mock = Mock::start(|conn, _| {
        while let Some(seen) = conn.read_request() {
            if seen.line.starts_with("GET") {
                conn.wait_closed();
                return;
            }
            conn.send(&http("200 OK", &[], &hello()));
        }
    });
    let limit = Duration::from_millis(700);
    let client = client_of(config(&mock.url()).with_call_timeout(limit));
    let started = Instant::now();
    let result = run(client.complete(&call())).unwrap().result;
    assert_eq!(
        (result.model_name.as_str(), result.content.as_str()),
        ("", "Hello.")
    );
    assert!(
        started.elapsed() < Duration::from_secs(2),
        "{:?}",
        started.elapsed()
    );
    assert!(result.duration < limit);
}

#[test]
fn what_was_learnt_is_asked_for_once() {
    let mock = proxy(&[], hello(), Some(info(&[("main", "openai/gpt-4o")])));
    let client = client(&mock);
    run(async {
        for _ in 0..5 {
            assert_eq!(
                client.complete(&call()).await.unwrap().result.model_name,
                "gpt-4o"
            );
        }
    });
    let asked = |start| {
        mock.log()
            .requests
            .iter()
            .filter(|seen| seen.line.starts_with(start))
            .count()
    };
    assert_eq!((asked("POST"), asked("GET")), (5, 1));
}

#[test]
fn a_group_never_becomes_the_name_of_the_model() {
    let models = info(&[
        ("main", "openai/gpt-4o"),
        ("other", "openai/gpt-4o"),
        ("other", "openai/o1"),
    ]);
    // `other` answered for `main`: with headers that say so, with one that says half of it, and with
    // none, as behind something that strips them.
    let body = hello().replace(r#""model":"main""#, r#""model":"other""#);
    let headers: [&'static [&'static str]; 4] = [
        &[
            "x-litellm-attempted-fallbacks: 1",
            "x-litellm-model-group: other",
        ],
        &["x-litellm-attempted-fallbacks: 1"],
        &["x-litellm-model-group: other"],
        &[],
    ];
    for headers in headers {
        let (_, name) = named(&proxy(headers, body.clone(), Some(models.clone())));
        assert_eq!(name, "", "{headers:?}");
    }
    for body in [
        hello(),
        hello().replace(r#""model":"main""#, r#""model":null"#),
    ] {
        let (_, name) = named(&proxy(&[], body, Some(info(&[]))));
        assert_eq!(name, "");
    }
}

#[test]
fn after_a_fallback_to_nobody_knows_where_the_asked_group_is_not_blamed() {
    let models = info(&[("main", "openai/gpt-4o")]);
    let headers = &["x-litellm-attempted-fallbacks: 1"];
    for model in [r#""main""#, "null", r#""gpt-9""#] {
        let body = hello().replace(r#""model":"main""#, &format!(r#""model":{model}"#));
        assert_eq!(
            named(&proxy(headers, body, Some(models.clone()))),
            pair("", "")
        );
    }
}

#[test]
fn a_model_in_the_body_is_taken_if_it_is_no_group() {
    let body = hello().replace(r#""model":"main""#, r#""model":"gpt-4o-mini-2024-07-18""#);
    let mock = proxy(&[], body, Some(info(&[("main", "openai/gpt-4o-mini")])));
    assert_eq!(named(&mock), pair("openai", "gpt-4o-mini-2024-07-18"));
}

#[test]
fn two_calls_at_once_keep_their_answers() {
    let mock = Mock::answering(|_| Some(good(&[])));
    let client = client(&mock);
    let asked = call();
    run(async {
        let (one, two) = tokio::join!(client.complete(&asked), client.complete(&asked));
        assert_eq!(one.unwrap().result.model_name, "gpt-4o-mini");
        assert_eq!(two.unwrap().result.model_name, "gpt-4o-mini");
    });
}
