//! Is the proxy there, does it take our key, which groups and models does it have?

use std::time::Duration;

use provider_litellm::ProbeError;

use crate::mock::Mock;
use crate::setup::{KEY, client, client_of, config, http, run};

const LIMIT: Duration = Duration::from_secs(5);

/// What a probe finds wrong.
fn probe(mock: &Mock) -> Option<ProbeError> {
    run(client(mock).probe(LIMIT)).err()
}

#[test]
fn a_working_proxy_lists_its_groups() {
    let models = r#"{"data":[{"id":"cheap","object":"model"},{"id":"main","object":"model"}],"object":"list"}"#;
    let mock = Mock::sending(http("200 OK", &[], models));
    assert_eq!(run(client(&mock).groups(LIMIT)).unwrap(), ["cheap", "main"]);
    assert!(probe(&mock).is_none());
    let seen = &mock.log().requests[0];
    assert_eq!(seen.line, "GET /v1/models HTTP/1.1");
    assert!(
        seen.headers
            .contains(&format!("authorization: Bearer {KEY}"))
    );
    assert!(!seen.headers.iter().any(|h| h.starts_with("content-type")));
}

#[test]
fn a_working_proxy_tells_its_models() {
    let body = r#"{"data":[
        {"model_name":"cheap","litellm_params":{"model":"openai/gpt-4o-mini"},"model_info":{"input_cost_per_token":1.5e-07}},
        {"model_name":"main","litellm_params":{"model":"my-model"},"model_info":{"input_cost_per_token":null}},
        {"model_name":"free","litellm_params":{"model":"openai/no-price"},"model_info":{"input_cost_per_token":0}},
        {"model_name":"odd","litellm_params":{"model":"meta-llama/Llama-3","custom_llm_provider":"openai"}}]}"#;
    let mock = Mock::sending(http("200 OK", &[], body));
    let models = run(client(&mock).models(LIMIT)).unwrap();
    let told: Vec<_> = models
        .iter()
        .map(|m| {
            (
                m.group.as_str(),
                m.provider.as_deref(),
                m.model.as_str(),
                m.has_price,
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("cheap", Some("openai"), "gpt-4o-mini", true),
            ("main", None, "my-model", false),
            ("free", Some("openai"), "no-price", false),
            ("odd", Some("openai"), "meta-llama/Llama-3", false),
        ]
    );
}

#[test]
fn a_wrong_key_is_told_apart() {
    for (status, kind) in [
        ("400 Bad Request", "no_db_connection"),
        ("401 Unauthorized", "auth_error"),
        ("401 Unauthorized", "token_not_found_in_db"),
    ] {
        let body = format!(
            r#"{{"error":{{"message":"No connected db.","type":"{kind}","param":null,"code":"400"}}}}"#
        );
        let error = probe(&Mock::sending(http(status, &[], &body))).unwrap();
        assert!(matches!(error, ProbeError::KeyRejected(_)), "{error:?}");
        assert!(
            error.to_string().contains("check LITELLM_PROXY_KEY"),
            "{error}"
        );
    }
}

#[test]
fn a_proxy_that_is_not_there_or_silent_is_unreachable() {
    let gone = Mock::sending("").url();
    let error = run(client_of(config(&gone)).probe(LIMIT)).unwrap_err();
    assert!(matches!(error, ProbeError::Unreachable(_)), "{error:?}");
    let mock = Mock::start(|conn, _| {
        conn.read_request();
        conn.wait_closed();
    });
    let limit = Duration::from_millis(300);
    let error = run(client(&mock).probe(limit)).unwrap_err();
    assert!(matches!(error, ProbeError::Unreachable(_)), "{error:?}");
    assert!(error.to_string().contains("300 ms"), "{error}");
}

#[test]
fn what_is_no_litellm_proxy_is_said_to_be_none() {
    for reply in [
        http("200 OK", &[], "<html>"),
        http("200 OK", &[], "\"I'm alive!\""),
        http("200 OK", &[], "{}"),
        http("204 No Content", &[], ""),
        http("404 Not Found", &[], "<html>"),
        http("302 Found", &["location: /login"], ""),
        b"SSH-2.0-OpenSSH\r\n".to_vec(),
    ] {
        let error = probe(&Mock::sending(reply)).unwrap();
        assert!(matches!(error, ProbeError::Other(_)), "{error:?}");
        let error =
            run(client(&Mock::sending(http("200 OK", &[], "[]"))).models(LIMIT)).unwrap_err();
        assert!(matches!(error, ProbeError::Other(_)), "{error:?}");
    }
    for secret in [
        r#"{"data":"proxy-key-0123456789"}"#,
        r#"{"data":["proxy-key-0123456789"]}"#,
    ] {
        let mock = Mock::sending(http("200 OK", &[], secret));
        let errors = [
            probe(&mock).unwrap(),
            run(client(&mock).models(LIMIT)).unwrap_err(),
        ];
        assert!(
            !format!("{errors:?} {} {}", errors[0], errors[1]).contains(KEY),
            "{errors:?}"
        );
    }
}

#[test]
fn a_proxy_that_stumbles_is_not_a_working_one() {
    let error = probe(&Mock::sending(http("503 Service Unavailable", &[], "busy"))).unwrap();
    assert!(matches!(error, ProbeError::Other(_)), "{error:?}");
}
