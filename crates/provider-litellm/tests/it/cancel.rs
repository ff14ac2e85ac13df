//! A call that nobody waits for any more.

use std::time::Duration;

use provider_core::ModelClient;

use crate::mock::Mock;
use crate::setup::{call, client, run};

#[test]
fn dropping_a_call_closes_its_connection() {
    for begun in [
        b"".as_slice(),
        b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{",
    ] {
        let (tell, told) = tokio::sync::oneshot::channel();
        let tell = std::sync::Mutex::new(Some(tell));
        let mock = Mock::start(move |conn, _| {
            conn.read_request();
            conn.send(begun);
            if let Some(tell) = tell.lock().unwrap().take() {
                tell.send(()).unwrap();
            }
            conn.wait_closed();
        });
        let client = client(&mock);
        run(async {
            let call = call();
            let mut calling = client.complete(&call);
            tokio::select! {
                outcome = &mut calling => panic!("{outcome:?}"),
                begun = told => begun.unwrap(),
            }
            drop(calling);
            // The client lives on: it is the call that closes the connection.
            while mock.log().closed_by_client == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        drop(client);
        assert_eq!(mock.log().requests.len(), 1);
    }
}
