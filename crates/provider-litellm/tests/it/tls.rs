//! https to what does not speak it.

use provider_core::ModelClient;

use crate::mock::Mock;
use crate::setup::{assert_unreachable, call, client_of, config, run};

#[test]
fn https_to_a_plain_server_sends_nothing() {
    let mock = Mock::start(|conn, _| {
        conn.send(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        conn.wait_closed();
    });
    let url = mock.url().replace("http://", "https://");
    assert_unreachable(run(client_of(config(&url)).complete(&call())), false, "");
    assert_eq!(mock.log().requests.len(), 0);
}
