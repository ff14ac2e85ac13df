//! A request is sent again only if none of it was written.

use provider_core::ModelClient;

use crate::mock::Mock;
use crate::setup::{AGREED, KEY, assert_unreachable, call, client, good, run};

#[test]
fn a_connection_is_used_again() {
    let mock = Mock::answering(|_| Some(good(&[AGREED])));
    let client = client(&mock);
    run(async {
        for _ in 0..3 {
            client.complete(&call()).await.unwrap();
        }
    });
    let log = mock.log();
    assert_eq!((log.connections, log.requests.len()), (1, 3));
    let seen = &log.requests[0];
    assert_eq!(seen.line, "POST /v1/chat/completions HTTP/1.1");
    assert!(
        seen.headers
            .contains(&format!("authorization: Bearer {KEY}"))
    );
    assert!(
        seen.headers
            .contains(&"content-type: application/json".to_owned())
    );
    insta::assert_snapshot!(
        String::from_utf8_lossy(&seen.body),
        @r#"{"model":"main","messages":[{"role":"user","content":"hi"}]}"#
    );
}

#[test]
fn an_idle_connection_that_the_proxy_closed_costs_nothing_but_a_new_one() {
    // One request a connection, then closed without a word, as uvicorn does after its keep-alive.
    let mock = Mock::start(|conn, _| {
        conn.read_request();
        conn.send(&good(&[AGREED]));
    });
    let client = client(&mock);
    run(async {
        for _ in 0..20 {
            client.complete(&call()).await.unwrap();
            // Let the end of the connection arrive, so that what is tested is a closed one.
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    });
    let log = mock.log();
    assert_eq!((log.connections, log.requests.len()), (20, 20));
}

#[test]
fn a_request_that_was_read_on_a_used_connection_is_not_sent_again() {
    for reset in [false, true] {
        let mock = Mock::start(move |conn, _| {
            conn.read_request();
            conn.send(&good(&[AGREED]));
            conn.read_request();
            if reset {
                conn.reset_on_close();
            }
        });
        let client = client(&mock);
        run(async {
            client.complete(&call()).await.unwrap();
            assert_unreachable(
                client.complete(&call()).await,
                true,
                "after the request was sent",
            );
        });
        let log = mock.log();
        assert_eq!((log.connections, log.requests.len()), (1, 2));
    }
}

#[test]
fn bytes_after_an_answer_are_not_taken_for_the_next_one() {
    let mock = Mock::start(|conn, index| {
        conn.read_request();
        let mut reply = good(&[AGREED]);
        if index == 0 {
            let other = String::from_utf8(good(&[AGREED]))
                .unwrap()
                .replace("Hello.", "Wrong.");
            reply.extend_from_slice(other.as_bytes());
        }
        conn.send(&reply);
        conn.wait_closed();
    });
    let client = client(&mock);
    run(async {
        for _ in 0..2 {
            let result = client.complete(&call()).await.unwrap().result;
            assert_eq!(result.content, "Hello.");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    });
    assert_eq!(mock.log().requests.len(), 2);
}
