//! Connections that fail, at every moment at which they can.

use std::time::{Duration, Instant};

use provider_core::{Endpoint, ModelCall, ModelClient, ModelRequest, ProviderError, TimeoutPhase};

use crate::mock::Mock;
use crate::setup::{
    assert_invalid, assert_unreachable, call, client, client_of, config, good, outcome, outcome_of,
    run,
};

fn at(url: &str) -> Result<provider_core::Completion, ProviderError> {
    run(client_of(config(url)).complete(&call()))
}

#[test]
fn a_refused_connection_reached_nobody() {
    // A port that was free a moment ago and that nobody listens on: bound, never listened to.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let any: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
    socket.bind(&any.into()).unwrap();
    let port = socket.local_addr().unwrap().as_socket().unwrap().port();
    assert_unreachable(
        at(&format!("http://127.0.0.1:{port}")),
        false,
        "connection refused",
    );
}

#[test]
fn a_name_that_does_not_exist_reached_nobody() {
    assert_unreachable(at("http://no-such-proxy.invalid:4000"), false, "");
}

#[test]
fn a_connection_that_is_not_taken_up_ends_at_the_connect_limit() {
    // A backlog of 0 that is full: the kernel drops further SYNs, as an unroutable address would.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let any: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
    socket.bind(&any.into()).unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    // Connects until one hangs: then the backlog is full for as long as these are held.
    let mut held = Vec::new();
    while let Ok(stream) =
        std::net::TcpStream::connect_timeout(&address, Duration::from_millis(300))
    {
        held.push(stream);
        assert!(held.len() < 64, "the backlog does not fill");
    }
    let limit = Duration::from_millis(400);
    let client = client_of(config(&format!("http://{address}")).with_connect_timeout(limit));
    let error = run(client.complete(&call())).unwrap_err();
    let ProviderError::Timeout {
        phase,
        limit: stated,
        elapsed,
    } = error
    else {
        panic!("{error:?}");
    };
    assert_eq!((phase, stated), (TimeoutPhase::Connect, limit));
    assert!(elapsed >= limit && elapsed < Duration::from_secs(5));
    assert!(!error.may_be_billed());
}

#[test]
fn a_connection_that_ends_before_the_request_is_read_has_no_answer() {
    for reset in [false, true] {
        let mock = Mock::start(move |conn, _| {
            if reset {
                conn.reset_on_close();
            }
        });
        // Whether any byte left our side before the end arrived is the kernel's choice: what counts
        // is that the error does not deny it if one did, and that nothing is sent again.
        let error = outcome(&mock).expect_err("a false success");
        assert!(
            matches!(&error, ProviderError::Unreachable { .. }),
            "{error:?}"
        );
        assert_eq!(mock.log().connections, 1);
    }
}

#[test]
fn a_connection_that_ends_after_the_request_was_read_may_be_billed() {
    for (reset, what) in [
        (
            false,
            "connection closed before an answer came, after the request was sent",
        ),
        (true, "connection reset, after the request was sent"),
    ] {
        let mock = Mock::start(move |conn, _| {
            conn.read_request();
            if reset {
                conn.reset_on_close();
            }
        });
        assert_unreachable(outcome(&mock), true, what);
        assert_eq!(mock.log().requests.len(), 1);
    }
}

#[test]
fn a_connection_that_ends_in_the_headers_may_be_billed() {
    for reset in [false, true] {
        let mock = Mock::start(move |conn, _| {
            conn.read_request();
            conn.send(b"HTTP/1.1 200 OK\r\ncontent-type: appl");
            if reset {
                conn.reset_on_close();
            }
        });
        assert_unreachable(outcome(&mock), true, "after the request was sent");
        assert_eq!(mock.log().requests.len(), 1);
    }
}

#[test]
fn a_cut_answer_is_never_a_success() {
    let whole = good(&["x-litellm-response-cost: 0.1"]);
    let head = String::from_utf8_lossy(&whole).find("\r\n\r\n").unwrap() + 4;
    for cut in [head, head + 1, head + 40, whole.len() - 1] {
        for reset in [false, true] {
            let part = whole[..cut].to_vec();
            let mock = Mock::start(move |conn, _| {
                conn.read_request();
                conn.send(&part);
                if reset {
                    conn.reset_on_close();
                }
            });
            let error = outcome(&mock).expect_err("a false success");
            assert!(error.may_be_billed(), "{error:?}");
            if !reset {
                assert_invalid(Err(error), "cut off before its end");
            }
        }
    }
}

#[test]
fn a_cut_chunked_answer_is_never_a_success() {
    let body = crate::setup::hello();
    let chunk = format!("{:x}\r\n{body}\r\n", body.len());
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    // The JSON is complete, the answer is not: the last chunk is missing.
    assert_invalid(
        outcome_of(format!("{head}{chunk}")),
        "cut off before its end",
    );
    assert!(outcome_of(format!("{head}{chunk}0\r\n\r\n")).is_ok());
}

fn runs_into_the_call_limit(mock: &Mock) {
    let limit = Duration::from_millis(600);
    let client = client_of(config(&mock.url()).with_call_timeout(limit));
    let started = Instant::now();
    let error = run(client.complete(&call())).expect_err("a false success");
    let took = started.elapsed();
    assert!(
        matches!(&error, ProviderError::Timeout { phase: TimeoutPhase::Call, limit: stated, elapsed }
            if *stated == limit && *elapsed >= limit),
        "{error:?}"
    );
    assert!(took >= limit && took < Duration::from_secs(5), "{took:?}");
    assert!(error.may_be_billed() && error.is_recoverable());
    // What is given up is closed, not put back into the pool.
    mock.wait_for(|log| log.closed_by_client >= 1);
}

#[test]
fn silence_ends_at_the_call_limit() {
    runs_into_the_call_limit(&Mock::start(|conn, _| {
        conn.read_request();
        conn.wait_closed();
    }));
}

#[test]
fn silence_in_the_body_ends_at_the_call_limit() {
    runs_into_the_call_limit(&Mock::start(|conn, _| {
        conn.read_request();
        conn.send(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{\"choices\"");
        conn.wait_closed();
    }));
}

#[test]
fn an_answer_byte_by_byte_does_not_stretch_the_call_limit() {
    runs_into_the_call_limit(&Mock::start(|conn, _| {
        conn.read_request();
        for byte in good(&[]) {
            if !conn.send(&[byte]) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }));
}

#[test]
fn an_answer_byte_by_byte_in_time_is_an_answer() {
    let mock = Mock::start(|conn, _| {
        conn.read_request();
        for byte in good(&[]) {
            conn.send(&[byte]);
        }
    });
    assert_eq!(outcome(&mock).unwrap().result.content, "Hello.");
}

#[test]
fn after_a_failure_the_next_call_is_answered() {
    let mock = Mock::start(|conn, index| {
        conn.read_request();
        if index > 0 {
            conn.send(&good(&[]));
        }
    });
    let client = client(&mock);
    run(async {
        assert_unreachable(client.complete(&call()).await, true, "");
        assert_eq!(
            client.complete(&call()).await.unwrap().result.content,
            "Hello."
        );
    });
}

#[test]
fn a_server_that_is_silent_in_the_tls_handshake_runs_into_the_connect_limit() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let limit = Duration::from_millis(200);
    let error =
        run(client_of(config(&url).with_connect_timeout(limit)).complete(&call())).unwrap_err();
    assert!(
        matches!(
            error,
            ProviderError::Timeout {
                phase: TimeoutPhase::Connect,
                ..
            }
        ),
        "{error:?}"
    );
    assert!(!error.may_be_billed(), "nothing of the request has left");
}

#[test]
fn a_whole_answer_is_asked_for_in_one_piece_whatever_the_request_says() {
    let mock = Mock::sending(good(&[]));
    let request = br#"{"model":"planner","stream":true,"stream_options":{},"messages":[]}"#;
    let streamed = ModelCall {
        request: ModelRequest::from_json(Endpoint::ChatCompletions, request).unwrap(),
        ..call()
    };
    run(client(&mock).complete(&streamed)).unwrap();
    let sent = &mock.log().requests[0].body;
    assert_eq!(
        String::from_utf8_lossy(sent),
        r#"{"model":"main","messages":[]}"#
    );
}

#[test]
fn an_endless_error_page_is_read_only_as_far_as_its_message_can_be() {
    let mock = Mock::start(|conn, _| {
        conn.read_request();
        conn.send(b"HTTP/1.1 502 Bad Gateway\r\ntransfer-encoding: chunked\r\n\r\n");
        while conn.send(format!("1000\r\n{}\r\n", "x".repeat(0x1000)).as_bytes()) {}
    });
    let error = outcome(&mock).unwrap_err();
    assert_eq!(
        error.reply().map(|reply| reply.status),
        Some(502),
        "{error:?}"
    );
}

#[test]
fn an_error_whose_body_stalls_is_still_what_its_status_says() {
    let mock = Mock::start(|conn, _| {
        conn.read_request();
        conn.send(b"HTTP/1.1 422 Unprocessable Entity\r\ncontent-length: 100\r\n\r\n{");
        conn.read_request();
    });
    let error = run(
        client_of(config(&mock.url()).with_call_timeout(Duration::from_secs(15))).complete(&call()),
    )
    .unwrap_err();
    assert_eq!(
        (error.kind(), error.is_recoverable()),
        ("invalid_request", false),
        "{error:?}"
    );
}
